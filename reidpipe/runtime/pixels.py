"""Pictures into the numbers a net wants: the one place that turns BGR into what a model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.types import Image

__all__ = ["COLOR_ORDERS", "Normalize", "picture"]

COLOR_ORDERS = ("rgb", "bgr")


def picture(image: Image) -> Image:
    """The image, laid out as OpenCV needs it (a copy only where it is a mirrored or strided view).

    Raises:
        TypeError, ValueError: it is not uint8 ``(H, W, 3)``.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise TypeError(f"an image must be a uint8 array, got {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"an image must have shape (height, width, 3), colours in the order BGR, got {image.shape}")
    return np.ascontiguousarray(image)


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
        import cv2

        write = self._tables() if out.dtype == np.float16 else self._multiply_add()
        planes = np.empty(out.shape[1:], np.uint8)  # in the net's order; OpenCV would take new memory for every picture
        from_bgr = list(planes if self.color_order == "bgr" else planes[::-1])
        for picture, rows in zip(pictures, out, strict=False):
            cv2.split(picture, from_bgr)
            write(planes, rows)

    def _multiply_add(self) -> Callable[[NDArray[np.uint8], NDArray[Any]], None]:
        """One multiply and one add while the numbers sit in the cache: 0.03 ms for a 256x128 crop."""
        factor = np.array([self.scale / std for std in self.std], np.float32)[:, None, None]
        term = np.array([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], np.float32)[:, None, None]

        def write(planes: NDArray[np.uint8], rows: NDArray[Any]) -> None:
            np.copyto(rows, planes)
            np.multiply(rows, factor, out=rows)
            if term.any():
                np.add(rows, term, out=rows)

        return write

    def _tables(self) -> Callable[[NDArray[np.uint8], NDArray[Any]], None]:
        """Numpy is slow in float16, so all 256 answers are looked up; OpenCV copies them as 16-bit integers."""
        import cv2

        levels = np.arange(256, dtype=np.float64) * self.scale
        pairs = zip(self.mean, self.std, strict=True)
        tables = [((levels - mean) / std).astype(np.float16).view(np.uint16).reshape(1, 256) for mean, std in pairs]

        def write(planes: NDArray[np.uint8], rows: NDArray[Any]) -> None:
            for plane, table, row in zip(planes, tables, rows.view(np.uint16), strict=True):
                cv2.LUT(plane, table, dst=row)

        return write
