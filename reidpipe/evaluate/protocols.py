"""Retrieval on known data sets, each by its own protocol, for any embedder of image files.

VIPeR and PRID: camera a to b. GRID: the probes, the whole gallery with its distractors. These three with all persons,
or as the mean over ten halves of them. CUHK03 in one folder: single gallery shot. MARS: tracklets, pooled. All others:
query to gallery without same-camera matches (Market-1501).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.evaluate.rank_lists import write_rank_lists
from reidpipe.evaluate.rerank import rerank_blocks, rerank_distances
from reidpipe.evaluate.retrieval import (
    Distances,
    Metric,
    RetrievalScores,
    pairwise_distances,
    score_blocks,
    score_retrieval,
    score_single_shot,
)
from reidpipe.reid.datasets import ReidSet, query_gallery, read_set
from reidpipe.reid.tracklets import evaluate_tracklets, read_mars
from reidpipe.types import Ids, Vectors

EmbedFiles = Callable[[Sequence[Path]], Vectors]
"""Image files to float32 `(N, D)` vectors."""

Split = Literal["all", "ten"]
WITHOUT_PARTS = frozenset({"cuhk01", "ilids", "caviar", "csv", "folder"})
HALVED = frozenset({"viper", "grid", "prid"})
HALVES = 10


@dataclass(frozen=True, slots=True)
class Protocol:
    """How retrieval is scored.

    Attributes:
        metric: `cosine` or `euclidean`.
        split: VIPeR, GRID and PRID with `all` persons at once, or the mean over `ten` halves: those of `splits.json`
            in the set's folder where it is there, else halves drawn with a fixed seed.
        rerank: k-reciprocal re-ranking before scoring.
    """

    metric: Metric = "cosine"
    split: Split = "all"
    rerank: bool = False


def evaluate_retrieval(
    embed: EmbedFiles,
    datasets: Mapping[str, Path],
    *,
    protocol: Protocol | None = None,
    rank_lists: Path | None = None,
    lists: int = 20,
) -> dict[str, RetrievalScores]:
    """Score one embedder on several data sets (a row of the cross-domain table).

    Args:
        embed: The embedder; called once per query part and once per gallery part.
        datasets: Reader name (`viper`, `grid`, `market1501`, ..., `mars`) to root folder, in the order of the result.
        protocol: How it is scored; None = cosine, all persons, no re-ranking.
        rank_lists: Folder for pictures of rank lists, one folder per set; None = no pictures.
        lists: Pictures per set, of queries evenly spread.

    Returns:
        Scores by data set, fractions.

    Raises:
        ConfigError: A data set is not there, or has another layout.
    """
    protocol = protocol or Protocol()
    scores = {}
    for name, root in datasets.items():
        if name == "mars":
            query_tracks, gallery_tracks = read_mars(root, "query"), read_mars(root, "gallery")
            scores[name] = evaluate_tracklets(embed, query_tracks, gallery_tracks, metric=protocol.metric)
            continue
        query, gallery = read_query_gallery(name, root)
        vectors = embed(query.paths), embed(gallery.paths)
        halves = _halves(root, query, gallery) if protocol.split == "ten" and name in HALVED else None
        scores[name] = _score_halves(name, query, gallery, vectors, protocol, halves)
        if rank_lists is not None:
            rows = np.unique(np.linspace(0, len(query) - 1, min(lists, len(query))).round().astype(np.int64)).tolist()
            write_rank_lists(_distances(vectors, protocol), query, gallery, rank_lists / name, rows=rows)
    return scores


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
    name: str, query: ReidSet, gallery: ReidSet, vectors: tuple[Vectors, Vectors], protocol: Protocol
) -> RetrievalScores:
    labels = (query.persons, query.cameras, gallery.persons, gallery.cameras)
    if name != "cuhk03" and not protocol.rerank:
        return score_retrieval(vectors[0], *labels[:2], vectors[1], *labels[2:], metric=protocol.metric)
    if name == "cuhk03":
        return score_single_shot(_distances(vectors, protocol), *labels)
    return score_blocks(rerank_blocks(*vectors, metric=protocol.metric), *labels)


def _distances(vectors: tuple[Vectors, Vectors], protocol: Protocol) -> Distances:
    if protocol.rerank:
        return rerank_distances(*vectors, metric=protocol.metric)
    return pairwise_distances(*vectors, metric=protocol.metric)


def _halves(root: Path, query: ReidSet, gallery: ReidSet) -> list[Ids]:
    """The persons of each test half: of `splits.json` (index i = i-th person with a query), else at random."""
    people = np.intersect1d(query.persons, gallery.persons)
    splits_file = root / "splits.json"
    if not splits_file.is_file():
        rng = np.random.default_rng(0)
        return [rng.permutation(people)[: len(people) // 2] for _ in range(HALVES)]
    known = np.unique(query.persons)
    try:
        return [known[np.array(split["test"], dtype=np.int64)] for split in json.loads(splits_file.read_text())]
    except (KeyError, TypeError, IndexError, json.JSONDecodeError) as error:
        raise ConfigError(f"{splits_file} is no list of splits with 'test', positions of persons") from error


def _score_halves(
    name: str,
    query: ReidSet,
    gallery: ReidSet,
    vectors: tuple[Vectors, Vectors],
    protocol: Protocol,
    halves: Sequence[Ids] | None,
) -> RetrievalScores:
    """The mean over test halves; people of the gallery that have no query are distractors and stay."""
    if halves is None:
        return _score(name, query, gallery, vectors, protocol)
    runs = []
    for persons in halves:
        asked = np.flatnonzero(np.isin(query.persons, persons))
        left_out = np.isin(gallery.persons, np.setdiff1d(query.persons, persons))
        kept = np.flatnonzero(~left_out)
        parts = vectors[0][asked], vectors[1][kept]
        runs.append(_score(name, query.select(asked), gallery.select(kept), parts, protocol))
    cmc = np.mean([run.cmc for run in runs], axis=0)
    mean_ap = float(np.mean([run.mean_ap for run in runs]))
    return RetrievalScores(cmc, mean_ap, runs[0].queries, runs[0].skipped)
