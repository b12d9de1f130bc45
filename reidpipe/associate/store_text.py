"""A store as JSON text: to move it, to read it, to put it into another one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from reidpipe.associate.store import Store
from reidpipe.errors import ConfigError, SinkError
from reidpipe.types import TrackKey, Tracklet

__all__ = ["export_store", "import_store"]

SCHEMA = "reidpipe.store/1"


def export_store(store: Store, path: Path) -> None:
    """Write everything but the pictures.

    Raises:
        SinkError: the file cannot be written.
    """
    people = [{"id": p.global_id, "name": p.name, "seen_s": p.seen_s} for p in store.people()]
    tracklets = [
        {
            "run": kept.run,
            "camera": kept.tracklet.key.camera,
            "track": kept.tracklet.key.track_id,
            "person": kept.global_id,
            "first_s": kept.tracklet.first_s,
            "last_s": kept.tracklet.last_s,
            "count": kept.tracklet.count,
            "quality": kept.tracklet.quality,
            "vector": [float(x) for x in kept.tracklet.vector],
        }
        for kept in store.kept()
    ]
    content = {"schema": SCHEMA, "embedder": store.embedder, "dim": store.dim, "people": people, "tracklets": tracklets}
    try:
        path.write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"the store cannot be exported to {path}: {error}") from error


def import_store(store: Store, path: Path, *, now_s: float) -> int:
    """Add what ``export_store`` wrote, everybody as a new identity; returns how many.

    Args:
        store: takes it.
        path: the text.
        now_s: seconds since 1970.

    Raises:
        ConfigError: the file is no export, or of another embedder.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        origin = (content["schema"], content["embedder"], content["dim"])
        names = {int(p["id"]): p["name"] for p in content["people"]}
        runs: dict[int, list[tuple[int, Tracklet]]] = {}
        for row in content["tracklets"]:
            runs.setdefault(int(row["run"]), []).append((int(row["person"]), _tracklet(row)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no export of a store: {error}") from error
    if origin != (SCHEMA, store.embedder, store.dim):
        raise ConfigError(f"{path} was made with another embedder or version than the store {store.path}")
    first = store.next_id()
    number = {old: first + i for i, old in enumerate(sorted(names))}
    for _, known in sorted(runs.items()):
        store.write([(number[old], t) for old, t in known], now_s=now_s, note=f"from {path.name}")
    kept = {person.global_id for person in store.people()}
    for old, name in names.items():
        if name is not None and number[old] in kept:
            store.rename(number[old], str(name))
    return len(names)


def _tracklet(row: dict[str, object]) -> Tracklet:
    vector = np.asarray(row["vector"], dtype=np.float32)
    key = TrackKey(str(row["camera"]), int(str(row["track"])))
    times = float(str(row["first_s"])), float(str(row["last_s"]))
    return Tracklet(key, vector, int(str(row["count"])), float(str(row["quality"])), *times, True)
