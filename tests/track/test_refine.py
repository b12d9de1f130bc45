from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.track.bytetrack import ByteTrack
from reidpipe.track.refine import Crops, History, refine
from reidpipe.types import Vectors
from tests.track.scene import Scene

FPS = 30.0


def walker(track_id: int, frames: range, *, x: float = 0.0, speed: float = 4.0) -> History:
    f = np.array(frames)
    left = x + speed * f
    boxes = np.stack((left, np.full(len(f), 50.0), left + 40, np.full(len(f), 150.0)), axis=1).astype(np.float32)
    return History(
        f / FPS, np.full(len(f), track_id), boxes, np.full(len(f), 0.9, np.float32), np.ones(len(f), np.bool_)
    )


def together(*parts: History) -> History:
    return History.joined(list(parts))


TIMES = np.arange(200) / FPS


def test_refine_fills_a_short_gap_and_leaves_a_long_one() -> None:
    history = together(walker(1, range(0, 30)), walker(1, range(40, 60)), walker(1, range(100, 130)))
    refined = refine(history, TIMES).history
    got = np.round(refined.times_s * FPS).astype(int).tolist()
    assert got == [*range(60), *range(100, 130)]
    filled = refined[~refined.measured]
    expected = walker(1, range(30, 40)).boxes
    assert np.abs(filled.boxes - expected).max() < 2.0


def test_refine_joins_the_fragments_of_one_walk() -> None:
    history = together(walker(1, range(0, 40)), walker(7, range(60, 100)), walker(9, range(110, 150)))
    refined = refine(history, TIMES)
    assert dict(refined.joined) == {7: 1, 9: 1}
    assert set(refined.history.track_ids.tolist()) == {1}


def test_refine_does_not_join_who_is_somewhere_else_or_there_at_the_same_time() -> None:
    elsewhere = together(walker(1, range(0, 40)), walker(2, range(60, 100), x=300))
    assert not refine(elsewhere, TIMES).joined
    beside = together(walker(1, range(0, 40)), walker(2, range(35, 80), x=25))
    assert not refine(beside, TIMES).joined
    late = together(walker(1, range(0, 40)), walker(2, range(100, 140)))
    assert not refine(late, TIMES).joined
    assert not refine(together(walker(1, range(0, 40)), walker(7, range(60, 100))), TIMES, join_gap_s=0).joined


def second_box(frames: range) -> History:
    """On the walker, but down to the hips only."""
    whole = walker(2, frames)
    boxes = whole.boxes - np.array([0, 0, 0, 35], np.float32)
    return History(whole.times_s, whole.track_ids, boxes, whole.scores, whole.measured)


def test_refine_a_track_hands_over_to_a_second_box_on_the_same_person() -> None:
    first, second = walker(1, range(0, 40)), second_box(range(36, 80))
    refined = refine(together(first, second), TIMES)
    assert dict(refined.joined) == {2: 1}
    assert [(p.track_id, round(p.first_s * FPS), round(p.last_s * FPS)) for p in refined.pieces] == [
        (1, 0, 35),
        (2, 36, 79),
    ]
    assert np.round(refined.history.times_s * FPS).astype(int).tolist() == list(range(80))  # nobody is there twice
    assert np.abs(refined.history.boxes[50:70] - second.boxes[14:34]).max() < 2
    long = refine(together(walker(1, range(0, 120)), second_box(range(36, 150))), TIMES)  # however long both are there
    assert dict(long.joined) == {2: 1}


def test_refine_a_track_hands_over_where_the_two_boxes_take_turns() -> None:
    one, other = walker(1, range(0, 50)), second_box(range(40, 90))
    turns = together(one[(one.times_s * FPS < 40) | (np.arange(50) % 2 == 0)], other[np.arange(50) % 2 == 1])
    assert dict(refine(turns, TIMES).joined) == {2: 1}


def test_refine_hands_over_from_the_visible_part_of_somebody_where_the_looks_say_one_person() -> None:
    whole = walker(1, range(0, 40))
    visible = History(
        whole.times_s, whole.track_ids, whole.boxes - np.array([0, 0, 0, 65], np.float32), whole.scores, whole.measured
    )
    both = together(visible, walker(2, range(36, 80)))
    assert not refine(both, TIMES).joined  # less than half overlaps: somebody else, for all that is known
    others, looks = crowd()
    same = {1: look(AXES[8], range(0, 40, 10)), 2: look(AXES[8], range(36, 80, 10))}
    assert dict(refine(together(others, both), TIMES, looks=looks | same).joined) == {2: 1}
    beside = together(others, shifted(visible, 25, 0), walker(2, range(36, 80)))  # alike, but not inside
    assert not refine(beside, TIMES, looks=looks | same).joined


def test_refine_does_not_hand_over_to_who_crosses_or_stays_beside_or_looks_strange() -> None:
    across = walker(2, range(34, 80), x=8 * 34, speed=-4.0)  # comes out from behind the other, the other way
    assert not refine(together(walker(1, range(0, 40)), across), TIMES).joined
    parting = together(second_box(range(36, 90)), shifted(walker(2, range(90, 150)), 60, 0))
    assert not refine(together(walker(1, range(0, 120)), parting), TIMES).joined  # beside each other, and then not
    assert not refine(together(walker(1, range(0, 60)), second_box(range(36, 50))), TIMES).joined  # only the first does
    assert not refine(together(walker(1, range(0, 40)), second_box(range(36, 80))), TIMES, join_gap_s=0).joined
    others, looks = crowd()
    looks |= {1: look(AXES[8], range(0, 40, 10)), 2: look(AXES[9], range(36, 80, 10))}
    assert not refine(together(others, walker(1, range(0, 40)), second_box(range(36, 80))), TIMES, looks=looks).joined


AXES = np.eye(16, dtype=np.float32)


def crowd() -> tuple[History, dict[int, Crops]]:
    """Six people in lanes of their own, all there at the same time: fifteen pairs of strangers, all cosines 0.1."""
    base = np.sqrt(0.1) * AXES[15]
    parts = [shifted(walker(20 + k, range(0, 60)), 0, 200 * (k + 1)) for k in range(6)]
    looks = {20 + k: look(base + np.sqrt(0.9) * AXES[k], range(0, 60, 10)) for k in range(6)}
    return together(*parts), looks


def shifted(history: History, x: float, y: float) -> History:
    boxes = history.boxes + np.array([x, y, x, y], np.float32)
    return History(history.times_s, history.track_ids, boxes, history.scores, history.measured)


def look(vector: Vectors, frames: range) -> Crops:
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Crops(np.array(frames) / FPS, np.tile(unit, (len(frames), 1)))


def both(one: Crops, other: Crops) -> Crops:
    return Crops(np.concatenate((one.times_s, other.times_s)), np.concatenate((one.vectors, other.vectors)))


def test_refine_does_not_join_two_looks() -> None:
    others, looks = crowd()
    history = together(others, walker(1, range(0, 40)), walker(7, range(60, 100)))
    early, late = range(0, 40, 10), range(60, 100, 10)
    same = {1: look(AXES[8], early), 7: look(AXES[8], late)}
    differ = {1: look(AXES[8], early), 7: look(AXES[9], late)}
    assert dict(refine(history, TIMES, looks=looks | same).joined) == {7: 1}
    assert not refine(history, TIMES, looks=looks | differ).joined
    assert dict(refine(history, TIMES, looks=differ).joined) == {7: 1}  # nobody to compare with: motion decides


def test_refine_joins_by_look_who_moved_as_nobody_expected_but_nobody_out_of_reach() -> None:
    others, looks = crowd()
    near, far = shifted(walker(7, range(60, 100)), -240, 0), shifted(walker(7, range(60, 100)), 700, 0)
    same = {1: look(AXES[8], range(0, 40, 10)), 7: look(AXES[8], range(60, 100, 10))}
    first = together(others, walker(1, range(0, 40)))
    assert not refine(together(first, near), TIMES).joined
    assert dict(refine(together(first, near), TIMES, looks=looks | same).joined) == {7: 1}
    assert not refine(together(first, far), TIMES, looks=looks | same).joined


def test_refine_cuts_a_track_that_goes_over_to_somebody_else() -> None:
    """In picture 30 the track jumps half a body to the side; the crops say that it is another person from then on."""
    others, looks = crowd()
    track = together(walker(1, range(0, 30)), shifted(walker(1, range(30, 60)), 25, 0))
    changed = both(look(AXES[8], range(0, 25, 5)), look(AXES[9], range(34, 60, 5)))
    refined = refine(together(others, track), TIMES, looks=looks | {1: changed})
    assert refined.cut == {1: (30 / FPS,)}
    pieces = [p for p in refined.pieces if p.track_id == 1]
    assert [(round(p.first_s * FPS), round(p.last_s * FPS), p.became) for p in pieces] == [(0, 29, 1), (30, 59, 26)]
    assert not set(refined.joined) & {26}
    late = refined.history[refined.history.track_ids == 26]
    assert round(late.times_s[late.measured][0] * FPS) == 30
    assert not refine(together(others, track), TIMES, looks=looks | {1: changed}, split=False).cut
    assert not refine(together(others, track), TIMES, looks={1: changed}).cut  # nobody to compare with


def test_refine_does_not_cut_for_a_bad_crop_or_a_slow_change() -> None:
    others, looks = crowd()
    one_bad = look(AXES[8], range(0, 60, 10))
    one_bad.vectors[3] = AXES[9]
    turn = np.linspace(0, 1.2, 12)
    turning = Crops(np.arange(12) * 5 / FPS, (np.cos(turn)[:, None] * AXES[8] + np.sin(turn)[:, None] * AXES[9]))
    for seen in (one_bad, turning):
        assert not refine(together(others, walker(1, range(0, 60))), TIMES, looks=looks | {1: seen}).cut


def test_refine_drops_what_lives_too_short() -> None:
    refined = refine(together(walker(1, range(0, 40)), walker(2, range(0, 6), x=500)), TIMES)
    assert refined.dropped == (2,)
    assert set(refined.history.track_ids.tolist()) == {1}


def test_refine_is_smoother_than_what_came_in() -> None:
    rng = np.random.default_rng(0)
    clean = walker(1, range(0, 120))
    noisy = History(
        clean.times_s,
        clean.track_ids,
        clean.boxes + rng.normal(0, 2, clean.boxes.shape).astype(np.float32),
        clean.scores,
        clean.measured,
    )
    refined = refine(noisy, TIMES).history
    assert np.abs(refined.boxes - clean.boxes).mean() < 0.7 * np.abs(noisy.boxes - clean.boxes).mean()


def test_refine_nothing() -> None:
    refined = refine(History.collect([]), TIMES)
    assert len(refined.history) == 0
    assert refined.dropped == ()


def test_refine_takes_what_a_tracker_gave_and_leaves_it_alone() -> None:
    tracker, pictures = ByteTrack(coast_s=0.1), []
    for time_s, detections in Scene(people=5, seed=3, miss=0.2).pictures(90):
        pictures.append((time_s, detections, tracker.update(detections, time_s)))
    history = History.collect(pictures)
    copies = [getattr(history, name).copy() for name in history.__slots__]
    refined = refine(history, np.array([p[0] for p in pictures])).history
    assert all(np.array_equal(a, getattr(history, n)) for a, n in zip(copies, history.__slots__, strict=True))
    assert len(refined) > history.measured.sum()
    keys = set(zip(refined.times_s.tolist(), refined.track_ids.tolist(), strict=True))
    assert len(keys) == len(refined)
    assert (np.diff(refined.times_s) >= 0).all()


def test_refine_refuses_limits_out_of_range() -> None:
    with pytest.raises(ConfigError, match="fill_gap_s"):
        refine(History.collect([]), TIMES, fill_gap_s=-1)


@pytest.mark.real
@pytest.mark.slow
def test_refine_on_real_detections(shared_data: Path) -> None:
    """Floors just under what docs/tracker.md states."""
    from tools.bench_trackers import evaluate, load

    sequences = load(shared_data / "mot17_val_half", detections="YOLOX_ablation")
    scores = evaluate("steady", sequences, {}, refined=True).combined
    assert scores["HOTA"] >= 72.1
    assert scores["MOTA"] >= 81.0
    assert scores["IDF1"] >= 84.5
