"""Boxes as the detector tools need them: plain functions on float32 (N, 4) arrays, x1 y1 x2 y2."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def intersection(a: Array, b: Array) -> Array:
    """Intersection areas, (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.prod(np.clip(high - low, 0, None), axis=2), dtype=np.float32)


def letterbox(
    image: npt.NDArray[np.uint8], height: int, width: int, canvas: tuple[int, int] | None = None
) -> tuple[npt.NDArray[np.uint8], float, tuple[float, float]]:
    """Fit a BGR image into ``height`` x ``width`` on a grey canvas without changing its aspect.

    ``canvas`` (height, width) may be larger than the fitted size: a network with a fixed 640 input then sees a picture
    of, say, 416 pixels in its upper left part, which costs the time of 640 but answers like a 416 input.

    Returns:
        The canvas, the scale (network pixels per image pixel), and the (x, y) offset of the image on the canvas.
    """
    rows, columns = image.shape[:2]
    scale = min(height / rows, width / columns)
    new_width, new_height = max(1, round(columns * scale)), max(1, round(rows * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (new_width, new_height), interpolation=interpolation)
    full_height, full_width = canvas or (height, width)
    result = np.full((full_height, full_width, 3), 114, np.uint8)
    top, left = (height - new_height) // 2, (width - new_width) // 2
    result[top : top + new_height, left : left + new_width] = small
    return result, scale, (float(left), float(top))


def to_blob(images: list[npt.NDArray[np.uint8]]) -> npt.NDArray[Any]:
    """Equal-sized BGR uint8 images to float32 (B, 3, H, W) RGB in 0..1."""
    batch = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2)
    return np.ascontiguousarray(batch, dtype=np.float32) / np.float32(255)
