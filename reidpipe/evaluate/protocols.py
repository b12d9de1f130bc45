"""Retrieval on known data sets, each by its own protocol, for any embedder of image files.

VIPeR: camera a to b, either all 632 persons or ten random halves (`splits.json`). GRID: 250 probes, the whole gallery.
CUHK03: single gallery shot. All others: query to gallery without same-camera matches (Market-1501).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.evaluate.rerank import rerank_distances
from reidpipe.evaluate.retrieval import (
    Distances,
    Metric,
    RetrievalScores,
    pairwise_distances,
    score_distances,
    score_retrieval,
    score_single_shot,
)
from reidpipe.reid.datasets import ReidSet, query_gallery, read_set
from reidpipe.types import Vectors

if TYPE_CHECKING:
    from rich.table import Table

EmbedFiles = Callable[[Sequence[Path]], Vectors]
"""Image files to float32 `(N, D)` vectors."""

Split = Literal["all", "ten"]
WITHOUT_PARTS = frozenset({"cuhk01", "ilids", "caviar", "csv", "folder"})


def evaluate_retrieval(
    embed: EmbedFiles,
    datasets: Mapping[str, Path],
    *,
    metric: Metric = "cosine",
    viper_split: Split = "all",
    rerank: bool = False,
) -> dict[str, RetrievalScores]:
    """Score one embedder on several data sets (the cross-domain table).

    Args:
        embed: The embedder; called once per query part and once per gallery part.
        datasets: Reader name (`viper`, `grid`, `market1501`, ...) to root folder, in the order of the result.
        metric: `cosine` or `euclidean`.
        viper_split: VIPeR with `all` persons at once, or the mean over the `ten` halves of `splits.json`.
        rerank: k-reciprocal re-ranking before scoring.

    Returns:
        Scores by data set, fractions.

    Raises:
        ConfigError: A data set is not there, or has another layout.
    """
    scores = {}
    for name, root in datasets.items():
        query, gallery = read_query_gallery(name, root)
        vectors = embed(query.paths), embed(gallery.paths)
        if name == "viper" and viper_split == "ten":
            scores[name] = _viper_ten(root, query, gallery, vectors, metric, rerank)
        else:
            scores[name] = _score(name, query, gallery, vectors, metric, rerank)
    return scores


def retrieval_table(scores: Mapping[str, RetrievalScores], *, title: str = "") -> Table:
    """One line per data set: rank-1, -5, -10 and mAP in percent."""
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for column in ("data set", "queries", "rank-1", "rank-5", "rank-10", "mAP"):
        table.add_column(column, justify="left" if column == "data set" else "right")
    for name, found in scores.items():
        percent = (found.rank(1), found.rank(5), found.rank(10), found.mean_ap)
        table.add_row(name, str(found.queries), *(f"{100 * value:.1f}" for value in percent))
    return table


def embedder_of_files(embedder: object, *, batch: int = 32) -> EmbedFiles:
    """Make :data:`EmbedFiles` of a pipeline embedder (`OSNetEmbedder`): each file is one whole-picture crop."""
    from reidpipe.reid.cache import read_image

    def embed(paths: Sequence[Path]) -> Vectors:
        rows = []
        for start in range(0, len(paths), batch):
            images = [read_image(path) for path in paths[start : start + batch]]
            boxes = [np.array([[0, 0, image.shape[1], image.shape[0]]], dtype=np.float32) for image in images]
            rows += embedder.embed(images, boxes)  # type: ignore[attr-defined]
        return np.concatenate(rows)

    return embed


def read_query_gallery(name: str, root: Path) -> tuple[ReidSet, ReidSet]:
    """The two sides of a set's test; sets without fixed parts get the first image per person and camera as query."""
    if name in WITHOUT_PARTS:
        return query_gallery(read_set(name, root, "all"))
    if name == "cuhk03":
        return query_gallery(read_set(name, root, "val"))
    return read_set(name, root, "query"), read_set(name, root, "gallery")


def _score(
    name: str,
    query: ReidSet,
    gallery: ReidSet,
    vectors: tuple[Vectors, Vectors],
    metric: Metric,
    rerank: bool,
) -> RetrievalScores:
    labels = (query.persons, query.cameras, gallery.persons, gallery.cameras)
    if name != "cuhk03" and not rerank:
        return score_retrieval(vectors[0], *labels[:2], vectors[1], *labels[2:], metric=metric)
    distances = _distances(vectors, metric, rerank)
    return score_single_shot(distances, *labels) if name == "cuhk03" else score_distances(distances, *labels)


def _distances(vectors: tuple[Vectors, Vectors], metric: Metric, rerank: bool) -> Distances:
    if rerank:
        return rerank_distances(*vectors, metric=metric)
    return pairwise_distances(*vectors, metric=metric)


def _viper_ten(
    root: Path, query: ReidSet, gallery: ReidSet, vectors: tuple[Vectors, Vectors], metric: Metric, rerank: bool
) -> RetrievalScores:
    """The mean over the test halves of `splits.json` (index i = i-th file in sorted order, in both folders)."""
    splits_file = root / "splits.json"
    try:
        halves = [np.array(split["test"], dtype=np.int64) for split in json.loads(splits_file.read_text())]
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise ConfigError(f"viper: {splits_file} is not there or no list of splits with 'test'") from error
    runs = [
        _score("viper", query.select(rows), gallery.select(rows), (vectors[0][rows], vectors[1][rows]), metric, rerank)
        for rows in halves
    ]
    cmc = np.mean([run.cmc for run in runs], axis=0)
    mean_ap = float(np.mean([run.mean_ap for run in runs]))
    return RetrievalScores(cmc, mean_ap, runs[0].queries, runs[0].skipped)
