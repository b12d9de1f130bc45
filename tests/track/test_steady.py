from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reidpipe.track.steady import Steady
from reidpipe.types import Detections
from tests.track.scene import Scene


def ids_per_person(tracker: Steady, scene: Scene, count: int, *, pan: float = 0.0) -> dict[int, set[int]]:
    """Person -> the ids it had. ``pan``: pixels per second that the camera turns."""
    seen: dict[int, set[int]] = {}
    for time_s, detections, who in scene.pictures_with_truth(count):
        move = np.float32(pan * time_s) * np.array([1, 0, 1, 0], np.float32)
        tracks = tracker.update(Detections(detections.boxes + move, detections.scores), time_s)
        for track_id, row in zip(tracks.track_ids.tolist(), tracks.det_rows.tolist(), strict=True):
            if row >= 0 and who[row] >= 0:
                seen.setdefault(int(who[row]), set()).add(track_id)
    return seen


@pytest.mark.parametrize("fps", [30.0, 10.0, 5.0, 2.0])
def test_steady_keeps_ids_at_any_frame_rate(fps: float) -> None:
    scene = Scene(people=8, seed=11, fps=fps, miss=0.02, clutter=0.0)
    seen = ids_per_person(Steady(), scene, round(6 * fps))
    assert len(seen) == 8
    assert all(len(ids) == 1 for ids in seen.values())


def test_steady_keeps_ids_when_the_camera_jerks() -> None:
    scene = Scene(people=8, seed=12, fps=5.0, miss=0.0, clutter=0.0)
    for moving, at_most in ((True, 8), (False, 1000)):
        tracker, ids = Steady(moving_camera=moving), set()
        for k, (time_s, detections, _) in enumerate(scene.pictures_with_truth(40)):
            jerk = np.float32(150 * (k // 8)) * np.array([1, 0, 1, 0], np.float32)
            tracks = tracker.update(Detections(detections.boxes + jerk, detections.scores), time_s)
            ids |= set(tracks.track_ids.tolist())
        assert len(ids) <= at_most
        assert (len(ids) > 8) is not moving


def test_steady_coasts_one_short_miss() -> None:
    box = np.array([[100, 100, 150, 250]], np.float32)
    tracker = Steady(coast_s=0.1)
    for k in range(6):
        tracker.update(Detections(box + 2 * k, np.array([0.9], np.float32)), k / 30)
    missed = tracker.update(Detections.empty(), 6 / 30)
    assert missed.det_rows.tolist() == [-1]
    assert np.abs(missed.boxes - (box + 12)).max() < 4
    assert len(tracker.update(Detections.empty(), 10 / 30)) == 0


@pytest.mark.real
def test_steady_beats_bytetrack_on_real_detections(shared_data: Path) -> None:
    """Floors just under what docs/tracker.md states; the peers' best is 67.7 / 77.8 / 79.7."""
    from tools.bench_trackers import evaluate, load

    scores = evaluate("steady", load(shared_data / "mot17_val_half", detections="YOLOX_ablation"), {}).combined
    assert scores["HOTA"] >= 69.4
    assert scores["MOTA"] >= 78.4
    assert scores["IDF1"] >= 82.0


@pytest.mark.real
def test_bytetrack_is_not_below_its_peers_on_real_detections(shared_data: Path) -> None:
    from tools.bench_trackers import evaluate, load

    scores = evaluate("bytetrack", load(shared_data / "mot17_val_half", detections="YOLOX_ablation"), {}).combined
    assert scores["HOTA"] >= 67.7
    assert scores["MOTA"] >= 77.8
    assert scores["IDF1"] >= 79.7
