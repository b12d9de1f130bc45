from __future__ import annotations

import cv2
import numpy as np
import pytest

from reidpipe.embed.crops import crop_edges, crops

WIDTH, HEIGHT = 100, 60


@pytest.mark.parametrize(
    ("box", "edges"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40)),
        ((10.4, 20.6, 29.2, 39.9), (10, 20, 30, 40)),
        ((-5, -5, 30, 40), (0, 0, 30, 40)),
        ((90, 50, 130, 90), (90, 50, 100, 60)),
        ((10.2, 20.2, 10.4, 20.4), (10, 20, 11, 21)),
        ((-50, -50, -10, -10), (0, 0, 1, 1)),
        ((200, 10, 220, 40), (99, 10, 100, 40)),
        ((10, 200, 40, 220), (10, 59, 40, 60)),
    ],
)
def test_crops_edges_hold_at_least_a_pixel(box: tuple[float, ...], edges: tuple[int, ...]) -> None:
    found = crop_edges(np.array([box], np.float32), width=WIDTH, height=HEIGHT)
    assert found.tolist() == [list(edges)]


def test_crops_refuse_boxes_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match="boxes must be finite"):
        crop_edges(np.array([[0, 0, np.nan, 4]], np.float32), width=WIDTH, height=HEIGHT)


def test_crops_of_a_mirrored_view() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)[:, ::-1]
    (found,) = crops([image], [np.array([[0, 0, 8, 8]], np.float32)], width=8, height=8)
    np.testing.assert_array_equal(found, image)


def test_crops_come_in_order_and_resized_bilinearly() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), rng.integers(0, 256, (30, 40, 3), np.uint8)]
    boxes = [
        np.array([[0, 0, 20, 30], [70, 10, 100, 60]], np.float32),
        np.array([[10, 5, 40, 30]], np.float32),
    ]
    found = list(crops(images, boxes, width=16, height=32))
    parts = [images[0][:30, :20], images[0][10:60, 70:100], images[1][5:30, 10:40]]
    assert len(found) == 3
    for crop, part in zip(found, parts, strict=True):
        np.testing.assert_array_equal(crop, cv2.resize(part, (16, 32), interpolation=cv2.INTER_LINEAR))


def test_crops_need_boxes_for_every_image() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(crops([np.zeros((4, 4, 3), np.uint8)] * 2, [np.zeros((0, 4), np.float32)], width=4, height=4))
