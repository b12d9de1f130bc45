"""Wrappers around stages that a run of weeks needs: ids that are never used twice, embeddings that can be rationed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reidpipe.stages import Pooler, Steerable, Tracker
from reidpipe.types import Detections, Frame, Ids, TrackKey, Tracklet, Tracks

__all__ = ["RationedPooler", "RenumberedTracker"]

_SLACK_S = 1e-3


class RenumberedTracker:
    """A tracker whose ids come from one counter of the run.

    A camera that comes back gets a new tracker, which would begin at 1 again: two people under one key.

    Args:
        tracker: the tracker.
        next_id: gives the next number.
    """

    def __init__(self, tracker: Tracker, next_id: Callable[[], int]) -> None:
        self._tracker = tracker
        self._next_id = next_id
        self._ids: dict[int, int] = {}
        self.needs_appearance = bool(getattr(tracker, "needs_appearance", False))

    def camera_moved(self, warp: NDArray[np.float64]) -> None:
        """As the tracker, if it can be told."""
        if isinstance(self._tracker, Steerable):
            self._tracker.camera_moved(warp)

    def wants(self, detections: Detections, time_s: float) -> Ids:
        """As the tracker."""
        return self._tracker.wants(detections, time_s)

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """As the tracker."""
        return self._renumbered(self._tracker.update(detections, time_s))

    def predict(self, time_s: float) -> Tracks:
        """As the tracker."""
        return self._renumbered(self._tracker.predict(time_s))

    def close(self) -> Tracks:
        """As the tracker."""
        return self._renumbered(self._tracker.close())

    def _renumbered(self, tracks: Tracks) -> Tracks:
        for track_id in tracks.track_ids.tolist():
            if track_id not in self._ids:
                self._ids[track_id] = self._next_id()
        track_ids = np.array([self._ids[i] for i in tracks.track_ids.tolist()], np.int64)
        # One that ended and was never shown has no number.
        ended = [self._ids.pop(i) for i in tracks.ended.tolist() if i in self._ids]
        return Tracks(track_ids, tracks.boxes, tracks.scores, tracks.det_rows, np.array(ended, np.int64))


class RationedPooler:
    """A pooler that may ask for vectors of each camera only every ``gap_s`` seconds.

    Args:
        pooler: the pooler.

    Attributes:
        gap_s: least time between two pictures of a camera that are embedded, seconds; 0: no ration.
        priorities: camera -> priority, 1 where it is not named; that of 2 has half the gap.
    """

    def __init__(self, pooler: Pooler) -> None:
        self._pooler = pooler
        self._last_s: dict[str, float] = {}
        self._present: dict[TrackKey, Tracklet] = {}
        self.gap_s = 0.0
        self.priorities: dict[str, float] = {}

    def wants(self, frame: Frame, detections: Detections, tracks: Tracks) -> Ids:
        """As the pooler, or none while the camera has had its ration."""
        last_s = self._last_s.get(frame.camera)
        gap_s = self.gap_s / self.priorities.get(frame.camera, 1.0)
        if gap_s and last_s is not None and 0 <= frame.time_s - last_s < gap_s - _SLACK_S:
            return np.zeros(0, np.int64)
        rows = self._pooler.wants(frame, detections, tracks)
        if len(rows):
            self._last_s[frame.camera] = frame.time_s
        return rows

    def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
        """As the pooler."""
        tracklets = self._pooler.update(frame, detections, tracks)
        for tracklet in tracklets:
            if tracklet.closed:
                self._present.pop(tracklet.key, None)
            else:
                self._present[tracklet.key] = tracklet
        return tracklets

    def forget(self, camera: str) -> None:
        """A camera is taken out."""
        self._last_s.pop(camera, None)

    def present(self) -> list[Tracklet]:
        """The newest tracklet of each track that goes on."""
        return list(self._present.values())
