"""Crops decoded and resized once: one uint8 `.npy` that training maps into memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.types import Image


def read_image(path: Path) -> Image:
    """Read one image file as uint8 `(H, W, 3)` BGR.

    Raises:
        ConfigError: The file is not there or is no readable image.
    """
    import cv2

    try:
        data = np.fromfile(path, dtype=np.uint8)  # not cv2.imread: it cannot open non-ASCII paths on Windows
    except OSError as error:
        raise ConfigError(f"cannot read image {path}: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ConfigError(f"{path} is not a readable image: remove or replace it")
    return np.asarray(image, dtype=np.uint8)


def resize(image: Image, *, height: int, width: int) -> Image:
    """Resize to `(height, width, 3)`: area average where the crop shrinks by more than 1.5, else bilinear."""
    import cv2

    shrink = min(image.shape[0] / height, image.shape[1] / width)
    method = cv2.INTER_AREA if shrink > 1.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def build_cache(
    paths: Sequence[Path], folder: Path, *, height: int, width: int, on_progress: Callable[[int], None] | None = None
) -> Image:
    """Decode and resize `paths` once; the file's name is a digest of the list, so another list makes another file.

    Args:
        paths: Image files, `N`.
        folder: Where the `.npy` lies or is written.
        height: Rows of a cached crop, pixels.
        width: Columns of a cached crop, pixels.
        on_progress: Called with the number of images done.

    Returns:
        uint8 `(N, height, width, 3)` BGR, read-only memory map.
    """
    digest = paths_digest(paths)
    cache_file = folder / f"crops-{digest}-{height}x{width}.npy"
    if not cache_file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = cache_file.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), height, width, 3)}
            np.lib.format.write_array_header_1_0(stream, header)
            for row, path in enumerate(paths):
                stream.write(resize(read_image(path), height=height, width=width).tobytes())
                if on_progress is not None:
                    on_progress(row + 1)
        unfinished.replace(cache_file)
    crops: Image = np.load(cache_file, mmap_mode="r")
    return crops


def paths_digest(paths: Sequence[Path]) -> str:
    """A short digest of the file names, their order and sizes: the key of everything computed once per list."""
    state = hashlib.sha256()
    for path in paths:
        state.update(f"{path.parent.name}/{path.name}:{path.stat().st_size}\n".encode())
    return state.hexdigest()[:16]
