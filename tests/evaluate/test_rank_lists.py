from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reidpipe.evaluate.rank_lists import RIGHT, WRONG, write_rank_lists
from reidpipe.reid.cache import read_image
from reidpipe.reid.datasets import ReidSet


def people(folder: Path, persons: list[int], cameras: list[int]) -> ReidSet:
    folder.mkdir()
    paths = tuple(folder / f"{row}.png" for row in range(len(persons)))
    for row, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((16, 8, 3), 40 * row, dtype=np.uint8))
    return ReidSet("x", paths, np.array(persons, dtype=np.int64), np.array(cameras, dtype=np.int64))


def test_rank_lists_frame_right_and_wrong_and_leave_the_own_camera_out(tmp_path: Path) -> None:
    query, gallery = people(tmp_path / "q", [7], [0]), people(tmp_path / "g", [7, 3, 7], [0, 1, 1])
    distances = np.array([[0.0, 0.2, 0.5]], dtype=np.float32)
    files = write_rank_lists(distances, query, gallery, tmp_path / "out", height=32, width=16, count=5)
    picture = read_image(files[0])
    tile = 16 + 8
    assert picture.shape == (32 + 8, 3 * tile, 3)  # the query and two of the three: one is in the query's camera
    assert picture[0, tile].tolist() == list(WRONG)
    assert picture[0, 2 * tile].tolist() == list(RIGHT)
    assert picture[20, 2 * tile + 12].tolist() == [80, 80, 80]
