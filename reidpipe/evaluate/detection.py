"""Average precision of a person detector, the way COCO counts it, numpy only.

Per picture and IoU threshold, detections are taken by falling score; each takes the free person it overlaps most, if
the overlap reaches the threshold. What remains may fall on an *ignored* row (a distractor, a hidden person): it then
counts neither way, and one ignored row may absorb many. AP is the mean of the interpolated precision at 101 recalls
(Lin et al., "Microsoft COCO", ECCV 2014, and its evaluation page; Everingham et al., IJCV 2010, for the interpolation).
Scores are fractions in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.boxes import iou
from reidpipe.types import Boxes, Detections, Mask

__all__ = ["COCO_THRESHOLDS", "DetectionScores", "People", "score_detection"]

COCO_THRESHOLDS: tuple[float, ...] = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""IoU 0.50, 0.55 ... 0.95."""

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True)
class People:
    """The truth of one picture.

    Attributes:
        boxes: float32 `(G, 4)` x1 y1 x2 y2, pixels.
        ignored: bool `(G,)`: rows that may be found or not, without credit or blame.

    Raises:
        ValueError: when the lengths differ.
    """

    boxes: Boxes
    ignored: Mask

    def __post_init__(self) -> None:
        if self.boxes.shape != (len(self.ignored), 4):
            raise ValueError(f"boxes {self.boxes.shape} do not fit {len(self.ignored)} ignored flags")


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """What a detection test found; NaN where no person counts.

    Attributes:
        ap: float64 `(T,)`, average precision at each threshold.
        thresholds: the IoU thresholds, in order.
        people: number of persons that count.
        pictures: number of pictures.
    """

    ap: NDArray[np.float64]
    thresholds: tuple[float, ...]
    people: int
    pictures: int

    @property
    def ap50(self) -> float:
        """AP at IoU 0.50."""
        return float(self.ap[self.thresholds.index(0.5)])

    @property
    def mean_ap(self) -> float:
        """AP averaged over the thresholds; over ``COCO_THRESHOLDS`` this is AP 50:95."""
        return float(self.ap.mean())


def score_detection(
    detections: Sequence[Detections],
    people: Sequence[People],
    *,
    thresholds: tuple[float, ...] = COCO_THRESHOLDS,
    max_detections: int = 100,
) -> DetectionScores:
    """Score the detections of many pictures together.

    Args:
        detections: what was found, one entry for each picture.
        people: the truth, in the same order.
        thresholds: IoU a detection needs, each scored on its own.
        max_detections: only the best of each picture count.

    Raises:
        ValueError: when the numbers of pictures differ.
    """
    if len(detections) != len(people):
        raise ValueError(f"{len(detections)} pictures of detections, {len(people)} of people")
    scores, hits, counted = [], [], []
    for found, truth in zip(detections, people, strict=True):
        best_first = found[np.argsort(-found.scores, kind="stable")[:max_detections]]
        hit, ignored = _match(best_first.boxes, truth, thresholds)
        scores.append(best_first.scores)
        hits.append(hit)
        counted.append(~ignored)
    total = sum(int((~truth.ignored).sum()) for truth in people)
    all_scores = np.concatenate([np.zeros(0, np.float32), *scores])
    order = np.argsort(-all_scores, kind="stable")
    shape = (len(thresholds), 0)
    all_hits = np.concatenate([np.zeros(shape, np.bool_), *hits], axis=1)[:, order]
    all_counted = np.concatenate([np.zeros(shape, np.bool_), *counted], axis=1)[:, order]
    ap = [average_precision(row[use], total) for row, use in zip(all_hits, all_counted, strict=True)]
    return DetectionScores(np.asarray(ap, np.float64), thresholds, total, len(people))


def average_precision(hits: Mask, total: int) -> float:
    """Area under the interpolated precision at 101 recalls; NaN when there is nothing to find.

    Args:
        hits: bool `(N,)`, best score first: whether each counted detection is a person.
        total: number of persons.
    """
    if total == 0:
        return float("nan")
    if not len(hits):
        return 0.0
    right = np.cumsum(hits)
    recall = right / total
    precision = right / np.arange(1, len(hits) + 1)
    ceiling = np.maximum.accumulate(precision[::-1])[::-1]  # best precision at this recall or a higher one
    at = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.where(at < len(ceiling), ceiling[np.minimum(at, len(ceiling) - 1)], 0.0).mean())


def _match(boxes: Boxes, truth: People, thresholds: tuple[float, ...]) -> tuple[Mask, Mask]:
    """Which detections (best first) are persons, and which fall on ignored rows: bool `(T, N)` each."""
    hit = np.zeros((len(thresholds), len(boxes)), np.bool_)
    ignored = np.zeros_like(hit)
    if not len(boxes) or not len(truth.boxes):
        return hit, ignored
    overlaps = iou(boxes, truth.boxes)
    people, rest = overlaps[:, ~truth.ignored], overlaps[:, truth.ignored]
    for k, threshold in enumerate(thresholds):
        free = np.ones(people.shape[1], np.bool_)
        for row in range(len(boxes)):
            fitting = np.where(free, people[row], -1.0)
            best = int(fitting.argmax()) if len(fitting) else -1
            if best >= 0 and fitting[best] >= threshold:
                free[best] = False
                hit[k, row] = True
        if rest.shape[1]:
            ignored[k] = ~hit[k] & (rest.max(axis=1) >= threshold)
    return hit, ignored
