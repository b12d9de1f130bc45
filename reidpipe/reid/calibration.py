"""Pictures of people, prepared as an exported embedder takes them: what INT8 ranges are measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.reid.cache import read_image
from reidpipe.reid.datasets import IMAGE_SUFFIXES
from reidpipe.reid.embed import to_input


def calibration_images(folder: Path, *, count: int, height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Read crops from a folder of any depth.

    Args:
        folder: Image files of people.
        count: How many at most; which ones depends on the seed and the file names alone.
        height: Rows of the embedder's input.
        width: Columns of the embedder's input.
        seed: Of the choice.

    Returns:
        float32 `(N, 3, height, width)` RGB, ImageNet-normalised, in random order.

    Raises:
        ConfigError: The folder is not there, or a file in it is no readable image.
    """
    import cv2

    if not folder.is_dir():
        raise ConfigError(f"calibration folder {folder} is not there")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ConfigError(f"no images in the calibration folder {folder}")
    chosen = np.random.default_rng(seed).permutation(len(files))[:count].tolist()
    pictures = [cv2.resize(read_image(files[place]), (width, height)) for place in chosen]
    return np.ascontiguousarray(to_input(np.stack(pictures)).numpy(), dtype=np.float32)
