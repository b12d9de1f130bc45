"""What a user knows about the cameras, from settings to what association works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.decide import Rules
from reidpipe.associate.transit import read_transits
from reidpipe.errors import ConfigError
from reidpipe.types import Tracklet

__all__ = ["read_planes", "read_rules", "set_clocks"]

Wide = NDArray[np.float64]

LEAST_AREA = 1e-6
"""Of the triangles between four points, in units of their spread: flatter ones fix no plane."""


def read_rules(*, threshold: float | None, false_match_rate: float, transits: Mapping[str, object] | None) -> Rules:
    """Checked rules.

    Raises:
        ConfigError: a value is out of range.
    """
    if threshold is not None and not -1.0 <= threshold <= 1.0:
        raise ConfigError(f"associate.threshold must be in -1..1, got {threshold}")
    if not 0.0 < false_match_rate < 1.0:
        raise ConfigError(f"associate.false_match_rate must be between 0 and 1, got {false_match_rate}")
    return Rules(threshold, false_match_rate, read_transits(transits or {}))


def read_planes(given: Mapping[str, Sequence[Sequence[float]]] | None) -> dict[str, Wide]:
    """Homographies from pictures to one floor.

    Args:
        given: camera -> four points ``[x, y, metres east, metres north]``: pixels in its picture, and the same spot on
            the floor in coordinates that all cameras share.

    Returns:
        Camera -> float64 ``(3, 3)``, pixels to metres.

    Raises:
        ConfigError: not four points, or three of them in one line.
    """
    return {camera: _plane(camera, np.asarray(points, dtype=np.float64)) for camera, points in (given or {}).items()}


def _plane(camera: str, points: Wide) -> Wide:
    if points.shape != (4, 4) or not np.isfinite(points).all():
        raise ConfigError(f"associate.planes: {camera} needs four points [x, y, metres, metres]")
    for side in (points[:, :2], points[:, 2:]):
        scaled = (side - side.mean(axis=0)) / (side.std() + 1e-12)
        for corner in range(4):
            a, b, c = np.delete(scaled, corner, axis=0)
            if abs(float(np.cross(np.append(b - a, 0.0), np.append(c - a, 0.0))[2])) < LEAST_AREA:
                raise ConfigError(f"associate.planes: {camera}: three of the four points lie in one line")
    rows = []
    for x, y, east, north in points.tolist():
        rows.append([x, y, 1, 0, 0, 0, -east * x, -east * y, -east])
        rows.append([0, 0, 0, x, y, 1, -north * x, -north * y, -north])
    return np.asarray(np.linalg.svd(np.asarray(rows))[2][-1].reshape(3, 3))


def set_clocks(tracklets: Sequence[Tracklet], offsets: Mapping[str, float]) -> list[Tracklet]:
    """Tracklets on one clock: ``offsets`` seconds are added to all times of each camera named there."""
    return [_shifted(t, offsets[t.key.camera]) if offsets.get(t.key.camera) else t for t in tracklets]


def _shifted(tracklet: Tracklet, offset_s: float) -> Tracklet:
    path, seen = tracklet.path, tracklet.prototype_times_s
    return replace(
        tracklet,
        first_s=tracklet.first_s + offset_s,
        last_s=tracklet.last_s + offset_s,
        path=None if path is None else path + np.array([offset_s, 0, 0, 0, 0]),
        prototype_times_s=None if seen is None else seen + offset_s,
    )
