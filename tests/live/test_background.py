"""Association beside the run: nothing waits for it, nothing is lost, nothing comes out of order."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from reidpipe.live.background import BackgroundAssociator
from reidpipe.stages import Associator
from reidpipe.types import Link, TrackKey, Tracklet
from tests.live.watch import until

VECTOR = np.array([1, 0], np.float32)


def tracklet(number: int, count: int = 1, *, closed: bool = False) -> Tracklet:
    return Tracklet(TrackKey("a", number), VECTOR, count, 0.5, 0.0, 1.0, closed)


class Slow:
    """Links each new track to its own number; waits to be let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.rounds: list[tuple[list[tuple[int, int]], float]] = []
        self.fail = False

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        self.rounds.append(([(t.key.track_id, t.count) for t in tracklets], time_s))
        self.go.wait(30)
        if self.fail:
            raise RuntimeError("associator broke")
        return [Link(t.key, t.key.track_id, 1.0, time_s) for t in tracklets]

    def close(self) -> list[Link]:
        self.go.wait(30)
        return [Link(TrackKey("a", 99), 99, 1.0, 0.0)]


def test_background_hands_links_over_later() -> None:
    background = BackgroundAssociator(Slow())
    assert isinstance(background, Associator)
    links = background.update([tracklet(1)], 0.5)

    def more() -> bool:
        links.extend(background.update([], 0.6))
        return bool(links)

    until(more)
    assert [link.global_id for link in links] == [1]
    assert [link.global_id for link in background.close()] == [99]
    assert not background.unfinished


def test_background_that_is_slow_is_not_waited_for_and_gets_the_newest() -> None:
    slow = Slow()
    slow.go.clear()
    background = BackgroundAssociator(slow, close_s=20)
    background.update([tracklet(1)], 0.0)
    until(lambda: len(slow.rounds) == 1)
    started = time.monotonic()
    for number in range(1, 1000):
        background.update([tracklet(2, number), tracklet(3, number)], float(number))
    background.update([tracklet(2, 1000, closed=True)], 1000.0)
    assert time.monotonic() - started < 10
    slow.go.set()
    links = background.close()
    assert slow.rounds[1] == ([(2, 1000), (3, 999)], 1000.0)
    assert [link.key.track_id for link in links] == [1, 2, 3, 99]


def test_background_error_comes_with_a_later_call() -> None:
    slow = Slow()
    slow.fail = True
    background = BackgroundAssociator(slow)
    background.update([tracklet(1)], 0.0)
    with pytest.raises(RuntimeError, match="associator broke"):
        until(lambda: bool(background.update([], 0.1)))
    assert background.close() == []


def test_background_close_does_not_wait_for_ever() -> None:
    slow = Slow()
    background = BackgroundAssociator(slow, close_s=0.05)
    slow.go.clear()
    background.update([tracklet(1)], 0.0)
    assert background.close() == []
    assert background.unfinished
    slow.go.set()


def test_background_that_was_never_used_closes() -> None:
    assert BackgroundAssociator(Slow()).close() == []
