"""A store as JSON text: to move it, to read it, to put it into another one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.associate.store import Store
from reidpipe.associate.store_types import Kept, Picture, Run
from reidpipe.errors import ConfigError, SinkError
from reidpipe.types import TrackKey, Tracklet

__all__ = ["export_store", "import_store", "store_like"]

SCHEMA = "reidpipe.store/1"


def export_store(store: Store, path: Path, *, pictures: bool = True) -> int:
    """Write everybody, and the pictures if wanted; returns how many people.

    Raises:
        SinkError: the file cannot be written.
    """
    with store.file.snapshot():
        people = store.people()
        tracklets = [
            _record(kept, shots.get((kept.run, kept.tracklet.key)))
            for person in people
            for shots in [store.pictures(person.global_id) if pictures else {}]
            for kept in store.kept(people=[person.global_id])
        ]
        content = {
            "schema": SCHEMA,
            "embedder": store.embedder,
            "sha256": store.sha256,
            "dim": store.dim,
            "people": [{"id": p.global_id, "name": p.name} for p in people],
            "runs": [{"run": r.number, "started_s": r.started_s, "note": r.note, "live": r.live} for r in store.runs()],
            "tracklets": tracklets,
        }
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SinkError(f"the store cannot be exported to {path}: {error.strerror or error}") from error
    return len(people)


def store_like(path: Path, text: Path) -> Store:
    """The store at ``path``; a new one for the embedder of an export when there is none yet.

    Raises:
        ConfigError: either file is not what it has to be.
        SinkError: the store cannot be written.
    """
    if path.exists() and path.stat().st_size:
        return Store.open(path)
    content = _read(text)
    with_pictures = any("jpeg" in row for row in content["tracklets"])
    return Store(
        path,
        embedder=str(content["embedder"]),
        sha256=str(content["sha256"]),
        dim=int(content["dim"]),
        thumbnails=with_pictures,
    )


def import_store(store: Store, path: Path) -> dict[int, int]:
    """Add what ``export_store`` wrote: all of it or nothing.

    Numbers stay as they were when the store has never given any of them; else everybody gets a new one.

    Args:
        store: takes it.
        path: the text.

    Returns:
        The number in the file -> the number in the store.

    Raises:
        ConfigError: the file is no export, or of another embedder.
        SinkError: the store cannot be written; nothing was added.
    """
    content = _read(path)
    try:
        names = {int(p["id"]): p["name"] for p in content["people"]}
        runs = [Run(int(r["run"]), float(r["started_s"]), str(r["note"]), bool(r["live"])) for r in content["runs"]]
        found = [(_kept(row), row.get("jpeg"), float(row.get("score", 0.0))) for row in content["tracklets"]]
        pictures = {
            (kept.run, kept.tracklet.key): Picture(score, base64.b64decode(jpeg, validate=True))
            for kept, jpeg, score in found
            if jpeg is not None
        }
        numbers = {run.number for run in runs}
        if any(k.run not in numbers or k.global_id not in names for k, _, _ in found):
            raise ValueError("a tracklet of a run or a person that is not listed")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is no export of a store: {error}") from error
    known = "sha256" if store.sha256 and content["sha256"] else "embedder"
    if content[known] != getattr(store, known) or content["dim"] != store.dim:
        raise ConfigError(
            f"{path} was made with the embedder {content['embedder']}, the store {store.path} with {store.embedder}: "
            "vectors of different embedders cannot be compared"
        )
    first = store.next_id()
    taken = any(old < first for old in names)
    number = {old: first + i if taken else old for i, old in enumerate(sorted(names))}
    kept = [Kept(k.run, number[k.global_id], k.tracklet, k.kept_s) for k, _, _ in found]
    store.restore(kept, runs, pictures, {number[old]: str(name) for old, name in names.items() if name is not None})
    return number


def _record(kept: Kept, picture: Picture | None) -> dict[str, Any]:
    tracklet = kept.tracklet
    record: dict[str, Any] = {
        "run": kept.run,
        "camera": tracklet.key.camera,
        "track": tracklet.key.track_id,
        "person": kept.global_id,
        "first_s": tracklet.first_s,
        "last_s": tracklet.last_s,
        "kept_s": kept.kept_s,
        "count": tracklet.count,
        "quality": tracklet.quality,
        "vector": [float(x) for x in tracklet.vector],
    }
    if tracklet.prototypes is not None:
        record["prototypes"] = np.round(tracklet.prototypes.astype(np.float64), 5).tolist()
    if picture is not None:
        record |= {"score": picture.score, "jpeg": base64.b64encode(picture.jpeg).decode()}
    return record


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no export of a store: {error}") from error
    keys = {"schema": str, "embedder": str, "sha256": str, "dim": int, "people": list, "runs": list, "tracklets": list}
    if not isinstance(content, dict) or any(not isinstance(content.get(key), kind) for key, kind in keys.items()):
        raise ConfigError(f"{path} is no export of a store: `reidpipe store export` makes one")
    if content["schema"] != SCHEMA:
        raise ConfigError(f"{path} is of schema {content['schema']!r}, this reidpipe knows {SCHEMA}")
    return content


def _kept(row: dict[str, Any]) -> Kept:
    vector = np.asarray(row["vector"], dtype=np.float32)
    prototypes = None
    if row.get("prototypes") is not None:
        rows = np.asarray(row["prototypes"], dtype=np.float32)
        prototypes = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
    key = TrackKey(str(row["camera"]), int(row["track"]))
    times = float(row["first_s"]), float(row["last_s"])
    tracklet = Tracklet(key, vector, int(row["count"]), float(row["quality"]), *times, True, prototypes)
    return Kept(int(row["run"]), int(row["person"]), tracklet, float(row["kept_s"]))
