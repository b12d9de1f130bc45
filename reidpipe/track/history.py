"""What is kept of the tracks of one camera until it has ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Boxes, Detections, Ids, Mask, Scores, Tracks, Vectors

__all__ = ["Crops", "History", "Times", "boxes_at", "by_track", "collect_crops"]

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class History:
    """All boxes of all tracks of one camera, in order of time and then of id.

    Attributes:
        times_s: float64 ``(N,)``, seconds.
        track_ids: int64 ``(N,)``.
        boxes: float32 ``(N, 4)``.
        scores: float32 ``(N,)``.
        measured: bool ``(N,)``: the row comes from a detection, not from a prediction or from between two.
    """

    times_s: Times
    track_ids: Ids
    boxes: Boxes
    scores: Scores
    measured: Mask

    def __len__(self) -> int:
        return len(self.times_s)

    def __getitem__(self, rows: Ids | Mask | slice) -> History:
        """The chosen rows."""
        return History(
            self.times_s[rows], self.track_ids[rows], self.boxes[rows], self.scores[rows], self.measured[rows]
        )

    @classmethod
    def collect(cls, pictures: Iterable[tuple[float, Detections, Tracks]]) -> Self:
        """From what a tracker got and gave, picture by picture; the boxes are the detections' where there is one."""
        return cls.joined([cls._of_picture(*picture) for picture in pictures])

    @classmethod
    def _of_picture(cls, time_s: float, detections: Detections, tracks: Tracks) -> History:
        measured = tracks.det_rows >= 0
        boxes = tracks.boxes.copy()
        boxes[measured] = detections.boxes[tracks.det_rows[measured]]
        return History(np.full(len(tracks), time_s), tracks.track_ids, boxes, tracks.scores, measured)

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        ids, numbers = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return cls(np.zeros(0), ids, np.zeros((0, 4), np.float32), numbers, np.zeros(0, np.bool_))

    @classmethod
    def joined(cls, parts: Sequence[History]) -> Self:
        """Several together, in order."""
        parts = [cls.empty(), *parts]
        order = np.lexsort((np.concatenate([p.track_ids for p in parts]), np.concatenate([p.times_s for p in parts])))
        return cls(
            np.concatenate([p.times_s for p in parts])[order],
            np.concatenate([p.track_ids for p in parts])[order],
            np.concatenate([p.boxes for p in parts])[order],
            np.concatenate([p.scores for p in parts])[order],
            np.concatenate([p.measured for p in parts])[order],
        )

    def between(self, first_s: float, last_s: float) -> History:
        """The rows of a span of time, both ends included."""
        return self[(self.times_s >= first_s) & (self.times_s <= last_s)]

    def renamed(self, ids: Ids) -> History:
        """The same rows under other ids ``(N,)``."""
        return History(self.times_s, ids, self.boxes, self.scores, self.measured)


@dataclass(frozen=True, slots=True)
class Crops:
    """Embeddings of some crops of one track, in order of time.

    Attributes:
        times_s: float64 ``(K,)``, seconds.
        vectors: float32 ``(K, D)``, unit rows.
    """

    times_s: Times
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.times_s)

    def __getitem__(self, rows: Mask | slice) -> Crops:
        """The chosen crops."""
        return Crops(self.times_s[rows], self.vectors[rows])

    def between(self, first_s: float, last_s: float) -> Crops:
        """The crops of a span of time, both ends included."""
        return self[(self.times_s >= first_s) & (self.times_s <= last_s)]

    def before(self, time_s: float, most: int | None = None) -> Crops:
        """Those taken before a moment, of these the ``most`` latest."""
        end = int(np.searchsorted(self.times_s, time_s))
        return self[0 if most is None else max(0, end - most) : end]

    def after(self, time_s: float, most: int | None = None) -> Crops:
        """Those taken after a moment, of these the ``most`` earliest."""
        start = int(np.searchsorted(self.times_s, time_s, side="right"))
        return self[start : None if most is None else start + most]

    def mean(self) -> NDArray[np.float64]:
        """The mean direction, float64 ``(D,)`` of unit length."""
        total = self.vectors.sum(axis=0, dtype=np.float64)
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12))


def collect_crops(pictures: Iterable[tuple[float, Detections, Tracks]]) -> dict[int, Crops]:
    """The crops of each track that were embedded, from what a tracker got and gave."""
    found: dict[int, list[tuple[float, NDArray[np.float32]]]] = {}
    for time_s, detections, tracks in pictures:
        if detections.embeddings is None or detections.embedded is None:
            continue
        for track_id, row in zip(tracks.track_ids.tolist(), tracks.det_rows.tolist(), strict=True):
            if row >= 0 and detections.embedded[row]:
                found.setdefault(track_id, []).append((time_s, detections.embeddings[row]))
    return {
        track_id: Crops(np.array([time_s for time_s, _ in own]), np.stack([vector for _, vector in own]))
        for track_id, own in found.items()
    }


def boxes_at(rows: History, times_s: Times) -> Boxes:
    """The boxes of one track at some moments, float32 ``(T, 4)``: between two rows on the straight line from one to the
    other, before the first and after the last as there.
    """
    return np.stack([np.interp(times_s, rows.times_s, side) for side in rows.boxes.T], axis=1).astype(np.float32)


def by_track(history: History) -> dict[int, History]:
    """The rows of each track, in order of time."""
    if not len(history):
        return {}
    order = np.lexsort((history.times_s, history.track_ids))
    ids, starts = np.unique(history.track_ids[order], return_index=True)
    return {int(one): history[rows] for one, rows in zip(ids, np.split(order, starts[1:]), strict=True)}
