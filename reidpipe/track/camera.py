"""How the camera moved between two pictures, read from the people themselves: no pixels, no optical flow.

When a camera pans, everybody seems to jump the same way. Everybody's jump is the distance between where the motion
filter expects a track and the detection that is clearly its own; the median over all is the camera's share, and the
people's own steps, one this way and one that, leave it alone. After a large jump nobody overlaps with their detection
any more: then every pair of a track and a detection of like size votes for its distance, and the distance that most
agree on wins. Works where at least four people are in view.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.overlap import overlapping
from reidpipe.types import Boxes, Ids

__all__ = ["camera_shift"]

MIN_PEOPLE = 4
SURE_OVERLAP = 0.3
ENOUGH_SURE = 0.6
"""Share of the people that must have a detection of their own, else the votes are counted."""
SIGNIFICANT = 0.5
"""A median is taken when it is larger than this times its standard error."""
LIKE_HEIGHT, LIKE_WIDTH = 0.25, 0.5
"""Votes come from pairs whose sizes differ by less than this, natural logarithm."""
BIN, MIN_BIN = 0.15, 4.0
"""Side of the cells that votes are counted in: in median box heights, and pixels."""
MAX_VOTERS = 64
"""Of a crowd, only so many vote, the tallest: the same people on both sides."""

Shift = NDArray[np.float64]


def camera_shift(tracks: Boxes, found: Boxes) -> Shift | None:
    """The jump that all people have in common.

    Args:
        tracks: float32 ``(T, 4)``, where the people of the picture before are expected.
        found: float32 ``(D, 4)``, the sure detections, best first.

    Returns:
        float64 ``(2,)``, x and y in pixels, to add to what is expected; None when nothing is to be corrected.
    """
    smaller = min(len(tracks), len(found))
    if smaller < MIN_PEOPLE:
        return None
    one, other = _mutual(tracks, found)
    if len(one) < ENOUGH_SURE * smaller:
        return _by_votes(_tallest(tracks), _tallest(found), more_than=len(one))
    if len(one) < MIN_PEOPLE:
        return None
    jumps = _centres(found[other]) - _centres(tracks[one])
    shift = _middle(jumps)
    error = 1.4826 * _middle(np.abs(jumps - shift)) / len(one) ** 0.5
    shift[np.abs(shift) <= SIGNIFICANT * error] = 0.0
    return shift if shift.any() else None


def _mutual(tracks: Boxes, found: Boxes) -> tuple[Ids, Ids]:
    """Pairs that are each other's best by a clear overlap."""
    rows, columns, share = overlapping(tracks, found)
    order = np.argsort(share, kind="stable")
    rows, columns, share = rows[order], columns[order], share[order]
    best_of_row, best_of_column = np.full(len(tracks), -1), np.full(len(found), -1)
    best_of_row[rows] = np.arange(len(rows))  # the last, and best, one stays
    best_of_column[columns] = np.arange(len(rows))
    pairs = best_of_row[best_of_row >= 0]
    pairs = pairs[(best_of_column[columns[pairs]] == pairs) & (share[pairs] > SURE_OVERLAP)]
    return rows[pairs], columns[pairs]


def _by_votes(tracks: Boxes, found: Boxes, *, more_than: int) -> Shift | None:
    """The jump that most pairs of like size agree on, if it explains more people than staying does."""
    size_a, size_b = (np.log(boxes[:, 2:] - boxes[:, :2]) for boxes in (tracks, found))
    apart = np.abs(size_a[:, None, :] - size_b[None, :, :])
    rows, columns = np.nonzero((apart[..., 0] < LIKE_WIDTH) & (apart[..., 1] < LIKE_HEIGHT))
    if len(rows) < MIN_PEOPLE:
        return None
    jumps = _centres(found[columns]) - _centres(tracks[rows])
    cell = max(MIN_BIN, BIN * float(np.median(tracks[:, 3] - tracks[:, 1])))
    peak = _fullest_cell(np.round(jumps / cell).astype(np.int64)) * cell
    agree = (np.abs(jumps - peak) < 1.5 * cell).all(axis=1)
    smaller = min(len(tracks), len(found))
    if int(agree.sum()) < max(3, smaller / 2) or int(agree.sum()) <= more_than:
        return None
    return _middle(jumps[agree])


def _tallest(boxes: Boxes) -> Boxes:
    return boxes[np.argsort(boxes[:, 1] - boxes[:, 3], kind="stable")[:MAX_VOTERS]]


def _fullest_cell(cells: Ids) -> Ids:
    """Of integer cells ``(K, 2)``, the one with most entries in it and its eight neighbours, ``(2,)``."""
    near = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)])
    spread = (cells[:, None, :] + near[None, :, :]).reshape(-1, 2)
    low = spread.min(axis=0)
    wide = int(spread[:, 1].max() - low[1]) + 1
    number, count = np.unique((spread[:, 0] - low[0]) * wide + spread[:, 1] - low[1], return_counts=True)
    winner = int(number[count.argmax()])
    return np.asarray(np.array([winner // wide, winner % wide]) + low)


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each column; for a few people numpy's own takes longer than all the rest."""
    ordered, count = np.sort(values, axis=0), len(values)
    return np.asarray((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)


def _centres(boxes: Boxes) -> NDArray[np.float64]:
    return (boxes[:, :2].astype(np.float64) + boxes[:, 2:]) / 2
