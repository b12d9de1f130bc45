from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reidpipe.boxes import area, clip, iou, letterbox, nms, resize, valid
from reidpipe.types import Boxes, Scores


def boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, np.float32).reshape(-1, 4)


def slow_nms(rows: Boxes, scores: Scores, max_iou: float) -> list[int]:
    left = sorted(range(len(rows)), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if iou(rows[best : best + 1], rows[i : i + 1])[0, 0] <= max_iou]
    return kept


def random_boxes(seed: int, count: int, *, size: float = 100) -> tuple[Boxes, Scores]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, size, (count, 2))
    rows = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], axis=1).astype(np.float32)
    return rows, np.round(rng.random(count), 2).astype(np.float32)  # rounded: ties occur


def test_boxes_iou_by_hand() -> None:
    a = boxes((0, 0, 10, 10), (0, 0, 0, 10))
    b = boxes((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (2, 2, 4, 4))
    np.testing.assert_allclose(iou(a, b), np.array([[1, 1 / 3, 0, 0.04], [0, 0, 0, 0]]), atol=1e-6)


def test_boxes_iou_of_none() -> None:
    assert iou(boxes(), boxes((0, 0, 1, 1))).shape == (0, 1)
    assert iou(boxes((0, 0, 1, 1)), boxes()).shape == (1, 0)


def test_boxes_area_counts_inverted_as_zero() -> None:
    np.testing.assert_array_equal(area(boxes((0, 0, 2, 3), (2, 0, 0, 3))), [6, 0])


def test_boxes_valid_by_hand() -> None:
    rows = boxes((0, 0, 1, 1), (0, 0, 0, 1), (np.nan, 0, 1, 1), (0, 0, np.inf, 1), (2, 0, 1, 1))
    np.testing.assert_array_equal(valid(rows), [True, False, False, False, False])
    np.testing.assert_array_equal(valid(rows[:1], min_side=1), [False])


def test_boxes_clip_keeps_float32() -> None:
    clipped = clip(boxes((-5, -5, 700, 500), (900, 0, 950, 10)), width=640, height=480)
    assert clipped.dtype == np.float32
    np.testing.assert_array_equal(clipped, [[0, 0, 640, 480], [640, 0, 640, 10]])


def test_boxes_nms_by_hand_best_first_and_ties_by_row() -> None:
    rows = boxes((0, 0, 10, 10), (1, 0, 11, 10), (20, 0, 30, 10), (0, 0, 10, 10))
    scores = np.array([0.5, 0.9, 0.9, 0.5], np.float32)
    np.testing.assert_array_equal(nms(rows, scores, max_iou=0.5), [1, 2])
    np.testing.assert_array_equal(nms(rows, scores, max_iou=0.9), [1, 2, 0])


def test_boxes_nms_of_a_chain_spares_the_third() -> None:
    rows = boxes((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10), (12, 0, 22, 10))
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    np.testing.assert_array_equal(nms(rows, scores, max_iou=0.3), [0, 2])


def test_boxes_nms_of_none() -> None:
    kept = nms(boxes(), np.zeros(0, np.float32), max_iou=0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.1, 0.45, 0.7, 0.95]))
def test_boxes_nms_equals_the_slow_way(seed: int, count: int, max_iou: float) -> None:
    rows, scores = random_boxes(seed, count)
    assert nms(rows, scores, max_iou=max_iou).tolist() == slow_nms(rows, scores, max_iou)


def test_boxes_nms_equals_the_slow_way_over_several_blocks() -> None:
    rows, scores = random_boxes(3, 400, size=250)
    assert nms(rows, scores, max_iou=0.4).tolist() == slow_nms(rows, scores, 0.4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2200),
    st.integers(1, 2200),
    st.integers(1, 30),
    st.integers(1, 30),
    arrays(np.float32, (5, 4), elements=st.floats(0, 1, width=32)),
)
def test_boxes_letterbox_and_back_is_exact_to_half_a_pixel(
    width: int, height: int, columns: int, rows: int, unit: Boxes
) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    fitted, mapping = letterbox(picture, width=columns * 32, height=rows * 32)
    assert fitted.shape == (rows * 32, columns * 32, 3)
    given_boxes = unit * np.array([width, height, width, height], np.float32)
    there = mapping.to_input(given_boxes)
    assert (there >= -1e-3).all()
    assert (there[:, [0, 2]] <= columns * 32 + 1e-2).all()
    assert (there[:, [1, 3]] <= rows * 32 + 1e-2).all()
    back = mapping.to_image(there)
    assert np.abs(back - given_boxes).max() < 0.5


def test_boxes_letterbox_centres_and_fills_with_grey() -> None:
    fitted, mapping = letterbox(np.full((100, 200, 3), 7, np.uint8), width=64, height=64)
    assert (mapping.left, mapping.top) == (0, 16)
    assert (fitted[:16] == 114).all()
    assert (fitted[16:48] == 7).all()
    assert (fitted[48:] == 114).all()
    np.testing.assert_allclose(mapping.to_input(boxes((0, 0, 200, 100))), [[0, 16, 64, 48]])


def test_boxes_letterbox_leaves_a_fitting_picture_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    fitted, mapping = letterbox(picture, width=96, height=64)
    np.testing.assert_array_equal(fitted, picture)
    assert (mapping.scale_x, mapping.scale_y, mapping.left, mapping.top) == (1.0, 1.0, 0, 0)


def test_boxes_resize_averages_what_a_bilinear_step_would_miss() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 240  # an eighth is bright
    assert abs(float(resize(stripes, width=8, height=8).mean()) - 30) <= 1
    assert abs(float(resize(stripes.transpose(1, 0, 2), width=8, height=8).mean()) - 30) <= 1


def test_boxes_resize_halves_each_side_by_itself() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 16, 3), np.uint8)
    expected = picture.reshape(16, 4, 16, 3).astype(float).mean(axis=1)
    assert np.abs(resize(picture, width=16, height=16) - expected).max() <= 1.5


def test_boxes_resize_is_plain_bilinear_when_not_much_smaller() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 30, 3), np.uint8)
    for width, height in ((16, 21), (60, 80), (30, 40)):
        expected = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(resize(picture, width=width, height=height), expected)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (2000, 3)])
def test_boxes_letterbox_of_odd_pictures(width: int, height: int) -> None:
    fitted, _ = letterbox(np.zeros((height, width, 3), np.uint8), width=64, height=64)
    assert fitted.shape == (64, 64, 3)
    assert fitted.dtype == np.uint8
