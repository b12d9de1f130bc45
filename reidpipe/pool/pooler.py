"""The pooler: asks for the crops that would add something, and keeps of each track what tells people apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.pool.memory import POOLING, Path, Prototypes, unit
from reidpipe.pool.quality import box_quality, sharpness
from reidpipe.types import Detections, Frame, Ids, TrackKey, Tracklet, Tracks

__all__ = ["QualityPooler"]

LEAST_WEIGHT = 0.02
"""Even the worst crop counts a little: it may be the only one a track ever has."""


GOOD = 0.3
"""Quality of a crop from which on more crops make up for less good ones. Of heads alone, or of half of somebody, there
can be many, and they are all wrong in the same way."""


@dataclass(slots=True)
class _Track:
    """State of one live track."""

    first_s: float
    last_s: float
    due_s: float
    prototypes: Prototypes
    path: Path
    total: NDArray[np.float64] | None = None
    weight: float = 0.0
    squares: float = 0.0
    count: int = 0
    told_weight: float = 0.0
    signed: bool = False


class QualityPooler:
    """Collects each track's crops into one quality-weighted unit vector, a few prototypes and a coarse path.

    A track's first crop is asked for at once, whatever it looks like, so that every track that was ever fed by a
    detection has a vector. Later crops are asked for at growing intervals, and only when the person is in the clear;
    the number of crops grows with the logarithm of a track's age until ``refresh_s``, then slowly and evenly.

    Args:
        method: how crops become one vector: ``gem``, ``quality`` (both weighted by quality) and ``mean`` use every crop
            ever embedded; ``median``, ``medoid`` and ``attention`` use the prototypes. ``gem`` is for features that end
            in a rectifier (OSNet's); where one is below 0 it is the same as ``quality``.
        prototypes: most crops kept of a track.
        first_gap_s: time between the first and the second crop, seconds.
        growth: each further gap is this much longer.
        refresh_s: longest gap, seconds.
        clean: least quality (0..1) of a crop that is asked for when due.
        patience_s: when overdue by this much, a crop of a quarter of ``clean`` will do, seconds.
        max_per_frame: most crops to ask for in one picture, first crops of new tracks not counted.
        sharpness: look at the pixels of each embedded crop too, and let blurred ones count less.
        path_points: most moments kept of a track's path.
        path_step_s: time between two of them while the track is young, seconds.

    Raises:
        ConfigError: a value is out of range, or ``method`` is not known.
    """

    def __init__(
        self,
        *,
        method: str = "gem",
        prototypes: int = 12,
        first_gap_s: float = 0.2,
        growth: float = 1.6,
        refresh_s: float = 4.0,
        clean: float = 0.4,
        patience_s: float = 1.0,
        max_per_frame: int = 8,
        sharpness: bool = False,
        path_points: int = 160,
        path_step_s: float = 0.2,
    ) -> None:
        if method not in POOLING:
            raise ConfigError(f"pool.method: no such name {method!r}. Known: {', '.join(sorted(POOLING))}")
        if prototypes < 1 or path_points < 2 or max_per_frame < 0:
            raise ConfigError("pool: prototypes must be at least 1, path_points at least 2, max_per_frame at least 0")
        if not (first_gap_s > 0 and growth >= 1 and refresh_s > 0 and path_step_s > 0 and patience_s >= 0):
            raise ConfigError("pool: first_gap_s, refresh_s and path_step_s must be above 0, growth at least 1")
        self.method = method
        self._prototypes = prototypes
        self._first_gap_s = first_gap_s
        self._growth = growth
        self._refresh_s = refresh_s
        self._clean = clean
        self._patience_s = patience_s
        self._max_per_frame = max_per_frame
        self._sharpness = sharpness
        self._path_points = path_points
        self._path_step_s = path_step_s
        self._tracks: dict[TrackKey, _Track] = {}

    def __len__(self) -> int:
        """How many tracks are held now."""
        return len(self._tracks)

    def wants(self, frame: Frame, detections: Detections, tracks: Tracks) -> Ids:
        """Rows of ``detections`` to embed for the pool, int64 ``(K,)``, ascending. Changes no state.

        Rows that are embedded already are not asked for again.
        """
        first: list[int] = []
        due: list[tuple[float, int, int]] = []
        for i, (track_id, row) in enumerate(zip(tracks.track_ids.tolist(), tracks.det_rows.tolist(), strict=True)):
            if row < 0 or (detections.embedded is not None and detections.embedded[row]):
                continue
            track = self._tracks.get(TrackKey(frame.camera, track_id))
            if track is None or track.count == 0:
                first.append(row)
            elif frame.time_s >= track.due_s:
                due.append((track.due_s, i, row))
        if due:
            first += self._clear_ones(due, frame, tracks)
        return np.asarray(sorted(first), dtype=np.int64)

    def _clear_ones(self, due: list[tuple[float, int, int]], frame: Frame, tracks: Tracks) -> list[int]:
        quality = box_quality(tracks.boxes, tracks.scores, width=frame.image.shape[1], height=frame.image.shape[0])
        rows = []
        for due_s, i, row in sorted(due):
            least = self._clean if frame.time_s - due_s < self._patience_s else self._clean / 4
            if quality[i] >= least:
                rows.append(row)
        return rows[: self._max_per_frame]

    def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
        """Take one picture.

        Args:
            frame: the picture; its pixels are looked at only with ``sharpness``.
            detections: with embeddings for some rows.
            tracks: what the tracker made of them. A row with ``det_rows`` -1 adds nothing.

        Returns:
            A tracklet for each track of this camera that gained at least a quarter of its weight since it was last
            told, and for each in ``tracks.ended`` that has a crop, with ``closed`` set. An ended track without any crop
            (its tracker never fed it a detection) is dropped.
        """
        changed = []
        fed = np.flatnonzero(tracks.det_rows >= 0)
        embedded = detections.embedded
        quality = self._qualities(frame, tracks, embedded)
        for i in fed.tolist():
            key = TrackKey(frame.camera, int(tracks.track_ids[i]))
            track = self._seen(key, frame.time_s)
            row = int(tracks.det_rows[i])
            track.path.add(frame.time_s, detections.boxes[row])
            if detections.embeddings is None or embedded is None or not embedded[row]:
                continue
            self._take(track, frame.time_s, float(quality[i]), detections.embeddings[row])
            if track.weight >= 1.25 * track.told_weight:
                changed.append(self._tell(key, track, closed=False))
        return changed + self._end(frame.camera, tracks.ended.tolist())

    def close(self) -> list[Tracklet]:
        """Closed tracklets of everything that is still held: for callers whose trackers do not say what ended."""
        keys = list(self._tracks)
        return [t for key in keys for t in self._end(key.camera, [key.track_id])]

    def _qualities(self, frame: Frame, tracks: Tracks, embedded: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        if embedded is None or not embedded.any():
            return np.zeros(len(tracks), np.float32)
        quality = box_quality(tracks.boxes, tracks.scores, width=frame.image.shape[1], height=frame.image.shape[0])
        if self._sharpness and frame.has_image:
            for i, row in enumerate(tracks.det_rows.tolist()):
                if row >= 0 and embedded[row]:
                    quality[i] *= sharpness(frame.image, tracks.boxes[i])
        return quality

    def _seen(self, key: TrackKey, time_s: float) -> _Track:
        track = self._tracks.get(key)
        if track is None:
            path = Path(self._path_points, self._path_step_s)
            track = _Track(time_s, time_s, time_s, Prototypes(self._prototypes), path)
            self._tracks[key] = track
        track.last_s = time_s
        return track

    def _take(self, track: _Track, time_s: float, quality: float, vector: NDArray[np.float32]) -> None:
        weight = max(quality, LEAST_WEIGHT)
        share = 1.0 if self.method == "mean" else weight
        wide = vector.astype(np.float64)
        parts = np.stack([wide, wide**3]) if self.method == "gem" else wide[None]
        track.total = share * parts + (0.0 if track.total is None else track.total)
        track.signed |= bool(wide.min() < 0)
        track.weight += weight
        track.squares += weight**2
        track.count += 1
        track.prototypes.add(time_s, weight, vector)
        gap = min(self._first_gap_s * self._growth ** min(track.count - 1, 64), self._refresh_s)
        track.due_s = time_s + gap

    def _vector(self, track: _Track) -> NDArray[np.float32]:
        if self.method in ("gem", "mean", "quality") and track.total is not None:
            if self.method == "gem" and not track.signed:
                return unit(np.cbrt(track.total[1]))
            return unit(track.total[0])
        kept = track.prototypes
        return unit(POOLING[self.method](kept.stacked().astype(np.float64), np.asarray(kept.weights)))

    def _tell(self, key: TrackKey, track: _Track, *, closed: bool) -> Tracklet:
        track.told_weight = track.weight
        return Tracklet(
            key=key,
            vector=self._vector(track),
            count=track.count,
            quality=_trust(track),
            first_s=track.first_s,
            last_s=track.last_s,
            closed=closed,
            prototypes=track.prototypes.stacked(),
            path=track.path.stacked(),
            prototype_times_s=np.asarray(track.prototypes.times, dtype=np.float64),
        )

    def _end(self, camera: str, ended: Sequence[int]) -> list[Tracklet]:
        closed = []
        for track_id in ended:
            key = TrackKey(camera, track_id)
            track = self._tracks.pop(key, None)
            if track is not None and track.count:
                closed.append(self._tell(key, track, closed=True))
        return closed


def _trust(track: _Track) -> float:
    """0..1: grows with the number of crops, and is held down where all of them are bad."""
    typical = track.squares / track.weight
    return track.weight / (track.weight + 1.0) * min(1.0, typical / GOOD)
