"""Trackers of others beside ours, and ours with the clock that they have: one picture after another, whatever the rate.

``ultralytics`` (its ByteTrack; needs lap) and ``trackers`` (roboflow's ByteTrack) are taken where they are installed,
best in an environment of their own. They count pictures: a buffer of 30 is one second at 30 pictures a second and 15
seconds at two, and their motion noise is for one picture.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.track.bytetrack import ByteTrack
from reidpipe.types import Detections, Tracks

__all__ = ["PEERS", "InFrames", "Peer", "RoboflowByteTrack", "UltralyticsByteTrack", "installed"]

Update: TypeAlias = Callable[[Detections], Any]
PAPER_FPS = 30.0
BUFFER = 30
"""Pictures that a lost track is kept for; the default of both, and the paper's."""


class InFrames:
    """Our ByteTrack as the public ones count: to it every picture comes 1/30 s after the one before."""

    def __init__(self, **options: float) -> None:
        self._tracker = ByteTrack(**options)  # type: ignore[arg-type]
        self._pictures = 0

    def update(self, detections: Detections, time_s: float) -> Tracks:  # noqa: ARG002
        self._pictures += 1
        return self._tracker.update(detections, self._pictures / PAPER_FPS)


class Peer:
    """A tracker of others; ``raw`` is its own call with nothing of ours around it, for measuring time."""

    raw: Update

    def update(self, detections: Detections, time_s: float) -> Tracks:  # noqa: ARG002
        ids, boxes, scores = self._read(self.raw(detections))
        known = np.full(len(ids), -1, np.int64)  # which detection fed it is not told
        return Tracks(ids.astype(np.int64), boxes.astype(np.float32), scores.astype(np.float32), known)

    def _read(self, result: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        raise NotImplementedError


class UltralyticsByteTrack(Peer):
    """With the limits that its results in the tables were made with."""

    def __init__(self, *, high_score: float = 0.6, new_score: float = 0.7) -> None:
        from ultralytics.trackers.byte_tracker import BYTETracker

        limits = SimpleNamespace(
            track_high_thresh=high_score,
            track_low_thresh=0.1,
            new_track_thresh=new_score,
            track_buffer=BUFFER,
            match_thresh=0.9,
            fuse_score=True,
        )
        tracker = BYTETracker(limits)
        self.raw = lambda found: tracker.update(_Result(found.boxes.copy(), found.scores.copy()))

    def _read(self, result: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        rows = np.asarray(result, np.float64).reshape(-1, 8)  # x1 y1 x2 y2 id score class row
        return rows[:, 4], rows[:, :4], rows[:, 5]


class _Result:
    """What ultralytics' tracker expects: boxes that can be indexed."""

    def __init__(self, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
        self.xyxy, self.conf, self.cls = boxes, scores, np.zeros(len(scores), np.float32)

    @property
    def xywh(self) -> NDArray[np.float32]:
        low, high = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate(((low + high) / 2, high - low), axis=1)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: Any) -> _Result:
        return _Result(self.xyxy[rows], self.conf[rows])


class RoboflowByteTrack(Peer):
    """With its own defaults but for the scores."""

    def __init__(self, *, high_score: float = 0.6, new_score: float = 0.7) -> None:
        import supervision as sv
        from trackers import ByteTrackTracker  # type: ignore[import-not-found]

        tracker = ByteTrackTracker(
            lost_track_buffer=BUFFER, track_activation_threshold=new_score, high_conf_det_threshold=high_score
        )
        self.raw = lambda found: tracker.update(
            sv.Detections(
                xyxy=found.boxes.copy(), confidence=found.scores.copy(), class_id=np.zeros(len(found), dtype=int)
            )
        )

    def _read(self, result: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        kept = result[result.tracker_id >= 0] if len(result) else result
        if not len(kept):
            return np.zeros(0), np.zeros((0, 4)), np.zeros(0)
        return kept.tracker_id, kept.xyxy, kept.confidence


PEERS: dict[str, type[Peer]] = {"ultralytics": UltralyticsByteTrack, "roboflow": RoboflowByteTrack}


def installed() -> list[str]:
    """Names of the peers that can be imported here."""
    found = []
    for name, peer in PEERS.items():
        try:
            peer()
        except ImportError:
            continue
        found.append(name)
    return found
