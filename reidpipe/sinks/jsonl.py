"""frames.jsonl: one line for each picture, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.errors import ReidpipeError
from reidpipe.sinks.files import LineWriter, replacing, to_json
from reidpipe.types import NOT_KNOWN, Frame, FrameResult, TrackKey, Tracks

__all__ = ["FRAME_SCHEMA", "FramesSink", "assign_global_ids", "read_frames"]

FRAME_SCHEMA = "reidpipe.frame/1"
_BOX_DECIMALS = 2
_SCORE_DECIMALS = 4
_TIME_DECIMALS = 6


class FramesSink:
    """Writes ``frames.jsonl``, schema ``reidpipe.frame/1``.

    Boxes are rounded to 0.01 pixel, scores to 0.0001, times to a microsecond. A ``global_id`` not known is null.
    A person whose box is only predicted (no detection in this picture) carries ``"predicted": true``.

    Args:
        path: the file.
        overwrite: replace an existing file.

    Raises:
        SinkError: it exists or cannot be written.
    """

    def __init__(self, path: Path | str, *, overwrite: bool = False) -> None:
        self._lines = LineWriter(path, overwrite=overwrite)

    def write(self, result: FrameResult) -> None:
        """Add one picture. When the disk is full the file ends with the picture before, and ``SinkError`` is raised."""
        self._lines.write(to_json(frame_record(result)))

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._lines.close()


def frame_record(result: FrameResult) -> dict[str, Any]:
    """One line of ``frames.jsonl`` as a dict."""
    frame, tracks = result.frame, result.tracks
    people = [
        _person(track_id, global_id, box, score, det_row)
        for track_id, global_id, box, score, det_row in zip(
            tracks.track_ids.tolist(),
            result.global_ids.tolist(),
            tracks.boxes.tolist(),
            tracks.scores.tolist(),
            tracks.det_rows.tolist(),
            strict=True,
        )
    ]
    return {
        "schema": FRAME_SCHEMA,
        "camera": frame.camera,
        "frame": frame.index,
        "time_s": round(frame.time_s, _TIME_DECIMALS),
        "people": people,
    }


def _person(track_id: int, global_id: int, box: list[float], score: float, det_row: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(value, _BOX_DECIMALS) for value in box)
    step = 10.0**-_BOX_DECIMALS
    person: dict[str, Any] = {
        "track_id": track_id,
        "global_id": None if global_id == NOT_KNOWN else global_id,
        # A box thinner than the rounding must not come out empty.
        "box": [x1, y1, x2 if x2 > x1 else round(x1 + step, _BOX_DECIMALS), max(y2, round(y1 + step, _BOX_DECIMALS))],
        "score": round(score, _SCORE_DECIMALS),
    }
    if det_row < 0:
        person["predicted"] = True
    return person


def read_frames(path: Path | str, *, camera: str | None = None) -> Iterator[FrameResult]:
    """Read ``frames.jsonl`` back, picture by picture, without pixels.

    Writing what was read gives the same bytes. ``det_rows`` is -1 for a predicted person, else the row itself;
    ``ended`` and ``links`` are not in the file.

    Args:
        path: a file that ``FramesSink`` wrote.
        camera: only the pictures of this camera.

    Raises:
        ReidpipeError: it cannot be read, or a line is not of schema ``reidpipe.frame/1``.
    """
    for number, record in _records(Path(path), camera):
        try:
            yield _result(record)
        except (KeyError, TypeError, ValueError) as error:
            raise ReidpipeError(f"{path}, line {number}: not a picture of schema {FRAME_SCHEMA} ({error})") from error


def _records(path: Path, camera: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and content of each line, of one camera or of all."""
    head = to_json({"schema": FRAME_SCHEMA, "camera": ""})[:-2]
    own = head if camera is None else to_json({"schema": FRAME_SCHEMA, "camera": camera})[:-1] + b","
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                # Lines of other cameras are told by how they begin, which costs far less than to parse them.
                if line.startswith(head) and not line.startswith(own):
                    continue
                record = _parse(path, number, line)
                if camera is None or record.get("camera") == camera:
                    yield number, record
    except OSError as error:
        raise ReidpipeError(f"cannot read {path}: {error.strerror}") from error


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ReidpipeError(f"{path}, line {number}: no JSON ({error})") from error
    if not isinstance(record, dict):
        raise ReidpipeError(f"{path}, line {number}: not an object")
    return record


def _result(record: dict[str, Any]) -> FrameResult:
    if record["schema"] != FRAME_SCHEMA:
        raise ValueError(f"schema {record['schema']}")
    people = record["people"]
    predicted = np.array([bool(person.get("predicted")) for person in people], np.bool_)
    tracks = Tracks(
        track_ids=np.array([person["track_id"] for person in people], np.int64),
        boxes=np.array([person["box"] for person in people], np.float32).reshape(-1, 4),
        scores=np.array([person["score"] for person in people], np.float32),
        det_rows=np.where(predicted, -1, np.arange(len(people))).astype(np.int64),
    )
    global_ids = [NOT_KNOWN if person["global_id"] is None else person["global_id"] for person in people]
    frame = Frame.without_image(record["camera"], record["frame"], record["time_s"])
    return FrameResult(frame, tracks, np.array(global_ids, np.int64))


def assign_global_ids(path: Path | str, global_ids: Mapping[TrackKey, int]) -> None:
    """Write final identities into ``frames.jsonl`` or ``events.jsonl``, in place and all or nothing.

    Files are tracked first and identified afterwards; this is the step between. Whatever names a camera and a
    ``track_id`` gets the ``global_id`` of that track; a track that is not in ``global_ids`` keeps what it has. Where a
    lost track is still shown as predicted, and the one that goes on from it is there already, the prediction gives way.

    Args:
        path: a file that ``FramesSink`` or ``EventsSink`` wrote; closed.
        global_ids: track -> identity.

    Raises:
        SinkError: the disk is full or the folder cannot be written; the file is as it was.
        ReidpipeError: a line is no JSON.
    """
    source = Path(path)
    with replacing(source) as temporary, temporary.open("wb") as target:
        for _, record in _records(source):
            for entry in record.get("people", [record]):
                if "track_id" in entry:
                    key = TrackKey(record["camera"], entry["track_id"])
                    entry["global_id"] = global_ids.get(key, entry["global_id"])
            if "people" in record:
                record["people"] = _once(record["people"])
            target.write(to_json(record) + b"\n")
        target.flush()
        os.fsync(target.fileno())


def _once(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nobody is in a picture twice: somebody predicted gives way to the same person seen, or predicted before."""
    there = {person["global_id"] for person in people if not person.get("predicted")}
    kept = []
    for person in people:
        again = person.get("predicted") and person["global_id"] is not None and person["global_id"] in there
        if not again:
            kept.append(person)
            there.add(person["global_id"])
    return kept
