"""Time stamps to seconds that always grow."""

from __future__ import annotations

from fractions import Fraction

import pytest

from reidpipe.source.clock import PtsClock


def seconds(*ticks: int | None, origin: int | None = 0, fps: float = 10.0) -> tuple[list[float], PtsClock]:
    clock = PtsClock(Fraction(1, 1000), origin, fps)
    return [clock.seconds(tick) for tick in ticks], clock


def test_clock_counts_from_the_origin() -> None:
    times, clock = seconds(1400, 1440, 1900, origin=1400)
    assert times == pytest.approx([0.0, 0.04, 0.5], abs=1e-9)
    assert (clock.missing, clock.not_growing) == (0, 0)


def test_clock_spaces_missing_stamps_by_the_rate() -> None:
    times, clock = seconds(None, None, 250, None, origin=None)
    assert times == pytest.approx([0.0, 0.1, 0.25, 0.35], abs=1e-9)
    assert clock.missing == 3


def test_clock_moves_a_repeated_stamp_by_a_millisecond_only() -> None:
    times, clock = seconds(0, 100, 100, 90, 200)
    assert times == pytest.approx([0.0, 0.1, 0.101, 0.102, 0.2], abs=1e-9)
    assert clock.not_growing == 2


def test_clock_goes_on_after_the_recorder_began_anew() -> None:
    times, clock = seconds(0, 5000, 0, 100, 200)
    assert times == pytest.approx([0.0, 5.0, 5.1, 5.2, 5.3], abs=1e-9)
    assert clock.not_growing == 1
