"""identities.json, identities.npz and thumbnails: who was seen, where and when."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.sinks.files import replacing, write_bytes, write_json
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.types import Link, TrackKey, Tracklet, Vectors

__all__ = ["IDENTITIES_SCHEMA", "write_identities"]

IDENTITIES_SCHEMA = "reidpipe.identities/1"
VECTORS_FILE = "identities.npz"
THUMBNAILS_FOLDER = "thumbnails"
_TIME_DECIMALS = 6
_DECIMALS = 4


def write_identities(
    folder: Path | str,
    tracklets: Iterable[Tracklet],
    links: Iterable[Link],
    *,
    thumbnails: ThumbnailKeeper | None = None,
    names: Mapping[int, str] | None = None,
    hurried: Callable[[], bool] | None = None,
) -> int:
    """Write ``identities.json`` (schema ``reidpipe.identities/1``), ``identities.npz`` and ``thumbnails/``.

    ``identities.npz`` holds one row for each tracklet of the JSON, in the same order: ``camera`` (str), ``track_id``,
    ``global_id`` (int64) and ``vectors`` (float32 ``(N, D)``, unit rows); and one for each identity: ``identity_id``
    (int64) and ``identity_vectors`` (float32 ``(M, D)``, unit rows: the mean of its tracklets weighted by quality).

    Args:
        folder: of the run.
        tracklets: the last state of each track; of two with one key the later counts. One without a link is left out.
        links: decisions in order; of two for one key the later counts.
        thumbnails: where the pictures are; None: no thumbnails.
        names: global id -> what a user calls that person, for those who have a name.
        hurried: asked before each identity; from the first True on, they are written without pictures.

    Returns:
        How many identities there are.

    Raises:
        SinkError: something cannot be written.
    """
    path = Path(folder)
    decided = {link.key: link for link in links}
    people = _by_identity(tracklets, decided)
    records = []
    for global_id in sorted(people):
        if thumbnails is not None and hurried is not None and hurried():
            thumbnails = None
        pictures = _save_thumbnails(path, global_id, people[global_id], thumbnails)
        record = _identity(global_id, people[global_id], decided, pictures)
        if names and global_id in names:
            record["name"] = names[global_id]
        records.append(record)
    _write_vectors(path / VECTORS_FILE, people)
    write_json(path / "identities.json", {"schema": IDENTITIES_SCHEMA, "vectors": VECTORS_FILE, "identities": records})
    return len(records)


def _by_identity(tracklets: Iterable[Tracklet], links: Mapping[TrackKey, Link]) -> dict[int, list[Tracklet]]:
    latest = {tracklet.key: tracklet for tracklet in tracklets}
    people: defaultdict[int, list[Tracklet]] = defaultdict(list)
    for tracklet in sorted(latest.values(), key=lambda t: (t.first_s, t.key)):
        if tracklet.key in links:
            people[links[tracklet.key].global_id].append(tracklet)
    return dict(people)


@dataclass(slots=True)
class _Pictures:
    """Files of one identity, paths below the run's folder."""

    best: str | None
    by_camera: dict[str, str]
    by_track: dict[TrackKey, str]


def _identity(
    global_id: int,
    tracklets: Sequence[Tracklet],
    links: Mapping[TrackKey, Link],
    pictures: _Pictures,
) -> dict[str, Any]:
    return {
        "global_id": global_id,
        "first_s": round(min(t.first_s for t in tracklets), _TIME_DECIMALS),
        "last_s": round(max(t.last_s for t in tracklets), _TIME_DECIMALS),
        "cameras": sorted({t.key.camera for t in tracklets}),
        "thumbnail": pictures.best,
        "thumbnails": pictures.by_camera,
        "tracklets": [
            {
                "camera": t.key.camera,
                "track_id": t.key.track_id,
                "first_s": round(t.first_s, _TIME_DECIMALS),
                "last_s": round(t.last_s, _TIME_DECIMALS),
                "similarity": round(links[t.key].similarity, _DECIMALS),
                **_sure(links[t.key]),
                "count": t.count,
                "quality": round(t.quality, _DECIMALS),
                **({"thumbnail": pictures.by_track[t.key]} if t.key in pictures.by_track else {}),
            }
            for t in tracklets
        ],
    }


def _sure(link: Link) -> dict[str, float]:
    return {} if link.probability is None else {"probability": round(link.probability, _DECIMALS)}


def _save_thumbnails(
    folder: Path, global_id: int, tracklets: Sequence[Tracklet], keeper: ThumbnailKeeper | None
) -> _Pictures:
    """The best picture of the identity as ``<id>.jpg``, those of its other tracks as ``<id>-<k>.jpg``."""
    pictures = _Pictures(None, {}, {})
    best = None if keeper is None else keeper.best(t.key for t in tracklets)
    if keeper is None or best is None:
        return pictures
    scores: dict[str, float] = {}
    for number, tracklet in enumerate(tracklets, 1):
        own = keeper.best([tracklet.key])
        if own is None:
            continue
        name = f"{THUMBNAILS_FOLDER}/{global_id}.jpg"
        if own.key == best.key:
            pictures.best = name
        else:
            name = f"{THUMBNAILS_FOLDER}/{global_id}-{number}.jpg"
        write_bytes(folder / name, own.jpeg)
        pictures.by_track[tracklet.key] = name
        camera = tracklet.key.camera
        if own.score > scores.get(camera, -1.0):
            scores[camera], pictures.by_camera[camera] = own.score, name
    return pictures


def _write_vectors(path: Path, people: Mapping[int, Sequence[Tracklet]]) -> None:
    rows = [(global_id, tracklet) for global_id in sorted(people) for tracklet in people[global_id]]
    dim = len(rows[0][1].vector) if rows else 0
    vectors = np.stack([t.vector for _, t in rows]) if rows else np.zeros((0, dim), np.float32)
    means = [_mean(people[global_id]) for global_id in sorted(people)]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        camera=np.array([t.key.camera for _, t in rows], dtype=np.str_),
        track_id=np.array([t.key.track_id for _, t in rows], dtype=np.int64),
        global_id=np.array([global_id for global_id, _ in rows], dtype=np.int64),
        vectors=vectors,
        identity_id=np.array(sorted(people), dtype=np.int64),
        identity_vectors=np.stack(means) if means else np.zeros((0, dim), np.float32),
    )
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _mean(tracklets: Sequence[Tracklet]) -> Vectors:
    """Mean direction, weighted by quality; the first vector where all cancel out."""
    weights = np.array([max(t.quality, 1e-6) for t in tracklets], np.float32)
    total = (np.stack([t.vector for t in tracklets]) * weights[:, None]).sum(axis=0)
    norm = float(np.linalg.norm(total))
    return np.asarray(total / norm if norm > 1e-6 else tracklets[0].vector, dtype=np.float32)
