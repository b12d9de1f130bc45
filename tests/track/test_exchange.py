from __future__ import annotations

import numpy as np
import pytest

from reidpipe.track.history import Crops, History, boxes_at
from reidpipe.track.refine import refine
from tests.track.test_refine import AXES, FPS, TIMES, both, crowd, look, shifted, together, walker

MEET = 60


def passing(swapped: bool) -> tuple[History, dict[int, Crops]]:
    """Two walk towards each other and meet in picture 60; both tracks turn round there, as if they had not passed.

    Going on, each is at the other's place: with ``swapped`` the crops say that the people went on.
    """
    right = walker(1, range(0, 2 * MEET), speed=4.0)
    left = walker(2, range(0, 2 * MEET), x=4.0 * 2 * MEET, speed=-4.0)
    early, late = range(0, MEET - 15, 10), range(MEET + 15, 2 * MEET, 10)
    whole = [
        History.joined([a[:MEET], b[MEET:].renamed(np.full(MEET, i))])
        for i, a, b in ((1, right, left), (2, left, right))
    ]
    first, second = (AXES[8], AXES[9]) if not swapped else (AXES[9], AXES[8])
    looks = {1: both(look(AXES[8], early), look(first, late)), 2: both(look(AXES[9], early), look(second, late))}
    return together(*whole), looks


def changed(swapped: bool) -> dict[int, tuple[tuple[float, int], ...]]:
    others, looks = crowd()
    history, own = passing(swapped)
    refined = refine(together(others, history), TIMES, looks=looks | own)
    return {one: tuple((turn.start_s, turn.source) for turn in turns) for one, turns in refined.exchanged.items()}


def test_exchange_gives_back_whom_two_tracks_took_from_each_other() -> None:
    others, looks = crowd()
    history, own = passing(swapped=True)
    refined = refine(together(others, history), TIMES, looks=looks | own)
    assert set(refined.exchanged) == {1, 2}
    assert [turn.source for turn in refined.exchanged[1]] == [1, 2]
    when_s = refined.exchanged[1][1].start_s
    assert when_s == refined.exchanged[2][1].start_s == pytest.approx(MEET / FPS, abs=0.2)
    pieces = [(p.track_id, p.became) for p in refined.pieces if p.became in (1, 2)]
    assert pieces == [(1, 1), (2, 1), (2, 2), (1, 2)]
    assert not refined.cut
    first = refined.history[refined.history.track_ids == 1]
    assert (np.diff(boxes_at(first, TIMES[:100])[:, 0]) > 0).all()  # straight on, now
    assert len(refined.history) == len(set(zip(refined.history.times_s, refined.history.track_ids, strict=True)))


def test_exchange_leaves_alone_who_stayed_and_who_cannot_be_told() -> None:
    assert changed(swapped=True)
    assert not changed(swapped=False)
    others, looks = crowd()
    history, own = passing(swapped=True)
    assert not refine(together(others, history), TIMES, looks=looks | own, split=False).exchanged
    assert not refine(together(others, history), TIMES, looks=own).exchanged  # nobody to compare with
    alike = {one: Crops(seen.times_s, _mixed(seen, 0.97)) for one, seen in own.items()}
    assert not refine(together(others, history), TIMES, looks=looks | alike).exchanged  # in the same clothes
    unmet = together(others, history[history.track_ids == 1], shifted(history[history.track_ids == 2], 0, 150))
    assert not refine(unmet, TIMES, looks=looks | own).exchanged


def _mixed(seen: Crops, share: float) -> np.ndarray:
    """Crops that have most of their look in common."""
    mixed = np.sqrt(share) * AXES[10] + np.sqrt(1 - share) * seen.vectors
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), np.float32)


def test_exchange_and_back_again() -> None:
    """The two meet twice; they exchange at the first meeting and again at the second: two turns each."""
    f = np.arange(160)
    sway = 110 * np.cos(f * 2 * np.pi / 160)  # beside each other, together at 40 and at 120
    lanes = [walker(i, range(160), speed=0.0) for i in (1, 2)]
    boxes = [
        lane.boxes + np.stack([sign * sway, 0 * sway] * 2, 1).astype(np.float32) + 300
        for lane, sign in zip(lanes, (1, -1), strict=True)
    ]
    people = [
        History(lane.times_s, lane.track_ids, box, lane.scores, lane.measured)
        for lane, box in zip(lanes, boxes, strict=True)
    ]
    inside = (f >= 40) & (f < 120)
    parts = [
        p[mask].renamed(np.full(int(mask.sum()), i))
        for i, (one, other) in ((1, people), (2, people[::-1]))
        for p, mask in ((one, ~inside), (other, inside))
    ]
    crops = {}
    for i, (mine, theirs) in ((1, (8, 9)), (2, (9, 8))):
        middle = both(look(AXES[mine], range(0, 30, 8)), look(AXES[theirs], range(50, 110, 8)))
        crops[i] = both(middle, look(AXES[mine], range(132, 160, 8)))
    others, looks = crowd()
    refined = refine(together(others, *parts), TIMES, looks=looks | crops)
    assert [[turn.source for turn in refined.exchanged[i]] for i in (1, 2)] == [[1, 2, 1], [2, 1, 2]]
    assert {(p.track_id, p.became) for p in refined.pieces if p.became < 3} == {(1, 1), (2, 1), (2, 2), (1, 2)}
    one = refined.history[refined.history.track_ids == 1]
    assert np.abs(boxes_at(one, f / FPS) - people[0].boxes).max() < 12
