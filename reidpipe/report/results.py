"""What a run wrote, read back and checked."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reidpipe import __version__
from reidpipe.errors import ConfigError, ReidpipeError
from reidpipe.sinks.events import EVENT_SCHEMA
from reidpipe.sinks.identities import IDENTITIES_SCHEMA
from reidpipe.sinks.runinfo import RUN_SCHEMA
from reidpipe.types import TrackKey, Vectors

__all__ = ["Person", "Results", "Visit", "read_events", "read_people", "read_results", "read_run", "read_vectors"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """One track of a person: a stay in the picture of one camera.

    Attributes:
        key: camera and track id.
        first_s: seconds.
        last_s: seconds.
        similarity: cosine to the rest of the identity, as the association saw it.
        quality: 0..1, how much its vector can be trusted.
        thumbnail: path of its own best picture below the run's folder; None when only those of the cameras were kept.
        probability: that it belongs to the rest of its identity, as the run saw it; None: there is no rest, or the run
            was made by a version that did not say it.
    """

    key: TrackKey
    first_s: float
    last_s: float
    similarity: float
    quality: float
    thumbnail: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One identity.

    Attributes:
        global_id: its number.
        visits: at least one, in order of first appearance.
        thumbnail: path of the best picture below the run's folder, or None.
        thumbnails: camera -> path of the best picture there.
        name: what a user calls the person, or None.
    """

    global_id: int
    visits: tuple[Visit, ...]
    thumbnail: str | None
    thumbnails: dict[str, str]
    name: str | None = None

    @property
    def cameras(self) -> list[str]:
        """Where the person was seen, in order of first appearance."""
        return list(dict.fromkeys(visit.key.camera for visit in self.visits))

    @property
    def first_s(self) -> float:
        """First picture, seconds."""
        return min(visit.first_s for visit in self.visits)

    @property
    def last_s(self) -> float:
        """Last picture, seconds."""
        return max(visit.last_s for visit in self.visits)


@dataclass(frozen=True, slots=True)
class Results:
    """A run's folder.

    Attributes:
        folder: where it is.
        run: ``run.json`` as it is.
        people: in order of their number; none when the run ended before they were decided.
        events: those of ``events.jsonl`` that are about cameras and corrections.
        vectors: float32 ``(N, D)`` unit rows, one for each visit, person by person; None when there are none.
        notes: what is missing, one line each.
    """

    folder: Path
    run: dict[str, Any]
    people: tuple[Person, ...]
    events: tuple[dict[str, Any], ...]
    vectors: Vectors | None
    notes: tuple[str, ...]

    @property
    def cameras(self) -> list[str]:
        """Names in the order of the run, and behind them what only the identities know."""
        named = [source["camera"] for source in self.run["sources"]]
        return list(dict.fromkeys([*named, *(camera for person in self.people for camera in person.cameras)]))


def read_results(folder: Path | str) -> Results:
    """Read a run's folder.

    A run that failed has no identities yet: then ``people`` is empty and a note says so.

    Raises:
        ConfigError: the folder is missing or no run.
        ReidpipeError: a file is missing, damaged, or of a newer schema.
    """
    path = Path(folder)
    run = read_run(path)
    notes = []
    if not (path / "identities.json").exists() and run["status"] != "complete":
        notes.append("The run ended before it was decided who is who, so nobody is listed here.")
        return Results(path, run, (), read_events(path), None, tuple(notes))
    people, name = read_people(path)
    vectors = None
    if not people or (path / name).is_file():
        vectors = read_vectors(path / name, people)
    else:
        notes.append(f"{name} is missing: doubtful links and error bands need it, so they are left out.")
    return Results(path, run, people, read_events(path), vectors, tuple(notes))


def read_run(folder: Path) -> dict[str, Any]:
    """``run.json`` of a folder, checked for what the report needs.

    Raises:
        ConfigError: the folder is missing or no run.
        ReidpipeError: the file is damaged, or of a newer schema.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: give the folder that reidpipe run wrote")
    if not (folder / "run.json").is_file():
        raise ConfigError(f"{folder} holds no run: there is no run.json in it; give the folder that reidpipe run wrote")
    record = _read_json(folder / "run.json", RUN_SCHEMA)

    def check() -> dict[str, Any]:
        for key, kind in (("status", str), ("started", str), ("config", dict), ("versions", dict), ("counts", dict),
                          ("stage_seconds", dict), ("warnings", list), ("sources", list)):  # fmt: skip
            if not isinstance(record[key], kind):
                raise TypeError(f"{key} is no {kind.__name__}")
        float(record["wall_s"])
        for source in record["sources"]:
            if not isinstance(source["camera"], str):
                raise TypeError("camera is no str")
        return record

    return _checked(folder / "run.json", RUN_SCHEMA, check)


def read_people(folder: Path) -> tuple[tuple[Person, ...], str]:
    """``identities.json``: the people, and the name of the file with their vectors.

    Raises:
        ReidpipeError: the file is missing, damaged, or of a newer schema.
    """
    path = folder / "identities.json"
    record = _read_json(path, IDENTITIES_SCHEMA)
    people = _checked(path, IDENTITIES_SCHEMA, lambda: tuple(map(_person, record["identities"])))
    return people, Path(_checked(path, IDENTITIES_SCHEMA, lambda: str(record["vectors"]))).name


def _person(record: dict[str, Any]) -> Person:
    visits = tuple(_visit(entry) for entry in record["tracklets"])
    if not visits:
        raise ValueError("an identity without tracklets")
    thumbnail = record["thumbnail"]
    return Person(
        int(record["global_id"]),
        visits,
        None if thumbnail is None else str(thumbnail),
        {str(camera): str(file) for camera, file in record["thumbnails"].items()},
        None if record.get("name") is None else str(record["name"]),
    )


def _visit(record: dict[str, Any]) -> Visit:
    first_s, last_s, similarity, quality = (float(record[k]) for k in ("first_s", "last_s", "similarity", "quality"))
    if not np.isfinite([first_s, last_s, similarity, quality]).all() or last_s < first_s:
        raise ValueError("a tracklet with impossible times or scores")
    thumbnail = record.get("thumbnail")
    own = None if thumbnail is None else str(thumbnail)
    chance = record.get("probability")
    if chance is not None and not 0.0 <= float(chance) <= 1.0:
        raise ValueError("a probability out of range")
    key = TrackKey(str(record["camera"]), int(record["track_id"]))
    return Visit(key, first_s, last_s, similarity, quality, own, None if chance is None else float(chance))


def read_vectors(path: Path, people: tuple[Person, ...]) -> Vectors:
    """One vector for each visit, float32 ``(N, D)``, person by person.

    Raises:
        ReidpipeError: the file is missing, damaged, or does not belong to these people.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rows = list(zip(arrays["camera"].tolist(), arrays["track_id"].tolist(), strict=True))
            vectors = np.asarray(arrays["vectors"], dtype=np.float32)
    except OSError as error:
        raise ReidpipeError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ReidpipeError(f"{path} is damaged: run again") from error
    keys = [tuple(visit.key) for person in people for visit in person.visits]
    if rows != keys or vectors.ndim != 2 or len(vectors) != len(keys) or not np.isfinite(vectors).all():
        raise ReidpipeError(f"{path} does not belong to identities.json beside it: run again")
    return vectors


def read_events(folder: Path) -> tuple[dict[str, Any], ...]:
    """Events about cameras, and corrections; none when there is no such file.

    Raises:
        ReidpipeError: a line is damaged, or of a newer schema.
    """
    path = folder / "events.jsonl"
    wanted = {"camera_down", "camera_up", "camera_end", "correct"}
    return tuple(event for _, event in read_lines(path, EVENT_SCHEMA) if event.get("event") in wanted)


def read_lines(path: Path, schema: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a file of lines and where each stands; nothing when it does not exist.

    What was rotated out of it (``frames/000001.jsonl`` beside ``frames.jsonl``) comes first.

    Raises:
        ReidpipeError: a line is damaged, or of a newer schema.
    """
    for part in (*sorted(path.with_suffix("").glob(f"*{path.suffix}")), path):
        if not part.exists():
            continue
        try:
            with part.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    where = f"{part}, line {number}"
                    yield where, _parse(where, line, schema)
        except OSError as error:
            raise ReidpipeError(f"cannot read {part}: {error.strerror}") from error


def _read_json(path: Path, schema: str) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReidpipeError(f"cannot read {path}: {error.strerror}") from error
    return _parse(str(path), data, schema)


def _parse(where: str, data: bytes, schema: str) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReidpipeError(f"{where} is damaged: no JSON ({_first_line(error)})") from error
    if not isinstance(record, dict) or not isinstance(record.get("schema"), str):
        raise ReidpipeError(f"{where} is damaged: it does not say its schema ({schema} is expected)")
    if record["schema"] != schema:
        raise ReidpipeError(f"{where}: {_other_schema(record['schema'], schema)}")
    return record


def _other_schema(found: str, known: str) -> str:
    name, version = known.rsplit("/", 1)
    newer = re.fullmatch(rf"{re.escape(name)}/(\d+)", found)
    shown = found[:60]
    if newer and int(newer[1]) > int(version):
        return f"its schema is {shown}, newer than reidpipe {__version__} knows ({known}): update reidpipe"
    return f"its schema is {shown}, expected is {known}"


def _checked(path: Path, schema: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReidpipeError(f"{path} is damaged: not of schema {schema} ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
