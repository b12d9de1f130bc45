"""Hand-made stages for tests of what connects them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reidpipe.types import Boxes, Detections, Frame, Ids, Image, Link, TrackKey, Tracklet, Tracks, Vectors

NONE = np.zeros(0, np.int64)


def frame(camera: str = "a", index: int = 0, *, fps: float = 10.0, size: tuple[int, int] = (48, 64)) -> Frame:
    """A black picture."""
    return Frame(camera, index, index / fps, np.zeros((*size, 3), np.uint8))


def boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    """Boxes from tuples."""
    return np.array(rows, np.float32).reshape(-1, 4)


def detections(*rows: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    """Detections of one score from tuples."""
    return Detections(boxes(*rows), np.full(len(rows), score, np.float32))


class OnePerson:
    """Finds the same person in every picture; raises in the n-th call when asked to."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.calls = 0
        self.images = 0
        self._fail_at = fail_at

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        self.calls += 1
        self.images += len(images)
        if self.calls == self._fail_at:
            raise RuntimeError("detector broke")
        return [detections((10, 10, 20, 40)) for _ in images]


class UnitVectors:
    """Gives everybody the same vector, and counts."""

    dim = 4

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.calls = 0
        self.crops = 0
        self._fail_at = fail_at

    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]:
        self.calls += 1
        self.crops += sum(map(len, boxes))
        if self.calls == self._fail_at:
            raise RuntimeError("embedder broke")
        return [np.tile(np.array([1, 0, 0, 0], np.float32), (len(one), 1)) for one in boxes]


class RowTracker:
    """Detection row i is track i; wants every row; ends all at close."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.updates = 0
        self.embedded_rows: list[int] = []
        self._last = Tracks.empty()
        self._fail_at = fail_at

    def wants(self, detections: Detections, time_s: float) -> Ids:
        return np.arange(len(detections))

    def update(self, detections: Detections, time_s: float) -> Tracks:
        self.updates += 1
        if self.updates == self._fail_at:
            raise RuntimeError("tracker broke")
        self.embedded_rows.append(0 if detections.embedded is None else int(detections.embedded.sum()))
        rows = np.arange(len(detections))
        self._last = Tracks(rows + 1, detections.boxes, detections.scores, rows)
        return self._last

    def predict(self, time_s: float) -> Tracks:
        last = self._last
        return Tracks(last.track_ids, last.boxes, last.scores, np.full(len(last), -1, np.int64))

    def close(self) -> Tracks:
        return Tracks.empty(self._last.track_ids)


class FirstVector:
    """A tracklet when a track ends, with a fixed vector."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.updates = 0
        self._fail_at = fail_at

    def wants(self, frame: Frame, detections: Detections, tracks: Tracks) -> Ids:
        return tracks.det_rows[tracks.det_rows >= 0]

    def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
        self.updates += 1
        if self.updates == self._fail_at:
            raise RuntimeError("pooler broke")
        vector = np.array([1, 0, 0, 0], np.float32)
        ends = [*tracks.track_ids, *tracks.ended]
        return [
            Tracklet(TrackKey(frame.camera, int(i)), vector, 1, 1.0, 0.0, frame.time_s, closed=i in tracks.ended)
            for i in ends
        ]


class OneIdentity:
    """Everybody is person 7, decided at once."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.updates = 0
        self._seen: set[TrackKey] = set()
        self._fail_at = fail_at

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        self.updates += 1
        if self.updates == self._fail_at:
            raise RuntimeError("associator broke")
        fresh = [t.key for t in tracklets if t.key not in self._seen]
        self._seen.update(fresh)
        return [Link(key, 7, 1.0, time_s) for key in fresh]

    def close(self) -> list[Link]:
        return []
