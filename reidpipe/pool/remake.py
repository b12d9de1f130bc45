"""Tracklets of tracks that were cut or joined after the end: made from what was kept of the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reidpipe.pool.memory import unit
from reidpipe.types import TrackKey, Tracklet

__all__ = ["cut_tracklet", "join_tracklets"]

MOST_QUALITY = 1.0 - 1e-6


def cut_tracklet(tracklet: Tracklet, key: TrackKey, first_s: float, last_s: float) -> Tracklet | None:
    """The part of a tracklet that was seen in a span of time, under another key.

    Args:
        tracklet: with prototypes and their times.
        key: of the part.
        first_s: of the part, seconds.
        last_s: of the part, seconds.

    Returns:
        A tracklet whose vector is the mean of the prototypes in the span; None when there is none.
    """
    rows, times_s, path = tracklet.prototypes, tracklet.prototype_times_s, tracklet.path
    if rows is None or times_s is None:
        return None
    inside = (times_s >= first_s) & (times_s <= last_s)
    if not inside.any():
        return None
    share = float(inside.mean())
    return replace(
        tracklet,
        key=key,
        vector=unit(rows[inside].astype(np.float64).mean(axis=0)),
        count=max(1, round(share * tracklet.count)),
        quality=_quality(share * _weight(tracklet)),
        first_s=first_s,
        last_s=last_s,
        prototypes=rows[inside],
        prototype_times_s=times_s[inside],
        path=None if path is None else path[(path[:, 0] >= first_s) & (path[:, 0] <= last_s)],
    )


def join_tracklets(parts: Sequence[Tracklet], key: TrackKey) -> Tracklet:
    """One tracklet of several that follow each other in one camera, each counting by its weight.

    Args:
        parts: at least one, in order of time.
        key: of the whole.
    """
    if len(parts) == 1:
        return replace(parts[0], key=key)
    weights = np.array([_weight(part) for part in parts])
    whole = weights @ np.stack([part.vector for part in parts]).astype(np.float64)
    known = [part for part in parts if part.prototypes is not None and part.prototype_times_s is not None]
    paths = [part.path for part in parts if part.path is not None]
    most = max((len(part.prototypes) for part in known if part.prototypes is not None), default=0)
    rows = times_s = None
    if known:
        rows = np.concatenate([part.prototypes for part in known if part.prototypes is not None])
        times_s = np.concatenate([part.prototype_times_s for part in known if part.prototype_times_s is not None])
        spread = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), max(most, 2))).round().astype(np.int64))
        rows, times_s = rows[spread], times_s[spread]
    return replace(
        parts[0],
        key=key,
        vector=unit(whole),
        count=sum(part.count for part in parts),
        quality=_quality(float(weights.sum())),
        first_s=parts[0].first_s,
        last_s=max(part.last_s for part in parts),
        closed=all(part.closed for part in parts),
        prototypes=rows,
        prototype_times_s=times_s,
        path=np.concatenate(paths) if paths else None,
    )


def _weight(tracklet: Tracklet) -> float:
    """The evidence that a quality stands for: the inverse of the pooler's ``weight / (weight + 1)``."""
    quality = min(tracklet.quality, MOST_QUALITY)
    return quality / (1.0 - quality)


def _quality(weight: float) -> float:
    return weight / (weight + 1.0)
