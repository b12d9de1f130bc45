"""Rank lists as pictures: a query, then what was found for it, right in green and wrong in red."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reidpipe.evaluate.retrieval import Distances
from reidpipe.reid.cache import read_image
from reidpipe.reid.datasets import ReidSet
from reidpipe.types import Image

RIGHT, WRONG, QUERY = (60, 170, 60), (60, 60, 220), (40, 40, 40)  # BGR
BORDER = 4


def write_rank_lists(
    distances: Distances,
    query: ReidSet,
    gallery: ReidSet,
    output: Path,
    *,
    rows: Sequence[int] | None = None,
    count: int = 10,
    height: int = 256,
    width: int = 128,
) -> list[Path]:
    """Write one PNG per query: the query first, then its `count` nearest gallery images without its own camera's.

    Args:
        distances: float32 `(Q, G)`.
        query: The queries.
        gallery: The gallery.
        output: Folder.
        rows: Queries to draw; None = all.
        count: Gallery images in a list.
        height: Rows of a drawn person, pixels.
        width: Columns of a drawn person, pixels.

    Returns:
        The files, in the order of `rows`.
    """
    import cv2

    output.mkdir(parents=True, exist_ok=True)
    files = []
    for row in range(len(query)) if rows is None else rows:
        same_person = gallery.persons == query.persons[row]
        left_out = same_person & (gallery.cameras == query.cameras[row]) & (query.cameras[row] >= 0)
        order = np.argsort(np.where(left_out, np.inf, distances[row]), kind="stable")
        nearest = order[: min(count, int((~left_out).sum()))].tolist()
        tiles = [_tile(query.paths[row], QUERY, height, width)]
        tiles += [_tile(gallery.paths[i], RIGHT if same_person[i] else WRONG, height, width) for i in nearest]
        _, data = cv2.imencode(".png", np.concatenate(tiles, axis=1))
        file = output / f"{row:05d}_{query.paths[row].stem}.png"
        file.write_bytes(data.tobytes())
        files.append(file)
    return files


def _tile(path: Path, colour: tuple[int, int, int], height: int, width: int) -> Image:
    import cv2

    tile = np.empty((height + 2 * BORDER, width + 2 * BORDER, 3), dtype=np.uint8)
    tile[:] = colour
    tile[BORDER:-BORDER, BORDER:-BORDER] = cv2.resize(read_image(path), (width, height))
    return tile
