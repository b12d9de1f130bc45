"""Phones store pictures as the sensor sees them and say in a display matrix how to turn them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from reidpipe.types import Image

__all__ = ["Orientation"]

_ONE = 1 << 16  # the display matrix is 16.16 fixed point
_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn a stored picture upright: transpose first, then mirror.

    Attributes:
        transpose: swap rows and columns.
        flip_x: mirror left and right.
        flip_y: mirror top and bottom.
        exact: False when the matrix asks for an angle that is no multiple of 90 degrees (the nearest one is taken).
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    exact: bool = True

    @classmethod
    def from_display_matrix(cls, raw: bytes) -> Orientation:
        """From FFmpeg's 3 x 3 matrix: nine native int32, ``x' = a x + c y``, ``y' = b x + d y``, y downwards."""
        a, b, _, c, d = (value / _ONE for value in struct.unpack("=5i", raw[:20]))
        transpose = abs(b) + abs(c) > abs(a) + abs(d)
        x_axis, y_axis = (c, b) if transpose else (a, d)
        rest = (a, d) if transpose else (b, c)
        scale = max(abs(x_axis), abs(y_axis))
        exact = scale == 0 or max(abs(value) for value in rest) <= _TOLERANCE * scale
        return cls(transpose, x_axis < 0, y_axis < 0, exact)

    @property
    def upright(self) -> bool:
        """True when there is nothing to do."""
        return not (self.transpose or self.flip_x or self.flip_y)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning, pixels."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: Image) -> Image:
        """The picture upright, uint8 ``(H, W, 3)``; the same array when there is nothing to do."""
        if self.upright:
            return image
        turned = np.asarray(cv2.transpose(image) if self.transpose else image, dtype=np.uint8)
        if self.flip_x or self.flip_y:
            code = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            turned = np.asarray(cv2.flip(turned, code), dtype=np.uint8)
        return turned
