"""What the output of a YOLO net means: told by its shape and the model's facts, then decoded without a loop over boxes.

=============  ======================  ==========================================================  ===========
format         output                  a row                                                       NMS needed
=============  ======================  ==========================================================  ===========
``v5``         ``(B, 3 C, 5 + K)``     cx cy w h, objectness, K class scores (v5, v7)              yes
``v6``         ``(B, C, 5 + K)``       the same, one row for each cell, objectness is always 1      yes
``v8``         ``(B, 4 + K, C)``       cx cy w h, K class scores (v8, v9, 11, 12)                  yes
``v8-rows``    ``(B, C, 4 + K)``       the same, rows last                                         yes
``end2end``    ``(B, R, 6)``           x1 y1 x2 y2, score, class (v10, 26)                         no
``yolox``      ``(B, C, 5 + K)``       offsets from the grid, log sizes, objectness, K scores      yes
``yolox-px``   ``(B, C, 5 + K)``       cx cy w h, objectness, K scores (decoded inside the net)    yes
=============  ======================  ==========================================================  ===========

C is the number of cells of the grids of stride 8, 16, 32 (and 64): it depends on the input's size, K on the classes.
Boxes are in pixels of the net's input. YOLOX: arXiv 2107.08430, section 2.1: ``xy = (offset + cell) * stride, wh =
exp(log size) * stride``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Boxes, Ids, Scores

__all__ = ["HEADS", "NMS_FREE", "Raw", "cells", "class_count", "decode", "tell_head", "tell_one_per_cell"]

NMS_FREE = frozenset({"end2end"})
_STRIDES = (8, 16, 32, 64)
_ANCHORS = 3


class Raw(NamedTuple):
    """What one picture's output says, before suppression.

    Attributes:
        boxes: float32 ``(N, 4)`` x1 y1 x2 y2, pixels of the net's input.
        scores: float32 ``(N,)``.
        classes: int64 ``(N,)``, class number of the model.
    """

    boxes: Boxes
    scores: Scores
    classes: Ids


def cells(height: int, width: int) -> tuple[int, int]:
    """Number of grid cells of an input, with strides 8 to 32 and with strides 8 to 64."""
    counts = [-(-height // stride) * -(-width // stride) for stride in _STRIDES]
    return sum(counts[:3]), sum(counts)


def tell_head(
    shape: tuple[int, ...], *, height: int, width: int, class_count: int | None = None, end2end: bool = False
) -> str | None:
    """Which format an output of this shape has, or None when it is no detector's.

    Where a net of one row per cell could be ``v6``, ``yolox`` or ``yolox-px``, the answer is ``yolox``: only the values
    tell, see ``tell_one_per_cell``.

    Args:
        shape: of the output, with the batch.
        height: of the net's input, pixels.
        width: of the net's input, pixels.
        class_count: how many classes the model's facts name, None when they are silent.
        end2end: the model's facts say that it needs no suppression.
    """
    if len(shape) != 3:
        return None
    _, rows, columns = shape
    grids = cells(height, width)
    if end2end and columns == 6:
        return "end2end"
    if rows in {_ANCHORS * count for count in grids} and columns >= 6:
        return "v5"
    if columns in grids and rows >= 5:
        return "v8"
    if rows in grids and columns >= 5:
        return "v8-rows" if columns == 5 or columns - 4 == class_count else "yolox"
    return "end2end" if columns == 6 else None


def tell_one_per_cell(output: NDArray[Any], *, height: int, width: int) -> str:
    """``v6``, ``yolox`` or ``yolox-px``, from what the net says about any picture: ``(B, C, 5 + K)``.

    Raw offsets stay near 0..1 wherever the cell is; decoded centres spread over the input. YOLOv6 has no objectness and
    writes 1 for every cell.
    """
    values = np.asarray(output[0, :, :5], dtype=np.float32)
    if (values[:, 4] == 1).all():
        return "v6"
    spread = np.ptp(values[:, :2], axis=0)
    return "yolox-px" if spread[0] > width / 2 and spread[1] > height / 2 else "yolox"


def class_count(head: str, shape: tuple[int, ...]) -> int | None:
    """How many classes an output of this format has; None where it does not show (``end2end``)."""
    if head == "end2end":
        return None
    if head in {"v8", "v8-rows"}:
        return shape[1 if head == "v8" else 2] - 4
    return shape[2] - 5


def decode(head: str, output: NDArray[Any], *, height: int, width: int, wanted: Ids, min_score: float) -> Raw:
    """One picture's rows that are a wanted class, and surely enough.

    Args:
        head: a key of ``HEADS``.
        output: one picture's output, without the batch axis; float32 or float16.
        height: of the net's input, pixels.
        width: of the net's input, pixels.
        wanted: int64 ``(K,)``, class numbers to keep. A row counts as its best class among all of the model's.
        min_score: rows below are dropped.
    """
    return HEADS[head](output, height, width, wanted, min_score)


def _end2end(output: NDArray[Any], _height: int, _width: int, wanted: Ids, min_score: float) -> Raw:
    rows = output[output[:, 4] >= min_score].astype(np.float32)
    classes = rows[:, 5].astype(np.int64)
    keep = np.isin(classes, wanted)
    return Raw(rows[keep, :4], rows[keep, 4], classes[keep])


def _v8(output: NDArray[Any], _height: int, _width: int, wanted: Ids, min_score: float) -> Raw:
    # A row of `output` is contiguous: one pass over each wanted class is all that most cells cost.
    kept = np.flatnonzero((output[4 + wanted] >= min_score).any(axis=0))
    columns = output[:, kept].astype(np.float32)
    boxes, scores = columns[:4].T, columns[4:].T
    return _best(_corners(boxes), scores, wanted, min_score)


def _v8_rows(output: NDArray[Any], height: int, width: int, wanted: Ids, min_score: float) -> Raw:
    return _v8(output.T, height, width, wanted, min_score)


def _v5(output: NDArray[Any], _height: int, _width: int, wanted: Ids, min_score: float) -> Raw:
    # Class scores are at most 1, so objectness alone rules out nearly all rows.
    rows = output[np.flatnonzero(output[:, 4] >= min_score)].astype(np.float32)
    return _best(_corners(rows[:, :4]), rows[:, 5:] * rows[:, 4:5], wanted, min_score)


def _yolox(output: NDArray[Any], height: int, width: int, wanted: Ids, min_score: float) -> Raw:
    kept = np.flatnonzero(output[:, 4] >= min_score)
    rows = output[kept].astype(np.float32)
    corner, stride = _grid(kept, len(output), height, width)
    centres = (rows[:, :2] + corner) * stride
    sizes = np.exp(np.minimum(rows[:, 2:4], 20.0)) * stride
    return _best(_corners(np.hstack([centres, sizes])), rows[:, 5:] * rows[:, 4:5], wanted, min_score)


def _grid(rows: Ids, count: int, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and line of the cell, ``(N, 2)``, and its stride, ``(N, 1)``, of some rows out of ``count``."""
    strides = np.array(_STRIDES if count == cells(height, width)[1] else _STRIDES[:3])
    wide, high = -(-width // strides), -(-height // strides)
    ends = np.cumsum(wide * high)
    level = np.searchsorted(ends, rows, side="right")
    inside = rows - (ends - wide * high)[level]
    corner = np.stack([inside % wide[level], inside // wide[level]], axis=1)
    return corner.astype(np.float32), strides[level, None].astype(np.float32)


def _best(boxes: Boxes, scores: NDArray[np.float32], wanted: Ids, min_score: float) -> Raw:
    """Each row as its best class; rows whose best class is not wanted, or not sure enough, are dropped."""
    classes = scores.argmax(axis=1).astype(np.int64) if len(scores) else np.zeros(0, np.int64)
    best = scores[np.arange(len(scores)), classes]
    keep = (best >= min_score) & np.isin(classes, wanted)
    return Raw(boxes[keep], best[keep], classes[keep])


def _corners(boxes: NDArray[np.float32]) -> Boxes:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


HEADS: dict[str, Callable[[NDArray[Any], int, int, Ids, float], Raw]] = {
    "end2end": _end2end,
    "v5": _v5,
    "v6": _v5,
    "v8": _v8,
    "v8-rows": _v8_rows,
    "yolox": _yolox,
    "yolox-px": _v5,
}
"""Format -> the function that decodes one picture's output."""
