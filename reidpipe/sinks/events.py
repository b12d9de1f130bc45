"""events.jsonl: what happened, one line each, in the order it became known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidpipe.sinks.files import LineWriter, to_json
from reidpipe.sinks.spool import Lines
from reidpipe.types import NOT_KNOWN, FrameResult, Link, TrackKey

__all__ = ["EVENT_SCHEMA", "EventsSink"]

EVENT_SCHEMA = "reidpipe.event/1"
ALL_CAMERAS = "*"
_TIME_DECIMALS = 6
_SIMILARITY_DECIMALS = 4


@dataclass(slots=True)
class _Visit:
    """A track that is in the picture, or was a moment ago."""

    first_s: float
    last_s: float
    global_id: int | None


class EventsSink:
    """Writes ``events.jsonl``, schema ``reidpipe.event/1``.

    ``enter`` when a track begins, ``leave`` when it has ended (``first_s`` and ``last_s`` tell when it was seen;
    ``time_s`` when that was certain), ``link`` when a track gets its identity, ``correct`` when that changes
    (``previous``), ``camera_down``, ``camera_up`` and ``camera_end``, ``drops`` with a count, ``load`` when less or
    more is done for each picture, ``clock`` when the system's clock was set, ``forget`` when somebody was forgotten on
    demand. A ``global_id`` not known is null.

    Args:
        path: the file.
        overwrite: replace an existing file.
        lines: takes the lines in the place of a file at ``path``.

    Raises:
        SinkError: it exists or cannot be written.
    """

    def __init__(self, path: Path | str, *, overwrite: bool = False, lines: Lines | None = None) -> None:
        self._lines = lines if lines is not None else LineWriter(path, overwrite=overwrite)
        self._visits: dict[TrackKey, _Visit] = {}

    def write(self, result: FrameResult) -> None:
        """Take one picture: who is new, who left, what was decided."""
        camera, time_s = result.frame.camera, result.frame.time_s
        for track_id, global_id in zip(result.tracks.track_ids.tolist(), result.global_ids.tolist(), strict=True):
            key = TrackKey(camera, track_id)
            known = None if global_id == NOT_KNOWN else global_id
            visit = self._visits.get(key)
            if visit is None:
                self._visits[key] = visit = _Visit(time_s, time_s, known)
                self._write("enter", camera, time_s, track_id=track_id, global_id=known)
            visit.last_s = time_s
            visit.global_id = known if known is not None else visit.global_id
        self.links(result.links)
        for track_id in result.tracks.ended.tolist():
            self._leave(TrackKey(camera, track_id), time_s)

    def links(self, links: Iterable[Link]) -> None:
        """Decisions that came without a picture, for instance those at the end of a run."""
        for link in links:
            visit = self._visits.get(link.key)
            if visit is not None:
                visit.global_id = link.global_id
            similarity = round(link.similarity, _SIMILARITY_DECIMALS)
            fields: dict[str, Any] = {"track_id": link.key.track_id, "global_id": link.global_id}
            if link.previous is None:
                self._write("link", link.key.camera, link.time_s, **fields, similarity=similarity)
            else:
                previous = link.previous
                self._write("correct", link.key.camera, link.time_s, **fields, previous=previous, similarity=similarity)

    def end_camera(self, camera: str, time_s: float) -> None:
        """A camera has ended: whoever is still in its picture leaves."""
        for key in [key for key in self._visits if key.camera == camera]:
            self._leave(key, time_s)

    def camera_down(self, camera: str, time_s: float, reason: str) -> None:
        """A camera gives no pictures. ``reason`` is one line and holds no credentials."""
        self._write("camera_down", camera, time_s, reason=reason)

    def camera_up(self, camera: str, time_s: float) -> None:
        """A camera gives pictures again."""
        self._write("camera_up", camera, time_s)

    def drops(self, camera: str, time_s: float, count: int) -> None:
        """So many pictures of a camera were dropped since the last such event."""
        self._write("drops", camera, time_s, count=count)

    def camera_end(self, camera: str, time_s: float, reason: str) -> None:
        """A camera gives no pictures and will not be tried again; ``reason`` is empty when that is no fault,
        ``paused`` or ``removed`` when somebody said so."""
        self._write("camera_end", camera, time_s, reason=reason)

    def load(
        self, time_s: float, *, level: int, detect_gap_s: float, embed_gap_s: float, frame_gap_s: float, busy: float
    ) -> None:
        """What is done for each picture changed, for all cameras alike.

        Args:
            time_s: when, seconds.
            level: 0: everything; each further one does less.
            detect_gap_s: least time between detections of one camera, seconds; pictures between are predicted.
            embed_gap_s: least time between pictures of one camera that are embedded, seconds.
            frame_gap_s: least time between pictures of one camera that are taken, seconds.
            busy: share of the time that was worked, 0..1, when this was decided.
        """
        gaps = {"detect_gap_s": detect_gap_s, "embed_gap_s": embed_gap_s, "frame_gap_s": frame_gap_s}
        self._write("load", ALL_CAMERAS, time_s, level=level, **gaps, busy=round(busy, 3))

    def clock(self, time_s: float, offset_s: float) -> None:
        """The system's wall clock was set; times of this run are behind it by ``offset_s`` and follow slowly."""
        self._write("clock", ALL_CAMERAS, time_s, offset_s=round(offset_s, 3))

    def forget(self, time_s: float, global_id: int, tracks: int) -> None:
        """Somebody was forgotten on demand: their number, how many tracks of theirs, and nothing else."""
        for visit in self._visits.values():
            if visit.global_id == global_id:
                visit.global_id = None
        self._write("forget", ALL_CAMERAS, time_s, global_id=global_id, tracks=tracks)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._lines.close()

    def _leave(self, key: TrackKey, time_s: float) -> None:
        visit = self._visits.pop(key, None)
        if visit is None:  # ended before it was ever shown
            return
        self._write(
            "leave",
            key.camera,
            time_s,
            track_id=key.track_id,
            global_id=visit.global_id,
            first_s=round(visit.first_s, _TIME_DECIMALS),
            last_s=round(visit.last_s, _TIME_DECIMALS),
        )

    def _write(self, event: str, camera: str, time_s: float, **fields: Any) -> None:
        head = {"schema": EVENT_SCHEMA, "event": event, "camera": camera, "time_s": round(time_s, _TIME_DECIMALS)}
        self._lines.write(to_json(head | fields))
