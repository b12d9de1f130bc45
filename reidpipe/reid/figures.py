"""Figures as uint8 BGR images that OpenCV writes: no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Image

Table = NDArray[np.float32]

BAR = 24  # width of a bar, pixels
CHART = 160  # height of the frame of a bar, pixels
LABELS = 40  # rows under the bars


def overlay(image: Image, activation: Table, *, strength: float = 0.5) -> Image:
    """An activation map `(h, w)` in 0..1 as colours over the image."""
    import cv2

    size = (image.shape[1], image.shape[0])
    levels = (255 * cv2.resize(activation, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_JET)
    return np.asarray(cv2.addWeighted(image, 1 - strength, colours, strength, 0), dtype=np.uint8)


def contact_sheet(images: Image, *, columns: int = 10, gap: int = 4) -> Image:
    """Images `(N, H, W, 3)` side by side in rows, white between; an empty sheet where there are none."""
    count, height, width = images.shape[:3]
    rows = max(-(-count // columns), 1)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for place, image in enumerate(images):
        top, left = gap + place // columns * (height + gap), gap + place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def bar_chart(values: Table, *, spread: Table | None = None, groups: Sequence[str] = (), title: str = "") -> Image:
    """Groups of bars for values `(groups, bars)` in 0..1, each with a frame up to 1 and its number below.

    Args:
        values: float32 `(groups, bars)`.
        spread: Half-lengths of the whiskers, the same shape; None = no whiskers.
        groups: A name for each group.
        title: Written at the top.
    """
    count, bars = values.shape
    top = 30
    chart = np.full((top + CHART + LABELS, count * (bars + 1) * BAR + BAR, 3), 255, dtype=np.uint8)
    shades = np.linspace(60, 200, bars).astype(np.uint8)
    for group, row in enumerate(values.clip(0, 1)):
        for place, value in enumerate(row.tolist()):
            left = BAR + (group * (bars + 1) + place) * BAR
            chart[top : top + CHART, left : left + BAR - 4] = 240
            chart[_row(top, value) : top + CHART, left : left + BAR - 4] = (shades[place], 120, 60)
            if spread is not None:
                low, high = value - float(spread[group, place]), value + float(spread[group, place])
                chart[_row(top, high) : _row(top, low) + 1, left + BAR // 2 - 3 : left + BAR // 2 - 1] = 0
            _text(chart, str(place + 1), left + 5, top + CHART + 14)
    for group, name in enumerate(groups):
        _text(chart, name, BAR + group * (bars + 1) * BAR, top + CHART + 32)
    _text(chart, title, BAR, 18)
    return chart


def _row(top: int, value: float) -> int:
    """The picture's row of a value in 0..1."""
    return top + round(CHART * (1 - min(max(value, 0.0), 1.0)))


def _text(picture: Image, text: str, left: int, bottom: int) -> None:
    import cv2

    cv2.putText(picture, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)


def write_png(path: Path, picture: Image) -> Path:
    """Write a picture; returns its path."""
    import cv2

    _, data = cv2.imencode(".png", picture)
    path.write_bytes(data.tobytes())
    return path
