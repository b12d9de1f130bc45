"""How much a crop says about a person, 0..1, told from its box alone (and its pixels, where they are at hand)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Boxes, Image, Scores

__all__ = ["box_quality", "covered", "sharpness"]

BEHIND = 0.4
"""A neighbour that stands behind still puts its clothes into the crop, but hides nothing."""

FULL_HEIGHT = 96.0
"""Pixels of height above which more pixels add nothing: the nets see 256 rows, most footage has less."""

UPRIGHT = 2.4
"""Height over width of the box of somebody who stands."""

LEAST_HEIGHT = 20.0


def covered(boxes: Boxes) -> NDArray[np.float32]:
    """Fraction of each box that its neighbours take, float32 ``(N,)`` in 0..1.

    A neighbour whose lower edge is further down stands in front of the person (cameras look down at a floor) and counts
    fully; one further up stands behind and counts ``BEHIND``.

    Args:
        boxes: ``(N, 4)``, all people in one picture.
    """
    wide = np.minimum(boxes[:, None, 2], boxes[None, :, 2]) - np.maximum(boxes[:, None, 0], boxes[None, :, 0])
    high = np.minimum(boxes[:, None, 3], boxes[None, :, 3]) - np.maximum(boxes[:, None, 1], boxes[None, :, 1])
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    np.fill_diagonal(both, 0)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    in_front = boxes[None, :, 3] > boxes[:, None, 3]
    taken = (both * np.where(in_front, 1.0, BEHIND)).sum(axis=1) / area
    return np.asarray(np.minimum(taken, 1.0), dtype=np.float32)


def box_quality(boxes: Boxes, scores: Scores, *, width: int, height: int) -> NDArray[np.float32]:
    """Quality of each crop in one picture, float32 ``(N,)`` in 0..1: overlap x border x size x shape x score.

    Args:
        boxes: ``(N, 4)``, all people in the picture (they are each other's occluders).
        scores: ``(N,)`` in 0..1, of the detector.
        width: of the picture, pixels; 0 when unknown (then no edge is looked at).
        height: of the picture, pixels; 0 when unknown.
    """
    if not len(boxes):
        return np.zeros(0, np.float32)
    wide, tall = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    free = (1.0 - covered(boxes)) ** 2
    size = np.clip((tall - LEAST_HEIGHT) / (FULL_HEIGHT - LEAST_HEIGHT), 0.05, 1.0)
    # A standing person is 2 to 4 times as tall as wide; a squat box is a part of one, or two people.
    shape = np.interp(tall / wide, [0.5, 1.6, 4.5, 7.0], [0.2, 1.0, 1.0, 0.3])
    return np.asarray(free * size * shape * _inside(boxes, width, height) * scores, dtype=np.float32)


def _inside(boxes: Boxes, width: int, height: int) -> NDArray[np.float64]:
    """Less for each edge of the picture that a box touches: a head counts more than feet.

    Where the upper or lower edge cuts a person, the shape of what is left says how much there is: ``UPRIGHT`` times as
    tall as wide is all of somebody.
    """
    factor = np.ones(len(boxes))
    if width <= 0 or height <= 0:
        return factor
    near_x, near_y = max(2.0, 0.004 * width), max(2.0, 0.004 * height)
    factor *= np.where(boxes[:, 0] <= near_x, 0.6, 1.0) * np.where(boxes[:, 2] >= width - near_x, 0.6, 1.0)
    above, below = boxes[:, 1] <= near_y, boxes[:, 3] >= height - near_y
    left = np.clip((boxes[:, 3] - boxes[:, 1]) / (UPRIGHT * (boxes[:, 2] - boxes[:, 0])), 0.2, 1.0) ** 2
    factor *= np.where(above, 0.7, 1.0) * np.where(below, 0.8, 1.0) * np.where(above | below, left, 1.0)
    return factor


def sharpness(image: Image, box: NDArray[np.float32]) -> float:
    """How sharp a crop is at the size a net sees it, 0..1 (0.5 is an ordinary CCTV crop).

    The variance of the Laplacian over the variance of the grey values of the crop at 64 x 128: a ratio, so that dark
    clothes are not taken for blur (after Pech-Pacheco et al., ICPR 2000).

    Args:
        image: uint8 ``(H, W, 3)`` BGR.
        box: ``(4,)`` x1 y1 x2 y2, pixels.
    """
    import cv2

    x1, y1 = max(0, int(box[0])), max(0, int(box[1]))
    crop = image[y1 : int(np.ceil(box[3])), x1 : int(np.ceil(box[2]))]
    if not crop.size:
        return 0.0
    grey = cv2.cvtColor(cv2.resize(crop, (64, 128), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    ratio = edges / (float(grey.var()) + 25.0)
    return ratio / (ratio + 0.25)
