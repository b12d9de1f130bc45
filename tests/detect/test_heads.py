"""Every format by a table computed by hand. An input of 64 x 32 (height x width) has 32 + 8 + 2 = 42 cells."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.detect.heads import HEADS, Raw, cells, class_count, decode, tell_head, tell_one_per_cell

HEIGHT, WIDTH = 64, 32
PERSON = np.array([0], np.int64)


def read(head: str, output: np.ndarray, *, wanted: np.ndarray = PERSON, min_score: float = 0.25) -> Raw:
    return decode(head, output, height=HEIGHT, width=WIDTH, wanted=wanted, min_score=min_score)


@pytest.mark.parametrize(
    ("shape", "size", "class_count", "end2end", "head"),
    [
        ((1, 25200, 85), 640, 80, False, "v5"),
        ((1, 25200, 6), 640, 1, False, "v5"),
        ((1, 25500, 85), 640, None, False, "v5"),  # P6
        ((1, 84, 8400), 640, 80, False, "v8"),
        ((4, 5, 8400), 640, 1, False, "v8"),
        ((1, 84, 2100), 320, None, False, "v8"),
        ((1, 8400, 84), 640, 80, False, "v8-rows"),
        ((1, 8400, 5), 640, None, False, "v8-rows"),
        ((1, 300, 6), 640, 80, False, "end2end"),
        ((2, 300, 6), 640, None, False, "end2end"),
        ((1, 2100, 6), 320, 2, True, "end2end"),
        ((1, 8400, 85), 640, 80, False, "yolox"),
        ((1, 3549, 85), 416, None, False, "yolox"),
        ((1, 8400, 6), 640, 1, False, "yolox"),
        ((1, 1000), 640, None, False, None),
        ((1, 512), 640, None, False, None),
        ((1, 100, 7), 640, None, False, None),
        ((1, 21, 64, 64), 640, None, False, None),
    ],
)
def test_heads_are_told_by_shape(
    shape: tuple[int, ...], size: int, class_count: int | None, end2end: bool, head: str | None
) -> None:
    assert tell_head(shape, height=size, width=size, class_count=class_count, end2end=end2end) == head


def test_heads_count_cells_of_sides_that_are_no_multiple_of_the_stride() -> None:
    assert cells(640, 640) == (8400, 8500)
    assert cells(64, 32) == (42, 43)
    assert cells(60, 30) == (42, 43)


@pytest.mark.parametrize(
    ("head", "shape", "count"), [("v5", (1, 126, 85), 80), ("v8", (1, 84, 42), 80), ("end2end", (1, 300, 6), None)]
)
def test_heads_count_classes(head: str, shape: tuple[int, ...], count: int | None) -> None:
    assert class_count(head, shape) == count


def test_heads_v5_multiplies_objectness_and_class() -> None:
    output = np.zeros((126, 7), np.float32)
    output[3] = [16, 32, 8, 20, 0.8, 0.5, 0.1]  # 0.8 * 0.5 = 0.4
    output[5] = [16, 32, 8, 20, 0.8, 0.3, 0.1]  # 0.24: not enough
    output[7] = [16, 32, 8, 20, 0.9, 0.4, 0.9]  # is the other class
    raw = read("v5", output)
    np.testing.assert_allclose(raw.boxes, [[12, 22, 20, 42]])
    np.testing.assert_allclose(raw.scores, [0.4], atol=1e-6)
    np.testing.assert_array_equal(raw.classes, [0])


def test_heads_v8_has_no_objectness() -> None:
    output = np.zeros((6, 42), np.float32)
    output[:, 2] = [10, 20, 4, 8, 0.9, 0.2]
    output[:, 4] = [10, 20, 4, 8, 0.3, 0.6]  # is the other class
    output[:, 6] = [10, 20, 4, 8, 0.2, 0.1]
    raw = read("v8", output)
    np.testing.assert_allclose(raw.boxes, [[8, 16, 12, 24]])
    np.testing.assert_allclose(raw.scores, [0.9], atol=1e-6)
    both = read("v8", output, wanted=np.array([0, 1], np.int64))
    np.testing.assert_array_equal(both.classes, [0, 1])
    np.testing.assert_array_equal(read("v8-rows", output.T).boxes, raw.boxes)


def test_heads_end2end_rows_are_ready() -> None:
    output = np.array([[1, 2, 3, 4, 0.9, 0], [1, 2, 3, 4, 0.8, 5], [0, 0, 0, 0, 0, 0]], np.float32)
    raw = read("end2end", output)
    np.testing.assert_allclose(raw.boxes, [[1, 2, 3, 4]])
    np.testing.assert_allclose(raw.scores, [0.9])


@pytest.mark.parametrize(
    ("row", "corner", "stride"),
    [
        (0, (0, 0), 8),
        (5, (1, 1), 8),
        (31, (3, 7), 8),
        (32, (0, 0), 16),
        (35, (1, 1), 16),
        (40, (0, 0), 32),
        (41, (0, 1), 32),
    ],
)
def test_heads_yolox_decodes_with_the_cell_of_the_row(row: int, corner: tuple[int, int], stride: int) -> None:
    output = np.zeros((42, 6), np.float32)
    output[row] = [0.25, 0.5, np.log(2), np.log(3), 0.9, 0.9]
    raw = read("yolox", output)
    x, y = (corner[0] + 0.25) * stride, (corner[1] + 0.5) * stride
    np.testing.assert_allclose(raw.boxes, [[x - stride, y - 1.5 * stride, x + stride, y + 1.5 * stride]], rtol=1e-5)
    np.testing.assert_allclose(raw.scores, [0.81], atol=1e-6)


def test_heads_yolox_with_a_fourth_stride() -> None:
    output = np.zeros((43, 6), np.float32)
    output[42] = [0.5, 0.5, 0, 0, 1, 1]
    np.testing.assert_allclose(read("yolox", output).boxes, [[0, 0, 64, 64]])


@pytest.mark.parametrize("head", sorted(HEADS))
def test_heads_of_nothing_give_nothing(head: str) -> None:
    output = np.zeros((6, 42) if head == "v8" else (42, 6), np.float32)
    raw = read(head, output)
    assert (raw.boxes.shape, raw.scores.shape, raw.classes.shape) == ((0, 4), (0,), (0,))
    assert raw.boxes.dtype == np.float32


@pytest.mark.parametrize("head", sorted(HEADS))
def test_heads_read_float16_and_answer_in_float32(head: str) -> None:
    output = np.full((6, 42) if head == "v8" else (42, 6), 0.5, np.float16)
    if head == "end2end":
        output[:, 5] = 0
    raw = read(head, output, wanted=np.array([0, 1], np.int64), min_score=0.2)
    assert raw.boxes.dtype == raw.scores.dtype == np.float32
    assert len(raw.boxes) == 42


def test_heads_survive_values_that_are_not_finite() -> None:
    output = np.full((42, 6), np.nan, np.float32)
    assert len(read("yolox", output).boxes) == 0
    output[3] = [np.inf, 0, 900, 900, 1, 1]
    assert read("yolox", output).scores.tolist() == [1.0]  # the detector drops such boxes


def test_heads_with_one_row_per_cell_are_told_by_their_values() -> None:
    rng = np.random.default_rng(0)
    raw = rng.random((1, 42, 6), np.float32)
    assert tell_one_per_cell(raw, height=HEIGHT, width=WIDTH) == "yolox"
    pixels = raw.copy()
    pixels[0, :, 0], pixels[0, :, 1] = np.linspace(2, WIDTH, 42), np.linspace(2, HEIGHT, 42)
    assert tell_one_per_cell(pixels, height=HEIGHT, width=WIDTH) == "yolox-px"
    pixels[..., 4] = 1
    assert tell_one_per_cell(pixels, height=HEIGHT, width=WIDTH) == "v6"
