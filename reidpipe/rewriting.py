"""``frames.jsonl`` and ``events.jsonl`` of a run again, with tracks that were made better after its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.files import LineWriter, replacing
from reidpipe.sinks.jsonl import FramesSink, read_frames
from reidpipe.track.history import History, Times
from reidpipe.types import NOT_KNOWN, Frame, FrameResult, Ids, Link, TrackKey, Tracks

__all__ = ["refined_pictures", "rewrite_events", "rewrite_frames"]


def refined_pictures(
    history: History, times_s: Times, camera: str, people: Mapping[TrackKey, int]
) -> Iterator[FrameResult]:
    """The results of one camera, picture by picture, without numbers of the pictures.

    Args:
        history: refined rows.
        times_s: of all pictures, growing.
        camera: its name.
        people: identity of each track.
    """
    starts = np.searchsorted(history.times_s, times_s)
    ends = np.searchsorted(history.times_s, times_s, side="right")
    last_row = {track: row for row, track in enumerate(history.track_ids.tolist())}
    is_last = np.zeros(len(history), np.bool_)
    is_last[list(last_row.values())] = True
    for index, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        rows = history[slice(start, end)]
        frame = Frame.without_image(camera, index, float(times_s[index]))
        yield _result(frame, rows, people, rows.track_ids[is_last[start:end]])


def _result(frame: Frame, rows: History, people: Mapping[TrackKey, int], ended: Ids) -> FrameResult:
    """One picture; nobody is in it twice: where a filled row meets another one of the same person, it gives way."""
    keys = [TrackKey(frame.camera, track) for track in rows.track_ids.tolist()]
    global_ids = np.array([people.get(key, NOT_KNOWN) for key in keys], np.int64)
    seen_first = np.argsort(~rows.measured, kind="stable")
    _, first = np.unique(global_ids[seen_first], return_index=True)
    keep = np.zeros(len(rows), np.bool_)
    keep[seen_first[first]] = True
    keep |= rows.measured | (global_ids == NOT_KNOWN)
    rows, global_ids = rows[keep], global_ids[keep]
    det_rows = np.where(rows.measured, np.arange(len(rows)), -1)
    return FrameResult(frame, Tracks(rows.track_ids, rows.boxes, rows.scores, det_rows, ended), global_ids)


def rewrite_frames(path: Path, pictures: Mapping[str, Iterator[FrameResult]]) -> None:
    """Put refined results in the place of those in ``frames.jsonl``, all or nothing; the order is as it was.

    Args:
        path: the file.
        pictures: camera -> as many results as it has in the file, in order.

    Raises:
        SinkError: it cannot be written; it is as it was.
    """
    with replacing(path) as temporary:
        frames = FramesSink(temporary, overwrite=True)
        try:
            for before in read_frames(path):
                refined = next(pictures[before.frame.camera])
                frames.write(FrameResult(before.frame, refined.tracks, refined.global_ids))
        finally:
            frames.close()


def rewrite_events(path: Path, pictures: Iterator[FrameResult], links: Sequence[Link]) -> None:
    """Put what happened to refined tracks in the place of what is in ``events.jsonl``, all or nothing.

    Enter and leave are those of the refined tracks, decisions come at the end, what concerns cameras stays.

    Args:
        path: the file.
        pictures: results of all cameras in order of time.
        links: decisions.

    Raises:
        SinkError: it cannot be written; it is as it was.
    """
    with replacing(path) as temporary:
        lines = LineWriter(temporary, overwrite=True)
        events, others = EventsSink(path, lines=lines), _others(path)
        waiting = next(others, None)
        try:
            for result in pictures:
                while waiting is not None and waiting[0] <= result.frame.time_s:
                    lines.write(waiting[1])
                    waiting = next(others, None)
                events.write(result)
            for _, line in () if waiting is None else (waiting, *others):
                lines.write(line)
            events.links(links)
        finally:
            events.close()


def _others(log: Path) -> Iterator[tuple[float, bytes]]:
    """Time and line of the events that are not about a track."""
    with log.open("rb") as lines:
        for line in lines:
            event = json.loads(line)
            if "track_id" not in event:
                yield event["time_s"], line.rstrip(b"\n")
