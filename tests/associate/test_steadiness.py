"""How alike people are to themselves is learned from their own tracks, and moves what a cosine means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reidpipe.associate.calibrate import Calibration, Scale
from reidpipe.associate.likeness import UNKNOWN
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.scene import see
from reidpipe.associate.steadiness import EASE, measure, steadiness
from reidpipe.types import TrackKey, Tracklet, Vectors


def unit(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def tracks(*, hidden: float, people: int = 6, cameras: int = 2, seed: int = 0, crops: int = 6) -> list[Tracklet]:
    """Everybody in each camera; of each crop so much (0..1) is something else, the same for no two crops."""
    rng = np.random.default_rng(seed)
    looks, out = rng.normal(size=(people, 128)), []
    for camera in range(cameras):
        for person in range(people):
            rows = (1 - hidden) * looks[person] + hidden * rng.normal(size=(crops, 128))
            start = 100.0 * camera + 10.0 * person
            times = np.asarray(start + np.arange(crops), np.float64)
            key = TrackKey(f"cam{camera}", person)
            vector = unit(rows.mean(axis=0))
            out.append(
                Tracklet(key, vector, crops, 0.8, start, start + crops, True, unit(rows), prototype_times_s=times)
            )
    return out


def test_steadiness_falls_when_half_of_everybody_is_hidden() -> None:
    clear, dim = measure(see(tracks(hidden=0.35))), measure(see(tracks(hidden=0.68)))
    assert EASE[0] <= dim.ease < 0.8 * clear.ease <= EASE[1]


def test_steadiness_needs_crops_that_are_apart_in_time() -> None:
    def hurried(tracklet: Tracklet) -> Tracklet:
        return replace(tracklet, prototype_times_s=np.asarray(tracklet.first_s + np.arange(6) * 0.05, np.float64))

    scene = see([hurried(t) for t in tracks(hidden=0.5)])
    assert len(steadiness(scene, Scale())) == 0
    assert measure(scene).ease == 1.0
    assert measure(see([replace(t, prototypes=None, prototype_times_s=None) for t in tracks(hidden=0.5)])).ease == 1.0


def test_steadiness_of_few_tracks_changes_little() -> None:
    everybody = tracks(hidden=0.68)
    many, few = measure(see(everybody)), measure(see([everybody[0], everybody[6]]))
    assert many.ease < few.ease <= 1.0


def test_eased_calibration_asks_for_less_where_people_are_less_alike() -> None:
    plain = Calibration(slope=16.0, even=0.4)
    assert plain.eased(1.0) == plain
    eased = plain.eased(0.5)
    assert eased.even == pytest.approx(0.2)
    assert 0 < eased.slope < plain.slope
    assert eased.limit(-3.0) < plain.limit(-3.0)


def test_offline_says_how_steady_people_were() -> None:
    offline = OfflineAssociator(likeness=UNKNOWN)
    offline.update(tracks(hidden=0.68), 0.0)
    offline.close()
    assert offline.report["scale"]["ease"] < 0.8
