from __future__ import annotations

import numpy as np

from reidpipe.pool.quality import box_quality, covered, sharpness


def test_quality_covered_counts_who_stands_in_front_more() -> None:
    boxes = np.array([[0, 0, 10, 20], [5, 0, 15, 30]], np.float32)
    # Half of the first is taken by the one in front; a third of the second (100 of 300) by the one behind, at 0.4.
    assert np.allclose(covered(boxes), [0.5, 100 / 300 * 0.4], atol=1e-6)


def test_quality_is_highest_for_a_clear_tall_person_inside_the_picture() -> None:
    good = np.array([[100, 100, 150, 220]], np.float32)
    worse = [[0, 100, 50, 220], [100, 0, 150, 120], [100, 100, 112, 130], [100, 100, 220, 160]]
    one = np.ones(1, np.float32)
    best = box_quality(good, one, width=640, height=480)[0]
    assert abs(best - 1.0) < 1e-6
    for box in worse:
        assert box_quality(np.array([box], np.float32), one, width=640, height=480)[0] < 0.75 * best


def test_quality_of_nobody_is_empty() -> None:
    assert box_quality(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), width=1, height=1).shape == (0,)


def test_quality_sharpness_falls_with_blur_and_survives_boxes_outside() -> None:
    import cv2

    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (200, 100, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(image, (0, 0), 4.0)
    box = np.array([10, 10, 74, 138], np.float32)
    assert sharpness(image, box) > 2 * sharpness(np.asarray(blurred, np.uint8), box)
    assert sharpness(image, np.array([200, 300, 240, 400], np.float32)) == 0.0


def test_quality_of_a_head_at_the_lower_edge_is_far_below_that_of_a_whole_person_there() -> None:
    boxes = np.array([[100, 330, 160, 480], [300, 430, 360, 480]], np.float32)
    whole, head = box_quality(boxes, np.ones(2, np.float32), width=640, height=480).tolist()
    assert whole > 0.7
    assert head < 0.12
