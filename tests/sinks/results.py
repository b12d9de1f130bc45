"""Results made by hand for the sinks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reidpipe.types import Frame, FrameResult, Link, TrackKey, Tracklet, Tracks

Box = tuple[float, float, float, float]


def result(
    camera: str = "a",
    index: int = 0,
    people: Sequence[tuple[int, int, Box]] = (),
    *,
    fps: float = 10.0,
    size: tuple[int, int] = (48, 64),
    scores: Sequence[float] | None = None,
    predicted: Sequence[int] = (),
    ended: Sequence[int] = (),
    links: Sequence[Link] = (),
    fill: int = 0,
) -> FrameResult:
    """A picture with ``people`` as (track id, global id, box); ``predicted`` names tracks without a detection."""
    n = len(people)
    ids = np.array([track_id for track_id, _, _ in people], np.int64)
    tracks = Tracks(
        ids,
        np.array([box for _, _, box in people], np.float32).reshape(-1, 4),
        np.array(scores if scores is not None else [0.9] * n, np.float32),
        np.where(np.isin(ids, predicted), -1, np.arange(n)),
        np.array(ended, np.int64),
    )
    frame = Frame(camera, index, index / fps, np.full((*size, 3), fill, np.uint8))
    return FrameResult(frame, tracks, np.array([g for _, g, _ in people], np.int64), tuple(links))


def tracklet(
    camera: str, track_id: int, vector: Sequence[float], first_s: float, last_s: float, *, quality: float = 0.8
) -> Tracklet:
    """A tracklet whose vector is ``vector`` brought to unit length."""
    unit = np.array(vector, np.float32)
    unit /= np.linalg.norm(unit)
    return Tracklet(TrackKey(camera, track_id), unit, 5, quality, first_s, last_s, closed=True)
