"""One tracker over one sequence that is in memory, as ``reidpipe run`` would follow it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reidpipe.build import build_tracker
from reidpipe.config import Config
from reidpipe.evaluate.mot import Counted, count_sequence
from reidpipe.evaluate.mot_text import MotRows
from reidpipe.evaluate.paired import PairedSequence
from reidpipe.settings import RefineSettings
from reidpipe.track.history import collect_crops
from reidpipe.track.refine import History, refine
from reidpipe.tune.sequences import Sequence
from reidpipe.types import Detections, Tracks

__all__ = ["follow", "measure"]


def measure(config: Config, sequence: Sequence, *, refined: bool = False) -> Counted:
    """How well the config's tracker does on a sequence.

    Args:
        config: with the tracker.
        sequence: the detections and the truth.
        refined: measure what a recorded file gets after its end, not what is known picture by picture.

    Raises:
        ConfigError: the tracker's limits do not fit each other.
    """
    followed = follow(config, sequence)
    rows = _refined(followed, sequence, config.refine) if refined else _online(followed)
    return count_sequence(PairedSequence.of(sequence.truth, rows))


def follow(config: Config, sequence: Sequence) -> Iterator[tuple[int, float, Detections, Tracks]]:
    """Frame number, time, detections and tracks of every picture; only rows that the tracker wants have a vector."""
    tracker = build_tracker(config)
    for frame, time_s, found, vectors in sequence.pictures():
        wanted = tracker.wants(found, time_s) if vectors is not None else np.zeros(0, np.int64)
        seen = found if vectors is None or not len(wanted) else found.with_embeddings(wanted, vectors[wanted])
        yield frame, time_s, seen, tracker.update(seen, time_s)


def _online(followed: Iterator[tuple[int, float, Detections, Tracks]]) -> MotRows:
    return MotRows.of_tracks((frame, tracks) for frame, _, _, tracks in followed)


def _refined(
    followed: Iterator[tuple[int, float, Detections, Tracks]], sequence: Sequence, settings: RefineSettings
) -> MotRows:
    pictures = [(time_s, found, tracks) for _, time_s, found, tracks in followed]
    better = refine(
        History.collect(pictures),
        sequence.times_s,
        **settings.model_dump(include={"fill_gap_s", "join_gap_s", "min_length_s", "split"}),
        looks=collect_crops(pictures),
    ).history
    frames = sequence.frames[np.searchsorted(sequence.times_s, better.times_s)]
    return MotRows.of(frames, better.track_ids, better.boxes, better.scores)
