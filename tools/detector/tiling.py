"""Training pictures laid out as tiles: pieces of pictures at many sizes, so that a small canvas is full of people.

Like mosaic (Bochkovskiy et al., arXiv 2004.10934), with any square number of tiles instead of four: fine layouts show
people as far cameras see them, several dozen on one canvas. Each pixel is resized once; nothing is pasted, warped, cut.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from .dataset import read_labels, read_picture
from .geometry import Array

SQUEEZED = (0.75, 1.8)  # width factors for sets that were squeezed to a square upstream
NATURAL = (0.9, 1.1)  # all others
NATURAL_PREFIXES = ("hdk_", "synth", "pasted")
FINEST = 45  # px: side of the smallest tiles; sizes from there to the whole canvas are equally frequent by logarithm
ZOOM = (0.85, 2.2)  # of a picture that just fits its tile
AROUND_SOMEBODY = 0.7  # of the tiles that show a part of a picture, so many keep one person in view
CUT_AWAY = 0.2  # a person of whom less is left at the edge of a tile gets no box
TINY = 4.0  # px: nor who is lower than that
GREY = 114


class TiledPictures(torch.utils.data.Dataset[dict[str, Any]]):
    """Canvases of ``size`` x ``size``; item ``i`` shows picture ``i`` and, in other tiles, random ones.

    Args:
        names: picture files; some may be named several times. Labels lie in ``../labels``.
        size: of the canvas, in pixels.
        colour: how strongly hue, saturation and value vary, as parts of 1.
    """

    def __init__(self, names: list[str], size: int, colour: tuple[float, float, float] = (0.015, 0.6, 0.5)) -> None:
        self.names = [Path(name) for name in names]
        self.size, self.colour = size, colour
        self.kept: dict[Path, tuple[npt.NDArray[np.uint8], Array]] = {}

    def __len__(self) -> int:
        """Number of pictures, repeated ones counted as often as they are named."""
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``img`` uint8 (size, size, 3) RGB, ``bboxes`` (N, 4) relative centre x, centre y, width, height."""
        canvas = np.full((self.size, self.size, 3), GREY, np.uint8)
        side = self.tiles_a_side()
        columns, rows = self._cuts(side), self._cuts(side)
        found = []
        first = random.randrange(side * side)
        for number in range(side * side):
            row, column = divmod(number, side)
            left, right, top, bottom = columns[column], columns[column + 1], rows[row], rows[row + 1]
            chosen = index if number == first else random.randrange(len(self.names))
            boxes = self._fill(canvas[top:bottom, left:right], chosen, random.uniform(*np.log(ZOOM)))
            found.append(boxes + np.array([left, top, left, top], np.float32))
        boxes = np.concatenate(found)
        targets = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1) / self.size
        return {
            "img": torch.from_numpy(cv2.cvtColor(spoil(canvas), cv2.COLOR_BGR2RGB)),
            "bboxes": torch.from_numpy(targets.astype(np.float32)),
        }

    @staticmethod
    def collate_fn(items: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch for :class:`tools.detector.loss.AlignedLoss`, ``img`` uint8 (B, 3, H, W) channels last."""
        people = [len(item["bboxes"]) for item in items]
        return {
            "img": torch.stack([item["img"] for item in items]).permute(0, 3, 1, 2),
            "bboxes": torch.cat([item["bboxes"] for item in items]),
            "batch_idx": torch.arange(len(items)).repeat_interleave(torch.tensor(people)),
            "cls": torch.zeros(sum(people), 1),
        }

    def picture(self, index: int) -> tuple[npt.NDArray[np.uint8], Array]:
        """Picture ``index``, BGR, and its people's relative x1 y1 x2 y2 (N, 4); kept in memory from then on."""
        name = self.names[index]
        if name not in self.kept:
            labels = name.parent.parent / "labels" / f"{name.stem}.txt"
            self.kept[name] = read_picture(name), read_labels(labels)
        return self.kept[name]

    def tiles_a_side(self) -> int:
        """A random layout."""
        return max(1, round(self.size / math.exp(random.uniform(math.log(FINEST), math.log(self.size)))))

    def _cuts(self, side: int) -> list[int]:
        """Edges of the tiles along one side, each inner one moved by up to a third of a tile."""
        inner = [round((k + random.uniform(-1, 1) / 3) * self.size / side) for k in range(1, side)]
        return [0, *inner, self.size]

    def _fill(self, tile: npt.NDArray[np.uint8], index: int, log_zoom: float) -> Array:
        """Draw a piece of picture ``index`` into ``tile``; returns the boxes (N, 4) in it, in pixels."""
        picture, relative = self.picture(index)
        mirrored = random.random() < 0.5
        if mirrored:
            relative = relative[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32) + np.array(
                [1, 0, 1, 0], np.float32
            )
        low, high = NATURAL if self.names[index].name.startswith(NATURAL_PREFIXES) else SQUEEZED
        stretch = math.exp(random.uniform(math.log(low), math.log(high)))
        height, width = picture.shape[0], picture.shape[1] * stretch
        scale = min(tile.shape[0] / height, tile.shape[1] / width) * math.exp(log_zoom)
        size = np.array([max(width * scale, 8.0), max(height * scale, 8.0)])
        seen = (
            relative[random.randrange(len(relative))] if len(relative) and random.random() < AROUND_SOMEBODY else None
        )
        starts = [self._start(length, tile.shape[1 - axis], None if seen is None else seen[[axis, axis + 2]] * length)
                  for axis, length in enumerate(size)]  # fmt: skip
        paint(tile, picture, mirrored, size, starts, self.colour)
        boxes = relative * np.tile(size, 2) - np.tile(starts, 2)
        inside = np.clip(boxes, 0, [tile.shape[1], tile.shape[0]] * 2)
        left = (inside[:, 2:] - inside[:, :2]).prod(axis=1) / np.maximum(
            (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6
        )
        kept = (left >= CUT_AWAY) & (inside[:, 3] - inside[:, 1] >= TINY)
        return np.asarray(inside[kept], np.float32)

    @staticmethod
    def _start(length: float, room: int, seen: Array | None) -> float:
        """Where the tile begins on one axis of the drawn picture; ``seen`` (2,) is a person who should be in it."""
        low, high = sorted((0.0, length - room))
        if seen is not None and length > room:  # the person's middle stays in the tile
            middle = float(seen.mean())
            low, high = max(low, middle - room), min(high, middle)
        return random.uniform(low, max(low, high))


def paint(
    tile: npt.NDArray[np.uint8], picture: npt.NDArray[np.uint8], mirrored: bool, size: npt.NDArray[np.float64],
    starts: list[float], colour: tuple[float, float, float],
) -> None:  # fmt: skip
    """Draw into ``tile`` what of ``picture``, resized to ``size`` (width, height), lies from ``starts`` on."""
    spans = []
    for axis in (0, 1):  # from which to which pixel of the picture, and of the tile
        source, room, ratio = picture.shape[1 - axis], tile.shape[1 - axis], picture.shape[1 - axis] / size[axis]
        begin, end = max(0.0, starts[axis]), min(float(size[axis]), starts[axis] + room)
        first, last = math.floor(begin * ratio), min(source, max(math.floor(begin * ratio) + 1, math.ceil(end * ratio)))
        to = round(begin - starts[axis]), max(round(begin - starts[axis]) + 1, min(room, round(end - starts[axis])))
        spans.append((first, last, *to))
    (x1, x2, left, right), (y1, y2, top, bottom) = spans
    if mirrored:
        x1, x2 = picture.shape[1] - x2, picture.shape[1] - x1
    shrunk = right - left < x2 - x1 or bottom - top < y2 - y1
    piece = cv2.resize(
        picture[y1:y2, x1:x2],
        (right - left, bottom - top),
        interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR,
    )
    tile[top:bottom, left:right] = recolour(piece[:, ::-1] if mirrored else piece, colour)


def recolour(image: npt.NDArray[np.uint8], strength: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """Another hue, saturation and value; one of twenty grey, as cameras are at night."""
    if random.random() < 0.05:
        image = np.repeat(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    hue, saturation, value = (1 + random.uniform(-1, 1) * part for part in strength)
    steps = np.arange(256, dtype=np.float32)
    tables = np.stack([
        (steps * hue) % 180, np.clip(steps * saturation, 0, 255), np.clip(steps * value, 0, 255),
    ], axis=-1).astype(np.uint8)[None]  # fmt: skip
    changed = cv2.LUT(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV), tables)
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2BGR), np.uint8)


def spoil(canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Now and then blurred, compressed or noisy, as small cameras are."""
    draw = random.random()
    if draw < 0.06:
        return np.asarray(cv2.blur(canvas, (random.choice((2, 3)),) * 2), np.uint8)
    if draw < 0.14:
        quality = [cv2.IMWRITE_JPEG_QUALITY, random.randint(25, 70)]
        return np.asarray(cv2.imdecode(cv2.imencode(".jpg", canvas, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    if draw < 0.18:
        noise = np.random.default_rng(random.getrandbits(32)).normal(0, random.uniform(2, 9), canvas.shape)
        return np.asarray(np.clip(canvas + noise, 0, 255), np.uint8)
    return canvas
