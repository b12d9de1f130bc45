"""Which limits of a tracker are searched, and between what values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from reidpipe.config import Config
from reidpipe.errors import ConfigError

if TYPE_CHECKING:
    import optuna

__all__ = ["LIMITS", "Limit", "search_space", "with_limits"]

DIGITS = 3
"""Significant digits of a value: a fourth says nothing on a few sequences, and is tedious to read."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One setting of the tracker that is searched.

    Attributes:
        low: lowest value.
        high: highest value.
        whole: only whole numbers.
        ratio: twice as much is the same step everywhere: times, and numbers that span decades.
    """

    low: float
    high: float
    whole: bool = False
    ratio: bool = False

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """A value for one trial."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high))
        value = trial.suggest_float(name, self.low, self.high, log=self.ratio)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


SCORE, NEW = Limit(0.2, 0.8), Limit(0.2, 0.9)
AGE, HITS = Limit(0.3, 4.0, ratio=True), Limit(1, 5, whole=True)
COST, COSINE = Limit(0.3, 0.95), Limit(0.05, 0.6)
SURPRISE = Limit(4.0, 40.0, ratio=True)

LIMITS: dict[str, dict[str, Limit]] = {
    "botsort": {"high_score": SCORE, "new_score": NEW, "max_age_s": AGE, "first_limit": COST},
    "bytetrack": {"high_score": SCORE, "new_score": NEW, "max_age_s": AGE, "first_limit": COST},
    "deepsort": {"min_score": SCORE, "max_age_s": AGE, "min_hits": HITS, "appearance_limit": COSINE},
    "ocsort": {"min_score": SCORE, "max_age_s": AGE, "min_hits": HITS, "overlap_limit": COST},
    "sort": {"min_score": SCORE, "max_age_s": AGE, "min_hits": HITS, "overlap_limit": COST},
    "steady": {"high_score": SCORE, "new_score": NEW, "max_age_s": AGE, "surprise_limit": SURPRISE},
}
"""What is searched when nothing is named: the few that depend on the detector and the place. Every further one makes it
easier to fit the sequences at hand and nothing else."""

LOOKS: dict[str, dict[str, Limit]] = {
    "botsort": {"appearance_limit": COSINE},
    "steady": {"same_look": Limit(0.2, 0.9), "return_look": Limit(0.4, 0.98)},
}
"""And these where embeddings are known: they are facts of the embedder."""

OTHERS: dict[str, Limit] = {
    "appearance_limit": COSINE,
    "direction_s": Limit(0.05, 1.0, ratio=True),
    "direction_weight": Limit(0.0, 1.0),
    "duplicate_overlap": Limit(0.5, 1.0),
    "low_limit": COST,
    "low_score": Limit(0.05, 0.5),
    "memory_s": Limit(1.0, 120.0, ratio=True),
    "min_hits": HITS,
    "motion_limit": Limit(3.0, 30.0, ratio=True),
    "near_overlap": COST,
    "new_limit": COST,
    "overlap_limit": COST,
    "refresh_s": Limit(0.2, 5.0, ratio=True),
    "second_limit": COST,
    "surprise_limit": SURPRISE,
}
"""The range of what can be asked for by name alone."""


def search_space(config: Config, *, chosen: Sequence[str] = (), looks: bool = False) -> dict[str, Limit]:
    """The limits to search.

    Args:
        config: its tracker is searched.
        chosen: ``max_age_s`` or, with a range, ``max_age_s=0.5:3``; only these. None: the tracker's own few.
        looks: embeddings are known, so that limits of appearance mean something.

    Raises:
        ConfigError: the tracker has no such setting, it is no number, or a range is not ``low:high`` inside what the
            setting allows.
    """
    tracker = config.track.name
    usual = LIMITS[tracker] | (LOOKS.get(tracker, {}) if looks else {})
    if not chosen:
        return dict(usual)
    known = {**OTHERS, **LOOKS.get(tracker, {}), **usual}
    return dict(_named(config, text, known) for text in chosen)


def with_limits(config: Config, values: Mapping[str, float]) -> Config:
    """The config with other limits of its tracker.

    Raises:
        ConfigError: a value is out of its range.
    """
    section = config.track.model_dump() | dict(values)
    try:
        track = type(config.track).model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"track.{first['loc'][-1]}: {first['msg'].lower()}, got {first['input']!r}") from error
    return config.model_copy(update={"track": track})


def _named(config: Config, text: str, known: Mapping[str, Limit]) -> tuple[str, Limit]:
    name, equals, span = text.partition("=")
    fields = type(config.track).model_fields
    if name not in fields or not _is_number(getattr(config.track, name)):
        near = difflib.get_close_matches(name, [key for key in fields if key in known], n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(key for key in fields if key in known)}"
        raise ConfigError(f"the tracker {config.track.name} has no limit {name!r} to search: {hint}")
    whole = isinstance(getattr(config.track, name), int)
    if not equals:
        if name not in known:
            raise ConfigError(f"say between what values {name} is searched, for instance {name}=0.5:2")
        return name, known[name]
    limit = _range(name, span, whole=whole, ratio=known[name].ratio if name in known else False)
    for value in (limit.low, limit.high):
        with_limits(config, {name: int(value) if whole else value})
    return name, limit


def _range(name: str, span: str, *, whole: bool, ratio: bool) -> Limit:
    low, colon, high = span.partition(":")
    try:
        limit = Limit(float(low), float(high), whole=whole, ratio=ratio and float(low) > 0)
    except ValueError:
        colon = ""
    if not colon or not limit.low < limit.high:
        raise ConfigError(f"a range is low:high, for instance {name}=0.5:2; got {span!r}")
    return limit


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
