"""What leaves the process shows nobody."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.sinks.blur import Blur, Hider, blur_people, blurred
from reidpipe.types import Detections, Frame, FrameResult, Image, Tracks

BOXES = np.array([[20, 20, 60, 120], [150, -30, 260, 90]], np.float32)


def noise() -> Image:
    return np.random.default_rng(0).integers(0, 255, (160, 200, 3), dtype=np.uint8)


def colours(patch: Image) -> int:
    return len(np.unique(patch.reshape(-1, 3), axis=0))


def test_blur_people_leaves_a_few_squares_of_each_and_the_rest_alone() -> None:
    image = noise()
    before = image.copy()
    shown = blur_people(image, BOXES, "people")
    np.testing.assert_array_equal(image, before)
    assert colours(shown[20:120, 20:60]) <= 8 * 20
    assert colours(shown[0:90, 150:200]) <= 8 * 20
    outside = np.ones((160, 200), np.bool_)
    outside[12:128, 16:64] = outside[0:100, 141:200] = False
    np.testing.assert_array_equal(shown[outside], image[outside])
    assert (shown[20:120, 20:60] != image[20:120, 20:60]).any(axis=2).mean() > 0.95


def test_blur_heads_leaves_the_body() -> None:
    image = noise()
    shown = blur_people(image, BOXES[:1], "heads")
    assert (shown[20:45, 20:60] != image[20:45, 20:60]).any(axis=2).mean() > 0.95
    np.testing.assert_array_equal(shown[46:], image[46:])


def test_blur_survives_boxes_at_the_border_and_slivers() -> None:
    boxes = np.array(
        [[-50, -50, -10, -10], [199, 0, 199.5, 160], [0, 159.6, 200, 160], [-1e5, -1e5, 1e5, 1e5]], np.float32
    )
    for what in ("people", "heads"):
        assert blur_people(noise(), boxes, what).shape == (160, 200, 3)


@pytest.mark.parametrize("what", ["nobody", "people", "heads"])
def test_blurred_result_differs_in_its_picture_only(what: Blur) -> None:
    ids = np.array([1, 2])
    tracks = Tracks(ids, BOXES, np.ones(2, np.float32), ids - 1)
    result = FrameResult(Frame("a", 3, 0.3, noise()), tracks, ids)
    shown = blurred(result, what)
    assert (shown is result) == (what == "nobody")
    assert shown.tracks is result.tracks
    assert (shown.frame.camera, shown.frame.index, shown.frame.time_s) == ("a", 3, 0.3)
    np.testing.assert_array_equal(result.frame.image, noise())
    replayed = FrameResult(Frame.without_image("a", 0, 0.0), tracks, ids)
    assert blurred(replayed, what) is replayed


def test_hider_hides_who_is_seen_and_not_tracked_also_in_pictures_that_are_not_detected() -> None:
    hider = Hider("people")
    found = Detections(BOXES[:1], np.ones(1, np.float32))

    def shown(index: int, seen: Detections | None) -> float:
        result = FrameResult(Frame("a", index, index / 10, noise()), Tracks.empty(), np.zeros(0, np.int64))
        image = hider.hide(result, seen).frame.image
        return float((image[20:120, 20:60] != noise()[20:120, 20:60]).any(axis=2).mean())

    assert shown(0, None) == 0.0
    assert shown(1, found) > 0.95
    assert shown(2, None) > 0.95
    assert shown(3, Detections.empty()) == 0.0
    result = FrameResult(Frame("a", 4, 0.4, noise()), Tracks.empty(), np.zeros(0, np.int64))
    assert Hider("nobody").hide(result, found) is result
