"""Association beside the run: nothing waits for it, nothing is lost, nothing comes out of order."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from reidpipe.associate.online import OnlineAssociator
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


class Forgets(Slow):
    """Everybody is person 5; knows whom it was told to forget."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[int] = []

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        return [Link(link.key, 5, 1.0, time_s) for link in super().update(tracklets, time_s)]

    def forget(self, global_id: int) -> None:
        self.forgotten.append(global_id)


def test_background_forgets_even_who_is_being_decided() -> None:
    slow = Forgets()
    slow.go.clear()
    background = BackgroundAssociator(slow, close_s=20)
    background.update([tracklet(1)], 0.0)
    until(lambda: len(slow.rounds) == 1)
    background.forget(5)
    slow.go.set()
    until(lambda: slow.forgotten == [5])  # without a further update
    assert [link.global_id for link in background.close()] == [99]  # no link to 5 comes any more


def test_background_online_association_gives_a_new_number_to_who_was_forgotten() -> None:
    looks = np.eye(40, dtype=np.float32)

    def seen(camera: str, number: int, at_s: float) -> Tracklet:
        return Tracklet(TrackKey(camera, number), looks[number], 9, 0.9, at_s, at_s + 1, False)

    associator = OnlineAssociator(threshold=0.5, window_s=0.0, review_s=0.0)
    links = associator.update([seen("a", person, 0.0) for person in range(40)], 1.0) + associator.update([], 2.0)
    ids = {link.key.track_id: link.global_id for link in links}
    assert len(set(ids.values())) == 40
    associator.forget(ids[7])
    later = associator.update([seen("b", person, 10.0) for person in range(40)], 11.0) + associator.update([], 12.0)
    found = {link.key: link.global_id for link in later}
    assert found[TrackKey("b", 8)] == ids[8]
    assert found[TrackKey("a", 7)] not in ids.values()  # still in the picture: somebody new
    assert found[TrackKey("b", 7)] == found[TrackKey("a", 7)]
    assert ids[7] not in {link.global_id for link in (*later, *associator.close())}
