"""Pictures into the numbers a net wants: the one place that turns BGR into what a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.types import Image

__all__ = ["COLOR_ORDERS", "Normalize"]

COLOR_ORDERS = ("rgb", "bgr")


@dataclass(frozen=True, slots=True)
class Normalize:
    """``value = (pixel * scale - mean) / std`` for each channel, channels first.

    Attributes:
        color_order: ``rgb`` or ``bgr``: the order of the net's channels, of ``mean`` and of ``std``. Pictures are
            always BGR.
        scale: factor on the 0..255 pixel, usually 1/255 or 1.
        mean: subtracted after scaling, one for each channel.
        std: divided by at last, one for each channel.

    Raises:
        ConfigError: an unknown colour order, or a std that is not positive.
    """

    color_order: str = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.color_order not in COLOR_ORDERS:
            raise ConfigError(f"color_order must be one of {', '.join(COLOR_ORDERS)}, got {self.color_order!r}")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ConfigError("mean and std need one number for each of the three channels")
        if not all(value > 0 for value in (self.scale, *self.std)):
            raise ConfigError(f"scale and std must be positive, got {self.scale} and {self.std}")

    def fill(self, pictures: Iterable[Image], out: NDArray[Any]) -> None:
        """Write pictures of one size into a batch.

        Args:
            pictures: N times uint8 ``(H, W, 3)`` BGR.
            out: float32 or float16 ``(M, 3, H, W)``, M >= N; rows after N are left as they are.
        """
        write = self._tables if out.dtype == np.float16 else self._multiply_add
        write(pictures, out)

    def _multiply_add(self, pictures: Iterable[Image], out: NDArray[Any]) -> None:
        # One multiply and one add on planes that sit in the cache: 0.035 ms for a 256x128 crop, a tenth of the naive
        # way.
        import cv2

        factors = [np.float32(self.scale / std) for std in self.std]
        terms = [np.float32(-mean / std) for mean, std in zip(self.mean, self.std, strict=True)]
        for picture, rows in zip(pictures, out, strict=False):
            planes = cv2.split(picture)
            for channel, row in enumerate(rows):
                np.multiply(planes[self._plane(channel)], factors[channel], out=row)
                if terms[channel]:
                    row += terms[channel]

    def _tables(self, pictures: Iterable[Image], out: NDArray[Any]) -> None:
        # Numpy is slow in float16, so all 256 answers are looked up; OpenCV copies them as 16-bit integers.
        import cv2

        levels = np.arange(256, dtype=np.float64) * self.scale
        tables = [((levels - mean) / std).astype(np.float16) for mean, std in zip(self.mean, self.std, strict=True)]
        for picture, rows in zip(pictures, out.view(np.uint16), strict=False):
            planes = cv2.split(picture)
            for channel, row in enumerate(rows):
                cv2.LUT(planes[self._plane(channel)], tables[channel].view(np.uint16).reshape(1, 256), dst=row)

    def _plane(self, channel: int) -> int:
        return channel if self.color_order == "bgr" else 2 - channel
