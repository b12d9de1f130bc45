"""Copies of training pictures in which something stands before the people: shelves, counters, cars hide legs.

The labelled sets mostly show whole people, shops and offices mostly upper halves. A patch of a place without people
covers the lower part of a person; the label shrinks to what is still seen, as COCO's boxes do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .geometry import Array, intersection

TALL = 0.2  # a person is worth hiding from this part of the picture's height on
HIDDEN = (0.3, 0.6)  # part of the height that is covered
WIDER = (0.1, 0.8)  # the patch goes beyond the person by this part of the width, each side for itself
TOUCHED = 0.03  # a patch that covers more than this part of anybody else is not used


def occlude(
    image: npt.NDArray[np.uint8], boxes: Array, place: npt.NDArray[np.uint8], rng: np.random.Generator
) -> Array | None:
    """Hide the lower part of some people in place.

    Args:
        image: BGR, changed.
        boxes: Relative x1 y1 x2 y2 (N, 4) of all people.
        place: BGR picture without people, as large as any patch needs or larger after tiling.
        rng: Source of every choice.

    Returns:
        The new boxes (N, 4), or None where nobody could be hidden.
    """
    height, width = image.shape[:2]
    new = boxes.copy()
    done = False
    for row in np.flatnonzero((boxes[:, 3] - boxes[:, 1] >= TALL) & (rng.random(len(boxes)) < 0.7)):
        left, top, right, bottom = boxes[row]
        cut = bottom - rng.uniform(*HIDDEN) * (bottom - top)
        wide = right - left
        patch = np.clip(
            [left - rng.uniform(*WIDER) * wide, cut, right + rng.uniform(*WIDER) * wide, bottom + 0.03], 0, 1
        )
        others = np.delete(new, row, axis=0)
        area = np.maximum(np.prod(others[:, 2:] - others[:, :2], axis=1), 1e-9)
        if len(others) and (intersection(others, patch[None].astype(np.float32))[:, 0] / area).max() > TOUCHED:
            continue
        x1, y1, x2, y2 = np.round(patch * [width, height, width, height]).astype(int)
        if x2 - x1 < 4 or y2 - y1 < 4:
            continue
        image[y1:y2, x1:x2] = _texture(place, y2 - y1, x2 - x1, rng)
        new[row, 3] = cut
        done = True
    return new if done else None


def _texture(place: npt.NDArray[np.uint8], rows: int, columns: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A random piece of ``place``, tiled by reflection where it is too small."""
    short = (max(rows - place.shape[0], 0), max(columns - place.shape[1], 0))
    if any(short):
        place = np.pad(place, ((0, short[0]), (0, short[1]), (0, 0)), mode="symmetric")
    top = int(rng.integers(0, place.shape[0] - rows + 1))
    left = int(rng.integers(0, place.shape[1] - columns + 1))
    return place[top : top + rows, left : left + columns]
