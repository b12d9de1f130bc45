"""A folder of images as a camera."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source.span import Span
from reidpipe.stages import SourceInfo
from reidpipe.types import Frame, Image

__all__ = ["IMAGE_SUFFIXES", "FolderSource", "image_files"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
GUESSED_FPS = 25.0


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order: ``img2`` before ``img10``. Hidden files are left out."""
    files = [
        path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(files, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", path.stem.casefold())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts], path.name


def read_image(path: Path) -> Image | None:
    """An image file as uint8 ``(H, W, 3)`` BGR, turned as its EXIF says; None when it cannot be decoded."""
    raw = np.fromfile(path, dtype=np.uint8)  # cv2.imread cannot open every path on Windows
    if raw.size == 0:
        return None
    try:
        image = cv2.imdecode(raw, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, dtype=np.uint8)


class FolderSource:
    """Images in natural order, one every ``1 / fps`` seconds. Sizes may differ.

    Args:
        folder: where the images are (jpg, png, webp, bmp).
        camera: name of the camera; by default the folder's name.
        fps: pictures per second; None: 25, with a warning.
        start_s: skip to this time, seconds; ``index`` and ``time_s`` count from the first image of the folder.
        duration_s: stop after so many seconds; None: to the end.
        numbered: take the index from the file's number (``000001.jpg`` is index 0), so that a missing file is a gap.

    Raises:
        SourceError: no such folder, no image in it, none that can be read, ``start_s`` after the end.
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        camera: str | None = None,
        fps: float | None = None,
        start_s: float = 0.0,
        duration_s: float | None = None,
        numbered: bool = False,
    ) -> None:
        if fps is not None and not (0 < fps < 10_000):
            raise ConfigError(f"fps must be more than 0, got {fps}")
        path = Path(folder)
        self._camera = camera or path.resolve().name
        self._span = Span(start_s, duration_s)
        self._fps = fps or GUESSED_FPS
        self._warnings: dict[str, str] = {}
        if fps is None:
            self._warnings["fps"] = f"a folder of images has no frame rate: {GUESSED_FPS:g} fps taken"
        self._files = self._chosen(path, numbered=numbered)
        self._closed = False
        self._info = self._probe(path)

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self._camera

    @property
    def info(self) -> SourceInfo:
        """Size of the first image, rate, number of images; gains warnings while they are read."""
        return replace(self._info, warnings=tuple(self._warnings.values()))

    def close(self) -> None:
        """Stop ``frames()`` at its next picture. May be called twice."""
        self._closed = True

    def _chosen(self, folder: Path, *, numbered: bool) -> list[tuple[int, float, Path]]:
        """Index, time and file of the images that are wanted."""
        try:
            files = image_files(folder)
        except OSError as error:
            reason = "no such folder" if not folder.exists() else "cannot read the folder"
            raise SourceError(f"{reason}: {folder}", camera=self._camera) from error
        if not files:
            raise SourceError(f"no image (jpg, png, webp, bmp) in the folder {folder}", camera=self._camera)
        indices = _file_numbers(files) if numbered else None
        timed = [
            (index, index / self._fps, file) for index, file in zip(indices or range(len(files)), files, strict=True)
        ]
        chosen = [row for row in timed if self._span.start_s - 1e-6 <= row[1] < self._span.end_s - 1e-6]
        if not chosen:
            length = f"{(timed[-1][0] + 1) / self._fps:.2f} s long"
            raise SourceError(
                f"start {self._span.start_s:g} s is after the end of {folder} ({length})", camera=self._camera
            )
        return chosen

    def _probe(self, folder: Path) -> SourceInfo:
        for _, _, file in self._files:
            image = read_image(file)
            if image is not None:
                height, width = image.shape[:2]
                return SourceInfo(str(folder), width, height, self._fps, len(self._files))
        raise SourceError(f"no image in {folder} can be read", camera=self._camera)

    def frames(self) -> Iterator[Frame]:
        """Every image, uint8 ``(H, W, 3)`` BGR. One that cannot be read is a gap in ``index`` and a warning."""
        unreadable = []
        for index, time_s, file in self._files:
            if self._closed:
                return
            try:
                image = read_image(file)
            except OSError:
                image = None
            if image is None:
                unreadable.append(file.name)
                self._warnings["unreadable"] = f"{len(unreadable)} images could not be read, the first: {unreadable[0]}"
                continue
            yield Frame(self._camera, index, time_s, image)


def _file_numbers(files: list[Path]) -> list[int] | None:
    """0-based numbers from names that are numbers from 1 on, each once; None when they are not."""
    if not all(file.stem.isdecimal() for file in files):
        return None
    numbers = [int(file.stem) - 1 for file in files]
    return numbers if numbers[0] >= 0 and len(set(numbers)) == len(numbers) else None
