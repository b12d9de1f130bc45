"""Video data sets: people as tracklets (runs of frames in one camera), pooled to one vector each before scoring."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.evaluate.retrieval import Metric, RetrievalScores, score_retrieval
from reidpipe.reid.datasets import IMAGE_SUFFIXES
from reidpipe.types import Ids, Vectors

EmbedFiles = Callable[[Sequence[Path]], Vectors]


@dataclass(frozen=True, slots=True)
class TrackletSet:
    """Tracklets with their labels.

    Attributes:
        name: Name of the set.
        frames: Image files of each of the `N` tracklets, in time order.
        persons: int64 `(N,)`.
        cameras: int64 `(N,)`.
    """

    name: str
    frames: tuple[tuple[Path, ...], ...]
    persons: Ids
    cameras: Ids

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, rows: Sequence[int] | Ids) -> TrackletSet:
        """Return the set reduced to `rows`, in that order."""
        index = np.asarray(rows, dtype=np.int64)
        return TrackletSet(self.name, tuple(self.frames[i] for i in index), self.persons[index], self.cameras[index])


def read_mars(root: Path, part: str) -> TrackletSet:
    """MARS (Zheng et al., ECCV 2016): `bbox_train|bbox_test/<person>/<person>C<camera>T<track>F<frame>.jpg`.

    `train` is read from the folder. `query` and `gallery` are the tracklets of `info/tracks_test_info.mat` that
    `info/query_IDX.mat` names and does not name; junk (person -1) is left out, distractors (0) stay.

    Raises:
        ConfigError: Unknown part, or a file or folder is not there.
    """
    if part == "train":
        return _group(root / "bbox_train")
    if part not in {"query", "gallery"}:
        raise ConfigError(f"mars has no part '{part}': use train, query or gallery")
    tracks, queries = _test_tables(root / "info")
    names = (root / "info" / "test_name.txt").read_text().split()
    is_query = np.isin(np.arange(1, len(tracks) + 1), queries)
    chosen = np.flatnonzero((is_query if part == "query" else ~is_query) & (tracks[:, 2] != -1))
    frames = []
    for first, last, _person, _camera in tracks[chosen].tolist():
        frames.append(tuple(_test_file(root, name) for name in names[first - 1 : last]))
    return TrackletSet("mars", tuple(frames), tracks[chosen, 2].copy(), tracks[chosen, 3].copy())


def pool_frames(
    embed: EmbedFiles, tracklets: TrackletSet, *, max_frames: int | None = None, chunk: int = 2048
) -> Vectors:
    """One unit vector per tracklet: the mean of its frames' unit vectors.

    Args:
        embed: Image files to vectors.
        tracklets: What to embed.
        max_frames: At most so many frames of each, evenly spread; None = all.
        chunk: Frames embedded at a time.

    Returns:
        float32 `(N, D)`, unit rows.
    """
    kept = [_spread(frames, max_frames) for frames in tracklets.frames]
    files = [file for frames in kept for file in frames]
    vectors = np.concatenate([embed(files[start : start + chunk]) for start in range(0, len(files), chunk)])
    vectors = _unit(vectors)
    starts = np.cumsum([0, *(len(frames) for frames in kept[:-1])])
    return _unit(np.add.reduceat(vectors, starts, axis=0))


def evaluate_tracklets(
    embed: EmbedFiles,
    query: TrackletSet,
    gallery: TrackletSet,
    *,
    metric: Metric = "cosine",
    max_frames: int | None = None,
) -> RetrievalScores:
    """Score retrieval of tracklets by pooled vectors (same-camera exclusion as for images)."""
    query_vectors = pool_frames(embed, query, max_frames=max_frames)
    gallery_vectors = pool_frames(embed, gallery, max_frames=max_frames)
    return score_retrieval(
        query_vectors,
        query.persons,
        query.cameras,
        gallery_vectors,
        gallery.persons,
        gallery.cameras,
        metric=metric,
    )


def _group(folder: Path) -> TrackletSet:
    """Tracklets of a folder by the names of its files."""
    if not folder.is_dir():
        raise ConfigError(f"mars: folder {folder} is not there: give the data set's root folder")
    groups: dict[tuple[int, int, int], list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        match = re.match(r"(-?\d+)C(\d)T(\d+)F\d+$", path.stem)
        if match and path.suffix.lower() in IMAGE_SUFFIXES and int(match[1]) >= 0:
            groups[int(match[1]), int(match[2]), int(match[3])].append(path)
    if not groups:
        raise ConfigError(f"mars: no tracklets in {folder}: expected <person>C<camera>T<track>F<frame> images")
    keys = sorted(groups)
    persons = np.array([key[0] for key in keys], dtype=np.int64)
    cameras = np.array([key[1] for key in keys], dtype=np.int64)
    return TrackletSet("mars", tuple(tuple(groups[key]) for key in keys), persons, cameras)


def _test_tables(info: Path) -> tuple[Ids, Ids]:
    """Rows `first, last, person, camera` (1-based frames) and the 1-based numbers of the query rows."""
    from scipy.io import loadmat

    tables = []
    for file, key in (("tracks_test_info.mat", "track_test_info"), ("query_IDX.mat", "query_IDX")):
        if not (info / file).is_file():
            raise ConfigError(f"mars: {info / file} is not there: it is in the MARS-evaluation repository")
        tables.append(np.asarray(loadmat(info / file)[key], dtype=np.int64))
    return tables[0], tables[1].reshape(-1)


def _test_file(root: Path, name: str) -> Path:
    return root / "bbox_test" / name[:4] / name  # the folder is the person: 0001, 0000, 00-1


def _spread(frames: tuple[Path, ...], count: int | None) -> tuple[Path, ...]:
    if count is None or len(frames) <= count:
        return frames
    return tuple(frames[i] for i in np.linspace(0, len(frames) - 1, count).round().astype(int))


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
