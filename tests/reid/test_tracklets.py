from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from reidpipe.errors import ConfigError
from reidpipe.evaluate.protocols import evaluate_retrieval
from reidpipe.reid.datasets import read_set
from reidpipe.reid.tracklets import TrackletSet, evaluate_tracklets, pool_frames, read_mars
from reidpipe.types import Vectors


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name[:4] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_tracklets_mars_train_is_grouped_by_name(tmp_path: Path) -> None:
    touch(
        tmp_path / "bbox_train",
        "0001C1T0001F002.jpg",
        "0001C1T0001F001.jpg",
        "0001C2T0001F001.jpg",
        "0003C1T0002F001.jpg",
    )
    found = read_mars(tmp_path, "train")
    assert (found.persons.tolist(), found.cameras.tolist()) == ([1, 1, 3], [1, 2, 1])
    assert [path.name for path in found.frames[0]] == ["0001C1T0001F001.jpg", "0001C1T0001F002.jpg"]
    images = read_set("mars", tmp_path, "train")
    assert (images.persons.tolist(), images.cameras.tolist()) == ([1, 1, 1, 3], [1, 1, 2, 1])


def test_tracklets_mars_query_and_gallery_follow_the_tables(tmp_path: Path) -> None:
    names = [
        "00-1C1T0001F001.jpg",
        "0000C1T0001F001.jpg",
        "0002C1T0001F001.jpg",
        "0002C1T0001F002.jpg",
        "0002C2T0001F001.jpg",
    ]
    (tmp_path / "info").mkdir()
    (tmp_path / "info" / "test_name.txt").write_text("\n".join(names))
    table = np.array([[1, 1, -1, 1], [2, 2, 0, 1], [3, 4, 2, 1], [5, 5, 2, 2]])
    savemat(tmp_path / "info" / "tracks_test_info.mat", {"track_test_info": table})
    savemat(tmp_path / "info" / "query_IDX.mat", {"query_IDX": np.array([[3]])})
    query, gallery = read_mars(tmp_path, "query"), read_mars(tmp_path, "gallery")
    assert (query.persons.tolist(), gallery.persons.tolist()) == ([2], [0, 2])
    assert query.frames[0] == tuple(tmp_path / "bbox_test" / "0002" / name for name in names[2:4])
    assert gallery.select([1]).cameras.tolist() == [2]

    def by_person(paths: Sequence[Path]) -> Vectors:
        return np.array([[1.0, float(path.name[:4] == "0002")] for path in paths], dtype=np.float32)

    scores = evaluate_retrieval(by_person, {"mars": tmp_path})["mars"]  # as tracklets: one query of two frames
    assert (scores.queries, scores.rank(1), scores.mean_ap) == (1, 1.0, 1.0)


def test_tracklets_mars_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bbox_train is not there"):
        read_mars(tmp_path, "train")
    with pytest.raises(ConfigError, match=r"tracks_test_info\.mat is not there"):
        read_mars(tmp_path, "query")
    with pytest.raises(ConfigError, match="no part 'val'"):
        read_mars(tmp_path, "val")


def by_name(paths: Sequence[Path]) -> Vectors:
    """The number in the file name as an angle in degrees, with a length that must not count."""
    angles = np.radians([float(path.stem) for path in paths])
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1) * (1 + angles[:, None]), dtype=np.float32)


def tracks(persons: list[int], cameras: list[int], *angles: list[int]) -> TrackletSet:
    frames = tuple(tuple(Path(f"{angle}.jpg") for angle in run) for run in angles)
    return TrackletSet("x", frames, np.array(persons, dtype=np.int64), np.array(cameras, dtype=np.int64))


def test_tracklets_are_pooled_to_the_mean_direction() -> None:
    found = tracks([1, 2], [0, 0], [10, 20, 30], [80])
    pooled = pool_frames(by_name, found, chunk=2)
    angles = np.degrees(np.arctan2(pooled[:, 1], pooled[:, 0]))
    np.testing.assert_allclose(angles, [20, 80], atol=1e-3)
    ends = pool_frames(by_name, tracks([1], [0], [0, 50, 50, 50, 40]), max_frames=2)
    np.testing.assert_allclose(np.degrees(np.arctan2(ends[:, 1], ends[:, 0])), [20], atol=1e-3)


def test_tracklets_are_scored_as_tracklets() -> None:
    query = tracks([1], [0], [0, 60])  # 30 degrees pooled; its first frame alone would be nearer to person 2
    gallery = tracks([2, 1], [1, 1], [5], [25, 35])
    assert evaluate_tracklets(by_name, query, gallery).rank(1) == 1.0
    assert evaluate_tracklets(by_name, query, gallery, max_frames=1).rank(1) == 0.0
