"""What is searched, and what is refused."""

from __future__ import annotations

import pytest

from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.tune.space import LIMITS, LOOKS, OTHERS, Limit, search_space, with_limits


@pytest.mark.parametrize("tracker", sorted(LIMITS))
def test_space_every_range_is_one_that_the_tracker_allows(tracker: str) -> None:
    config = Config.load(values={"track.name": tracker})
    limits = {**LIMITS[tracker], **LOOKS.get(tracker, {})}
    limits |= {name: limit for name, limit in OTHERS.items() if name in type(config.track).model_fields}
    for name, limit in limits.items():
        for value in (limit.low, limit.high):
            changed = with_limits(config, {name: int(value) if limit.whole else value})
            assert getattr(changed.track, name) == value


def test_space_is_the_few_by_itself_and_what_is_named_when_named() -> None:
    config = Config.load()
    assert set(search_space(config)) == {"high_score", "new_score", "max_age_s", "surprise_limit"}
    assert {"same_look", "return_look"} <= set(search_space(config, looks=True))
    chosen = search_space(config, chosen=["max_age_s=0.5:2", "min_hits=1:3", "coast_s=0:0.2", "surprise_limit"])
    assert chosen["max_age_s"] == Limit(0.5, 2.0, ratio=True)
    assert chosen["min_hits"] == Limit(1.0, 3.0, whole=True)
    assert chosen["coast_s"] == Limit(0.0, 0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_ages", "did you mean max_age_s"),
        ("moving_camera", "no limit 'moving_camera'"),
        ("coast_s", "coast_s=0.5:2"),
        ("max_age_s=2", "low:high"),
        ("max_age_s=2:1", "low:high"),
        ("max_age_s=a:b", "low:high"),
        ("high_score=0.1:1.5", "less than or equal to 1"),
    ],
)
def test_space_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        search_space(Config.load(), chosen=[text])
