"""Too much to do: level by level, and back."""

from __future__ import annotations

import itertools

import pytest

from reidpipe.errors import ConfigError
from reidpipe.live.ages import Ages
from reidpipe.live.overload import LADDER, Governor, Level


def drive(governor: Governor, busy: float, seconds: int, *, start: float = 0.0) -> list[int]:
    """Level after each second in which ``busy`` of the time was worked, in steps of 0.1 s."""
    levels = []
    for number in range(1, 10 * seconds + 1):
        governor.worked(0.1 * busy, start + number / 10)
        if number % 10 == 0:
            levels.append(governor.number)
    return levels


def test_ladder_gives_up_detections_then_embeddings_then_frames() -> None:
    assert LADDER[0] == Level(0, 0, 0)
    for before, after in itertools.pairwise(LADDER):
        assert all(a <= b for a, b in zip(before, after, strict=True))
        assert before != after
    first = [next(i for i, level in enumerate(LADDER) if level[part] > 0) for part in range(3)]
    assert first == sorted(first)
    assert len(set(first)) == 3


def test_governor_goes_on_while_busy_and_stops_at_the_last_level() -> None:
    governor = Governor()
    levels = drive(governor, 1.0, 60)
    assert levels[:6] == [0, 0, 1, 1, 2, 2] or levels[:6] == [0, 1, 1, 2, 2, 3]
    assert levels[-1] == len(LADDER) - 1
    assert governor.busy == pytest.approx(1.0, abs=0.02)


def test_governor_keeps_its_level_between_low_and_high() -> None:
    governor = Governor()
    drive(governor, 1.0, 5)
    level = governor.number
    assert level > 0
    assert set(drive(governor, 0.8, 60, start=5.0)) == {level}


def test_governor_recovers() -> None:
    governor = Governor()
    drive(governor, 1.0, 9)
    assert governor.number > 2
    assert drive(governor, 0.3, 60, start=9.0)[-1] == 0


def test_governor_that_was_wrong_to_step_back_waits_longer() -> None:
    governor = Governor(patience=3)
    drive(governor, 1.0, 3)
    assert governor.number == 1
    now, waits = 3.0, []
    for _ in range(4):  # level 1 is idle, level 0 is too much
        waited = 0
        while governor.number == 1:
            drive(governor, 0.3, 1, start=now)
            now += 1
            waited += 1
        waits.append(waited)
        while governor.number == 0:
            drive(governor, 1.0, 1, start=now)
            now += 1
    assert all(later > sooner for sooner, later in itertools.pairwise(waits))


@pytest.mark.parametrize("bad", [{"ladder": ()}, {"low": 0.99}, {"patience": 0}, {"window_s": 0}])
def test_governor_refuses_settings_that_make_no_sense(bad: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Governor(**bad)  # type: ignore[arg-type]


def test_ages_give_percentiles_in_constant_memory() -> None:
    ages = Ages()
    assert ages.percentile(0.5) is None
    for number in range(10_000):
        ages.add(number / 10_000)
    ages.add(-5.0)
    ages.add(1e9)
    assert len(ages) == 10_002
    assert ages.percentile(0.5) == pytest.approx(0.5, rel=0.13)
    assert ages.percentile(0.99) == pytest.approx(0.99, rel=0.13)
    assert len(vars(ages)["_counts"]) == 121
