"""How a camera moves, from pictures: exact shifts of a picture with structure, people who walk before it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe.track.flow import CameraMotion
from reidpipe.track.steady import Steady
from reidpipe.types import Boxes, Detections, Image

FPS = 10.0
NOBODY = np.zeros((0, 4), np.float32)


def wall(width: int = 1000, height: int = 600) -> Image:
    """Blobs of many sizes: corners everywhere."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (height // 12, width // 12, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def view(picture: Image, x: int, y: int) -> Image:
    return np.ascontiguousarray(picture[y : y + 360, x : x + 640])


def test_flow_a_camera_that_stands_still_is_fixed_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    motion, picture = CameraMotion(), view(wall(), 100, 100)
    rng = np.random.default_rng(1)
    assert motion.state == "unknown"
    for k in range(30):
        noisy = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
        warp = motion.update(noisy, NOBODY, k / FPS)
        assert warp is None or np.abs(warp - np.eye(2, 3)).max() < 0.3
    assert (motion.state, motion.is_still, motion.moved) == ("fixed", True, 0)
    calls, real = [], cv2.goodFeaturesToTrack

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(cv2, "goodFeaturesToTrack", counted)
    assert all(motion.update(picture, NOBODY, k / FPS) is None for k in range(30, 60))
    assert 5 <= len(calls) <= 7  # a look every half second, no more


def test_flow_finds_a_pan_while_people_walk_the_other_way() -> None:
    motion, picture = CameraMotion(), wall()
    for k in range(30):
        image = view(picture, 20 + 7 * k, 60 + 2 * k)
        people = np.array([[300 + 9 * k, 100, 380 + 9 * k, 340], [200, 50, 260, 300]], np.float32)
        for x1, y1, x2, y2 in people.astype(int).tolist():
            image[y1:y2, x1:x2] = cv2.resize(picture[:90, 500:560], (x2 - x1, y2 - y1))[: 360 - y1, : 640 - x1]
        warp = motion.update(image, people, k / FPS)
        if k:
            assert warp is not None
            assert np.abs(warp[:, 2] - (-7, -2)).max() < 0.5
            assert np.abs(warp[:, :2] - np.eye(2)).max() < 0.01
    assert (motion.state, motion.is_still) == ("moving", False)


def test_flow_finds_a_zoom() -> None:
    motion, picture = CameraMotion(), view(wall(), 100, 100)
    for k in range(6):
        zoom = cv2.getRotationMatrix2D((320, 180), 0, 1.02**k)
        warp = motion.update(np.asarray(cv2.warpAffine(picture, zoom, (640, 360)), np.uint8), NOBODY, k / FPS)
    assert warp is not None
    assert abs(warp[0, 0] - 1.02) < 0.004
    assert np.abs(warp @ (320, 180, 1) - (320, 180)).max() < 0.7


def test_flow_notices_when_a_fixed_camera_is_turned_and_that_it_stands_still_again() -> None:
    motion, picture = CameraMotion(), wall()
    for k in range(100):
        x = 50 + 8 * min(max(k - 60, 0), 20)
        motion.update(view(picture, x, 60), NOBODY, k / FPS)
        if k == 59:
            assert motion.is_still
        if k == 75:
            assert not motion.is_still
    assert motion.moved > 0


@pytest.mark.parametrize("image", [np.zeros((360, 640, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)])
def test_flow_says_nothing_about_a_black_picture(image: Image) -> None:
    motion = CameraMotion()
    assert all(motion.update(image, NOBODY, k / FPS) is None for k in range(20))
    assert motion.state == "unknown"


def test_flow_survives_a_change_of_size_and_boxes_outside() -> None:
    motion, picture = CameraMotion(), wall()
    outside = np.array([[-1e5, -1e5, 1e5, -10], [700, 500, 9e8, 9e8]], np.float32)
    for k in range(12):
        image = view(picture, 10 * k, 0) if k < 6 else np.ascontiguousarray(picture[:480, 10 * k : 10 * k + 480])
        warp = motion.update(image, outside, k / FPS)
        assert (warp is None) == (k in (0, 6))


def test_steady_keeps_everybody_through_a_jump_of_the_camera_that_it_is_told() -> None:
    """Two people, too few to read the camera from: the picture jumps by the distance between them."""
    told, untold = Steady(), Steady()
    before = np.array([[100, 100, 140, 200], [400, 120, 440, 230]], np.float32)
    jump = np.array([[1.0, 0.0, 300.0], [0.0, 1.0, 10.0]])
    after: Boxes = before + np.array([300, 10, 300, 10], np.float32)
    scores = np.full(2, 0.9, np.float32)
    for k in range(10):
        for tracker in (told, untold):
            tracker.update(Detections(before, scores), k / 25)
    told.camera_moved(jump)
    assert len(told.wants(Detections(after, scores), 0.4)) == 2  # new looks, but nobody to confuse them with
    right, wrong = (tracker.update(Detections(after, scores), 0.4) for tracker in (told, untold))
    assert (right.track_ids.tolist(), right.det_rows.tolist()) == ([1, 2], [0, 1])
    assert wrong.det_rows.tolist()[:2] != [0, 1]  # the first now stands where the second stood
    fixed = Steady(moving_camera=False)
    fixed.update(Detections(before, scores), 0.0)
    fixed.camera_moved(jump)
    assert np.abs(fixed.predict(0.0).boxes - before).max() < 1.0
