"""Between identifying and drawing: each track becomes a smooth path without short gaps; glimpses are dropped.

Each camera is refined by itself and each track by itself, so that a camera gives the same alone and beside others.
Online output is never touched by this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.settings import RefineSettings
from reidpipe.sinks.files import replacing
from reidpipe.sinks.jsonl import FramesSink, read_frames
from reidpipe.track.refine import History, refine
from reidpipe.types import NOT_KNOWN, Frame, FrameResult, Tracks

__all__ = ["refine_frames"]


def refine_frames(path: Path, settings: RefineSettings) -> None:
    """Rewrite ``frames.jsonl`` with smoothed boxes and short gaps filled, all or nothing.

    All boxes of a run are held in memory, about 60 bytes each.

    Args:
        path: the file, with final global ids.
        settings: how long a gap may be.

    Raises:
        SinkError: it cannot be written; the file is as it was.
    """
    pictures: defaultdict[str, list[FrameResult]] = defaultdict(list)
    for result in read_frames(path):
        pictures[result.frame.camera].append(result)
    refined = {camera: _camera(results, settings) for camera, results in pictures.items()}
    with replacing(path) as temporary:
        sink = FramesSink(temporary, overwrite=True)
        try:
            for result in read_frames(path):
                sink.write(next(refined[result.frame.camera]))
        finally:
            sink.close()


def _camera(results: list[FrameResult], settings: RefineSettings) -> Iterator[FrameResult]:
    """The results of one camera again, refined, picture by picture."""
    times_s = np.array([result.frame.time_s for result in results])
    people = {
        int(track): int(person)
        for result in results
        for track, person in zip(result.tracks.track_ids, result.global_ids, strict=True)
    }
    better = refine(
        _history(results, times_s),
        times_s,
        fill_gap_s=settings.fill_gap_s,
        join_gap_s=0.0,
        min_length_s=settings.min_length_s,
    ).history
    starts = np.searchsorted(better.times_s, times_s)
    ends = np.searchsorted(better.times_s, times_s, side="right")
    for result, start, end in zip(results, starts, ends, strict=True):
        yield _result(result.frame, better[np.arange(start, end)], people)


def _history(results: list[FrameResult], times_s: NDArray[np.float64]) -> History:
    counts = [len(result.tracks) for result in results]
    return History(
        np.repeat(times_s, counts),
        np.concatenate([result.tracks.track_ids for result in results]),
        np.concatenate([result.tracks.boxes for result in results]),
        np.concatenate([result.tracks.scores for result in results]),
        np.concatenate([result.tracks.det_rows for result in results]) >= 0,
    )


def _result(frame: Frame, rows: History, people: Mapping[int, int]) -> FrameResult:
    """One picture; nobody is in it twice: where a filled row meets another one of the same person, it gives way."""
    global_ids = np.array([people[int(track)] for track in rows.track_ids], np.int64)
    seen_first = np.argsort(~rows.measured, kind="stable")
    _, first = np.unique(global_ids[seen_first], return_index=True)
    keep = np.zeros(len(rows), np.bool_)
    keep[seen_first[first]] = True
    keep |= rows.measured | (global_ids == NOT_KNOWN)
    rows, global_ids = rows[keep], global_ids[keep]
    det_rows = np.where(rows.measured, np.arange(len(rows)), -1)
    return FrameResult(frame, Tracks(rows.track_ids, rows.boxes, rows.scores, det_rows), global_ids)
