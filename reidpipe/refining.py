"""Between identifying and drawing: what a camera saw of each person becomes one smooth path without short gaps.

Fragments of one camera that got one identity are one path here. Online output is never touched by this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.settings import RefineSettings
from reidpipe.sinks.files import replacing
from reidpipe.sinks.jsonl import FramesSink, read_frames
from reidpipe.track.refine import History, refine
from reidpipe.types import NOT_KNOWN, Frame, FrameResult, Ids, Tracks

__all__ = ["refine_frames"]

UNKNOWN_FROM = 1 << 40
"""Tracks without identity keep paths of their own: their ids are moved up here, out of the way of the identities."""


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
    history, track_ids = _history(results, times_s)
    better = refine(
        history, times_s, fill_gap_s=settings.fill_gap_s, join_gap_s=0.0, min_length_s=settings.min_length_s
    ).history
    own = _track_of(history, track_ids, better)
    starts = np.searchsorted(better.times_s, times_s)
    ends = np.searchsorted(better.times_s, times_s, side="right")
    for result, start, end in zip(results, starts, ends, strict=True):
        rows = slice(int(start), int(end))
        yield _result(result.frame, better, own, rows)


def _history(results: list[FrameResult], times_s: NDArray[np.float64]) -> tuple[History, Ids]:
    """Rows by time and path, and the track that each row came from."""
    counts = [len(result.tracks) for result in results]
    tracks = np.concatenate([result.tracks.track_ids for result in results])
    people = np.concatenate([result.global_ids for result in results])
    paths = np.where(people == NOT_KNOWN, UNKNOWN_FROM + tracks, people)
    history = History(
        np.repeat(times_s, counts),
        paths,
        np.concatenate([result.tracks.boxes for result in results]),
        np.concatenate([result.tracks.scores for result in results]),
        np.concatenate([result.tracks.det_rows for result in results]) >= 0,
    )
    return history, tracks


def _track_of(history: History, track_ids: Ids, better: History) -> Ids:
    """For each refined row the track that last fed its path."""
    found = np.zeros(len(better), np.int64)
    for one in np.unique(better.track_ids):
        rows, old = np.flatnonzero(better.track_ids == one), np.flatnonzero(history.track_ids == one)
        latest = np.searchsorted(history.times_s[old], better.times_s[rows], side="right") - 1
        found[rows] = track_ids[old[np.maximum(latest, 0)]]
    return found


def _result(frame: Frame, better: History, own: Ids, rows: slice) -> FrameResult:
    measured = better.measured[rows]
    paths = better.track_ids[rows]
    tracks = Tracks(
        own[rows], better.boxes[rows], better.scores[rows], np.where(measured, np.arange(len(measured)), -1)
    )
    return FrameResult(frame, tracks, np.where(paths >= UNKNOWN_FROM, NOT_KNOWN, paths))
