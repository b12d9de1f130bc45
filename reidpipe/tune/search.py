"""The search: one Optuna study over all sequences, and one for each sequence that is left out of it.

Studies lie in one SQLite file: an interrupted search goes on where it was, and each trial's choice depends on the seed,
its number and the trials before it only, so that the interruption leaves no trace.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Several
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from reidpipe.build import fitted
from reidpipe.config import Config
from reidpipe.errors import ConfigError, MissingExtraError
from reidpipe.evaluate.mot import Counted, combine, report_on
from reidpipe.sinks.files import sink_error
from reidpipe.tune.follow import measure
from reidpipe.tune.outcome import Outcome
from reidpipe.tune.sequences import Sequence
from reidpipe.tune.space import Limit, search_space, with_limits

if TYPE_CHECKING:
    import optuna

__all__ = ["Objective", "tune"]

Objective: TypeAlias = Literal["HOTA", "IDF1", "MOTA"]
Values: TypeAlias = dict[str, float]

SAME = 0.1
"""Percent points: a limit whose return to where it was costs less than this was moved by luck, and goes back."""
FIRST_TRIALS = 10
"""At random, before the sampler follows what was good."""
STUDY_FILE = "study.sqlite3"


def tune(
    sequences: Several[Sequence],
    config: Config,
    *,
    folder: Path,
    objective: Objective = "HOTA",
    limits: Several[str] = (),
    trials: int = 60,
    time_s: float | None = None,
    hold_out: bool = True,
    refined: bool = False,
    seed: int = 0,
    stop: threading.Event | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Search the limits of the config's tracker, and write ``config.yaml`` and ``outcome.json``.

    Args:
        sequences: at least one, names differ.
        config: its limits are the first trial and what the others are measured against.
        folder: for the study and the results; a study that lies there already is gone on with.
        objective: of all sequences together.
        limits: ``max_age_s`` or ``max_age_s=0.5:3``; by default a few that depend on detector and place.
        trials: settings to try in each study, those of earlier sessions counted.
        time_s: stop this session after so many seconds; half goes to the sequences that are left out. None: no limit.
        hold_out: with several sequences: also search once for each sequence without it, and measure there.
        refined: measure tracks after the end of a file (gaps filled, smoothed), not picture by picture.
        seed: of the sampler.
        stop: set it to end the session; what there is is written.
        tell: called with a line now and then.

    Raises:
        ConfigError: no sequences, two of one name, an unknown limit, or the study there is of something else.
        MissingExtraError: Optuna is not installed.
        SinkError: the folder cannot be written.
    """
    names = [sequence.name for sequence in sequences]
    if not names or len(set(names)) < len(names):
        raise ConfigError("tune needs sequences with different names, at least one")
    if trials < 1:
        raise ConfigError(f"trials must be 1 or more, got {trials}")
    config = config if any(sequence.replayed for sequence in sequences) else fitted(config)
    space = search_space(config, chosen=limits, looks=all(s.vectors is not None for s in sequences))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise sink_error(folder, error) from error
    bench = _Bench(sequences, config, objective, refined=refined)
    job = _Studies(folder / STUDY_FILE, bench, space, trials, seed, stop or threading.Event(), tell)
    folds = names if hold_out and len(names) > 1 else []
    job.run("all", bench.names, seconds=None if time_s is None else time_s / (2 if folds else 1))
    for left_out in folds:
        rest = tuple(name for name in names if name != left_out)
        job.run(f"without {left_out}", rest, seconds=None if time_s is None else time_s / 2 / len(folds))
    outcome = _outcome(job, folds)
    outcome.write(folder)
    return outcome


class _Bench:
    """Measures settings on sequences, and remembers what it measured."""

    def __init__(self, sequences: Several[Sequence], config: Config, objective: Objective, *, refined: bool) -> None:
        self._sequences = {sequence.name: sequence for sequence in sequences}
        self.config = config
        self.objective = objective
        self._refined = refined
        self._known: dict[tuple[str, str], Counted] = {}
        self.names = tuple(self._sequences)

    def counted(self, values: Mapping[str, float], name: str) -> Counted:
        """What is counted in a sequence with these limits in the place of the config's."""
        key = (json.dumps(values, sort_keys=True), name)
        if key not in self._known:
            changed = with_limits(self.config, values)
            self._known[key] = measure(changed, self._sequences[name], refined=self._refined)
        return self._known[key]

    def score(self, values: Mapping[str, float], names: Several[str]) -> float:
        """The objective of some sequences together, percent."""
        return combine([self.counted(values, name) for name in names]).scores()[self.objective]

    def before(self, space: Mapping[str, Limit]) -> Values:
        """The limits there were."""
        return {name: getattr(self.config.track, name) for name in space}

    def digest(self, space: Mapping[str, Limit]) -> str:
        """Changes when trials can no more be compared: other sequences, another tracker, objective or space."""
        parts = [sequence.digest() for sequence in self._sequences.values()]
        track = self.config.track.model_dump_json() + (self.config.refine.model_dump_json() if self._refined else "")
        text = repr((parts, track, self.objective, self._refined, sorted(map(repr, space.items()))))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Studies:
    """The studies of one file."""

    def __init__(
        self,
        path: Path,
        bench: _Bench,
        space: Mapping[str, Limit],
        trials: int,
        seed: int,
        stop: threading.Event,
        tell: Callable[[str], None],
    ) -> None:
        self._optuna = _optuna()
        self._storage = f"sqlite:///{path}"
        self._path = path
        self.bench, self.space = bench, space
        self._trials, self._seed, self._stop, self._tell = trials, seed, stop, tell
        self.best: dict[str, Values] = {}
        self.tried = 0
        self.complete = True

    def run(self, name: str, sequences: Several[str], *, seconds: float | None) -> None:
        """Go on with a study until it has its trials, or time is up; notes the best limits, the fewest that matter."""
        study = self._open(name)
        start, done = time.monotonic(), _finished(study)
        while done < self._trials and not self._stop.is_set():
            if done and seconds is not None and time.monotonic() - start >= seconds:
                break
            self._trial(study, sequences)
            done += 1
            if done % 10 == 0 or done == self._trials:
                first = self.bench.score(self.bench.before(self.space), sequences)
                now = f"best {self.bench.objective} {study.best_value:.1f}, at first {first:.1f}"
                self._tell(f"{name}: {done} of {self._trials} settings tried, {now}")
        self.tried += done
        self.complete &= done >= self._trials
        if done:
            self.best[name] = self._fewest(study, sequences)

    def _open(self, name: str) -> optuna.Study:
        """The study of that name, made anew or gone on with."""
        try:
            study: optuna.Study = self._optuna.create_study(
                study_name=name, storage=self._storage, direction="maximize", load_if_exists=True
            )
        except Exception as error:  # what a broken file makes SQLAlchemy raise has no common type of Optuna's
            raise ConfigError(
                f"{self._path} cannot be used as a study: {' '.join(str(error).split())[:200]}"
            ) from error
        digest = self.bench.digest(self.space)
        if study.user_attrs.setdefault("digest", digest) != digest:
            what = "a search of other sequences, another tracker, objective or range"
            raise ConfigError(f"{self._path} is {what}: choose another --out")
        if not study.trials:
            study.set_user_attr("digest", digest)
            study.enqueue_trial({name: self._inside(name, v) for name, v in self.bench.before(self.space).items()})
        for trial in study.get_trials(states=(self._optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)  # the session was killed in it
        return study

    def _trial(self, study: optuna.Study, sequences: Several[str]) -> None:
        number = len(study.trials)
        study.sampler = self._optuna.samplers.TPESampler(
            seed=self._seed * 1_000_003 + number, n_startup_trials=FIRST_TRIALS
        )
        trial = study.ask()
        values = {name: limit.suggest(trial, name) for name, limit in self.space.items()}
        try:
            score = self.bench.score(self.bench.before(self.space) if trial.number == 0 else values, sequences)
        except ConfigError:  # limits that do not fit each other
            study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, score)

    def _inside(self, name: str, value: float) -> float:
        return min(max(value, self.space[name].low), self.space[name].high)

    def _fewest(self, study: optuna.Study, sequences: Several[str]) -> Values:
        """The best limits, but those back where they were whose change was luck."""
        before = self.bench.before(self.space)
        best = study.best_trial
        values = dict(before) if best.number == 0 else self._values(best)
        least = self.bench.score(values, sequences) - SAME
        for name, value in before.items():
            back = values | {name: value}
            if values[name] != value and self._score(back, sequences) >= least:
                values = back
        return values

    def _score(self, values: Values, sequences: Several[str]) -> float:
        try:
            return self.bench.score(values, sequences)
        except ConfigError:
            return float("-inf")

    def _values(self, trial: Any) -> Values:
        """The limits of a finished trial, rounded as they were when it was measured."""
        fixed = self._optuna.trial.FixedTrial(trial.params)
        return {name: limit.suggest(fixed, name) for name, limit in self.space.items()}


def _finished(study: optuna.Study) -> int:
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.trials)


def _outcome(job: _Studies, folds: Several[str]) -> Outcome:
    bench = job.bench
    before, best = bench.before(job.space), job.best.get("all", {})
    names = [f"without {name}" for name in folds]
    held_out = None
    if folds and job.complete and all(name in job.best for name in names):
        held_out = report_on({name: bench.counted(job.best[f"without {name}"], name) for name in folds})
    changed = {name: (before[name], value) for name, value in best.items() if value != before[name]}
    return Outcome(
        objective=bench.objective,
        tracker=bench.config.track.name,
        config=with_limits(bench.config, best),
        changed=changed,
        before=report_on({name: bench.counted(before, name) for name in bench.names}),
        after=report_on({name: bench.counted(best or before, name) for name in bench.names}),
        held_out=held_out,
        trials=job.tried,
        complete=job.complete,
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", extra="tune", why="reidpipe tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
