"""People cut out of pictures and resized, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reidpipe.boxes import resize
from reidpipe.runtime import picture
from reidpipe.types import Boxes, Image

__all__ = ["crop_edges", "crops"]


def crop_edges(boxes: Boxes, *, width: int, height: int) -> NDArray[np.int32]:
    """Whole-pixel edges of each box inside the picture, int32 ``(N, 4)`` x1 y1 x2 y2, far edge exclusive.

    Every row holds at least one pixel, so that rows never shift: a box outside the picture gets the nearest pixel of
    its border.

    Raises:
        ValueError: a box is NaN or infinite.
    """
    if not np.isfinite(boxes).all():
        raise ValueError("boxes must be finite")
    limits = np.array([width, height], np.float32)
    near = np.clip(np.floor(boxes[:, :2]), 0, limits - 1)
    far = np.clip(np.ceil(boxes[:, 2:]), near + 1, limits)
    return np.concatenate([near, far], axis=1).astype(np.int32)


def crops(images: Sequence[Image], boxes: Sequence[Boxes], *, width: int, height: int) -> Iterator[Image]:
    """The people of all pictures, in order, each uint8 ``(height, width, 3)`` BGR (``boxes.resize``).

    Args:
        images: uint8 ``(H, W, 3)`` BGR, sizes may differ.
        boxes: for each picture float32 ``(N_i, 4)`` x1 y1 x2 y2, pixels.
        width: of a crop, pixels.
        height: of a crop, pixels.
    """
    for image, rows in zip(map(picture, images), boxes, strict=True):
        edges = crop_edges(rows, width=image.shape[1], height=image.shape[0])
        for x1, y1, x2, y2 in edges.tolist():
            yield resize(image[y1:y2, x1:x2], width=width, height=height)
