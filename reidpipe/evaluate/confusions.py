"""Which people were split over several ids, and which ids hold several people: the errors behind a joint score."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError, SinkError
from reidpipe.evaluate.clusters import ClusterScores, score_clusters
from reidpipe.evaluate.mot_text import read_mot
from reidpipe.evaluate.paired import PairedSequence

__all__ = ["Confusions", "Part", "find_confusions", "write_confusions"]

OVERLAP = 0.5
"""Intersection over union from which a box of the result is a person's."""

LEAST_SHARE = 0.02
"""Of somebody's boxes: what is less is a brush in passing, not a confusion."""


@dataclass(frozen=True, slots=True)
class Part:
    """Boxes that one person and one id have in common.

    Attributes:
        person: id of the truth.
        global_id: id of the result.
        boxes: how many, by camera.
    """

    person: int
    global_id: int
    boxes: dict[str, int]

    @property
    def total(self) -> int:
        """In all cameras."""
        return sum(self.boxes.values())


@dataclass(frozen=True, slots=True)
class Confusions:
    """What went wrong.

    Attributes:
        split: person -> parts under different ids, largest first; only people with more than one.
        merged: id -> parts of different people, largest first; only ids with more than one.
        scores: of the pieces (one for each camera, person and id), weighted by boxes where weights count.
    """

    split: dict[int, list[Part]]
    merged: dict[int, list[Part]]
    scores: ClusterScores


def find_confusions(
    truth: Mapping[str, Path], result: Mapping[str, Path], *, min_visibility: float = 0.0
) -> Confusions:
    """Compare ids box by box.

    Args:
        truth: camera -> MOTChallenge file with global ids.
        result: the same cameras -> MOTChallenge file with global ids.
        min_visibility: truth that can be seen less is left out, 0..1.

    Raises:
        ConfigError: cameras differ, or a file is missing or is no MOTChallenge table.
    """
    if set(truth) != set(result):
        raise ConfigError(f"truth and result must have the same cameras, got {sorted(truth)} and {sorted(result)}")
    counts: dict[tuple[int, int], dict[str, int]] = {}
    for camera, path in truth.items():
        pair = PairedSequence.of(read_mot(path), read_mot(result[camera]), min_visibility=min_visibility)
        for key, boxes in _shared(pair).items():
            counts.setdefault(key, {})[camera] = boxes
    parts = [Part(person, global_id, boxes) for (person, global_id), boxes in sorted(counts.items())]
    pieces = [(part.person, part.global_id, boxes) for part in parts for boxes in part.boxes.values()]
    columns = np.asarray(pieces, dtype=np.int64).reshape(-1, 3)
    scores = score_clusters(columns[:, 0], columns[:, 1], columns[:, 2].astype(np.float64))
    return Confusions(_groups(parts, by_person=True), _groups(parts, by_person=False), scores)


def _shared(pair: PairedSequence) -> dict[tuple[int, int], int]:
    """Boxes in common of each person and id of one camera."""
    found: dict[tuple[int, int], int] = {}
    for step in pair.steps:
        if not step.overlap.size:
            continue
        best = step.overlap.argmax(axis=1)
        for row, column in enumerate(best.tolist()):
            if step.overlap[row, column] >= OVERLAP and step.overlap[:, column].argmax() == row:
                key = int(pair.truth_ids[step.truth[row]]), int(pair.result_ids[step.result[column]])
                found[key] = found.get(key, 0) + 1
    return found


def _groups(parts: list[Part], *, by_person: bool) -> dict[int, list[Part]]:
    groups: dict[int, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.person if by_person else part.global_id, []).append(part)
    out = {}
    for key, members in groups.items():
        least = LEAST_SHARE * sum(part.total for part in members)
        kept = sorted((p for p in members if p.total >= least), key=lambda p: (-p.total, p.person, p.global_id))
        if len(kept) > 1:
            out[key] = kept
    return out


def write_confusions(path: Path, found: Confusions, *, run: Path | None = None) -> None:
    """One HTML page, self-contained.

    Args:
        path: the file.
        found: what to tell.
        run: folder of the run, for its thumbnails; None or without any: no pictures.

    Raises:
        SinkError: it cannot be written.
    """
    pictures = {} if run is None else _pictures(run)
    rows = [
        "<!doctype html><meta charset=utf-8><title>Confusions</title>",
        "<style>body{font:15px system-ui;margin:2em;color-scheme:light dark}img{height:96px;border-radius:4px}"
        "figure{display:inline-block;margin:.4em;text-align:center}figcaption{font-size:12px}</style>",
        f"<h1>{len(found.split)} people split, {len(found.merged)} ids with several people</h1>",
    ]
    for person, parts in sorted(found.split.items()):
        rows.append(f"<h2>Person {person} has {len(parts)} ids</h2>" + "".join(_figure(p, pictures) for p in parts))
    for global_id, parts in sorted(found.merged.items()):
        rows.append(f"<h2>Id {global_id} is {len(parts)} people</h2>" + "".join(_figure(p, pictures) for p in parts))
    try:
        path.write_text("\n".join(rows), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}") from error


def _figure(part: Part, pictures: Mapping[tuple[int, str], str]) -> str:
    shots = [pictures[part.global_id, camera] for camera in part.boxes if (part.global_id, camera) in pictures]
    images = "".join(f'<img alt="" src="data:image/jpeg;base64,{shot}">' for shot in shots)
    where = ", ".join(f"{html.escape(camera)} {boxes}" for camera, boxes in part.boxes.items())
    return (
        f"<figure>{images}<figcaption>person {part.person}, id {part.global_id}<br>{where} boxes</figcaption></figure>"
    )


def _pictures(run: Path) -> dict[tuple[int, str], str]:
    """(id, camera) -> JPEG as base64."""
    listing = run / "identities.json"
    if not listing.is_file():
        return {}
    found = {}
    for record in json.loads(listing.read_text(encoding="utf-8"))["identities"]:
        for camera, name in record["thumbnails"].items():
            if (run / name).is_file():
                found[int(record["global_id"]), camera] = base64.b64encode((run / name).read_bytes()).decode("ascii")
    return found
