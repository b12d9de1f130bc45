"""Average precision against tables worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reidpipe.evaluate.detection import COCO_THRESHOLDS, People, average_precision, score_detection
from reidpipe.types import Detections


def found(*rows: tuple[float, float, float, float, float]) -> Detections:
    """Detections from x1 y1 x2 y2 score rows."""
    table = np.asarray(rows, np.float32).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4])


def people(*rows: tuple[float, float, float, float], ignored: tuple[bool, ...] = ()) -> People:
    """People from x1 y1 x2 y2 rows."""
    boxes = np.asarray(rows, np.float32).reshape(-1, 4)
    return People(boxes, np.asarray(ignored or (False,) * len(boxes), np.bool_))


A, B, C = (0, 0, 10, 20), (30, 0, 40, 20), (60, 0, 70, 20)


def test_detection_perfect_is_one() -> None:
    scores = score_detection([found((*A, 0.9), (*B, 0.4))], [people(A, B)])
    assert scores.thresholds == COCO_THRESHOLDS
    assert scores.ap50 == pytest.approx(1.0, abs=1e-12)
    assert scores.mean_ap == pytest.approx(1.0, abs=1e-12)
    assert (scores.people, scores.pictures) == (2, 1)


def test_detection_hand_table_of_three_people() -> None:
    # By falling score: hit, miss, hit; one of three is never found. Precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
    # Interpolated: 1 up to recall 1/3 (34 of the 101 recalls: 0.00 to 0.33), 2/3 up to 0.66 (33 recalls), then 0.
    scores = score_detection([found((*A, 0.9), (100, 0, 110, 20, 0.8)), found((*B, 0.7))], [people(A), people(B, C)])
    assert scores.ap50 == pytest.approx((34 * 1.0 + 33 * 2 / 3) / 101, abs=1e-12)


def test_detection_second_box_on_a_person_is_wrong() -> None:
    # The doubled box comes first of the two remaining: precision 1, 1/2, 2/3 with two people found in the end.
    scores = score_detection([found((*A, 0.9), (*A, 0.8), (*B, 0.7))], [people(A, B)])
    assert scores.ap50 == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101, abs=1e-12)


def test_detection_threshold_counts_overlap() -> None:
    # 10 x 20 against 10 x 15 inside it: IoU 0.75, so right up to 0.75 and wrong from 0.80: six of ten thresholds.
    scores = score_detection([found((0, 0, 10, 15, 0.9))], [people(A)])
    assert scores.mean_ap == pytest.approx(0.6, abs=1e-12)


def test_detection_ignored_rows_give_neither_credit_nor_blame() -> None:
    truth = people(A, B, ignored=(False, True))
    with_ignored = score_detection([found((*B, 0.99), (*B, 0.95), (*A, 0.9))], [truth])
    assert with_ignored.people == 1
    assert with_ignored.ap50 == pytest.approx(1.0, abs=1e-12)
    assert score_detection([found((*C, 0.99), (*A, 0.9))], [truth]).ap50 == pytest.approx(0.5, abs=1e-12)


def test_detection_prefers_a_counted_person_to_an_ignored_one() -> None:
    truth = people(A, (0, 0, 10, 19), ignored=(False, True))
    assert score_detection([found((0, 0, 10, 19, 0.9))], [truth]).ap50 == pytest.approx(1.0, abs=1e-12)


def test_detection_each_takes_the_person_it_overlaps_most() -> None:
    near = (0, 0, 10, 18)
    scores = score_detection([found((*near, 0.9), (*A, 0.8))], [people(A, near)])
    assert scores.mean_ap == pytest.approx(1.0, abs=1e-12)


def test_detection_empty_cases() -> None:
    assert score_detection([Detections.empty()], [people(A)]).ap50 == 0.0
    assert math.isnan(score_detection([found((*A, 0.9))], [people()]).ap50)
    assert math.isnan(score_detection([], []).ap50)
    assert average_precision(np.zeros(3, np.bool_), 2) == 0.0


def test_detection_limit_keeps_the_best_scores() -> None:
    scores = score_detection([found((*A, 0.1), (*C, 0.9))], [people(A)], max_detections=1)
    assert scores.ap50 == 0.0


def test_detection_order_of_rows_does_not_matter() -> None:
    random = np.random.default_rng(3)
    corner = random.uniform(0, 80, (40, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 30, (40, 2))], axis=1).astype(np.float32)
    scores = random.uniform(0, 1, 40).astype(np.float32)
    truth = People(boxes[:25] + np.float32(1.0), np.arange(25) % 5 == 0)
    detections = Detections(boxes, scores)
    shuffled = detections[random.permutation(40)]
    one, other = score_detection([detections], [truth]), score_detection([shuffled], [truth])
    np.testing.assert_array_equal(one.ap, other.ap)


def test_detection_refuses_unequal_lists() -> None:
    with pytest.raises(ValueError, match="1 pictures of detections, 2 of people"):
        score_detection([Detections.empty()], [people(), people()])
    with pytest.raises(ValueError, match="do not fit"):
        People(np.zeros((2, 4), np.float32), np.zeros(1, np.bool_))
