"""One small picture of each track: the best there was, kept as a JPEG."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.sinks.files import sink_error
from reidpipe.types import Boxes, FrameResult, Image, Scores, TrackKey

__all__ = ["Thumbnail", "ThumbnailKeeper", "thumbnail_scores"]

_BETTER = 1.15  # a new crop must be this much better, so that most pictures encode nothing
_FULL_HEIGHT = 160.0  # more pixels than are kept add nothing
_BORDER = 0.4  # a person cut by the border counts so much
_JPEG_QUALITY = 88
_COMPACT_BYTES = 16_000_000  # of forgotten thumbnails, before the temporary file is written anew


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A crop of one person.

    Attributes:
        key: the track it shows.
        time_s: when it was taken, seconds.
        score: how good it is, 0..1.
        jpeg: the file's bytes.
    """

    key: TrackKey
    time_s: float
    score: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class _Stored:
    time_s: float
    score: float
    offset: int
    length: int


def thumbnail_scores(boxes: Boxes, scores: Scores, width: int, height: int) -> Scores:
    """How well each person can be seen, 0..1: large, sure, inside the picture, not covered by another.

    Args:
        boxes: float32 ``(N, 4)`` x1 y1 x2 y2, pixels.
        scores: float32 ``(N,)`` of the detections.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        float32 ``(N,)``: product of the four.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.float32)
    x1, y1, x2, y2 = boxes.T
    size = np.minimum((y2 - y1) / _FULL_HEIGHT, 1.0)
    inside = (x1 > 0.5) & (y1 > 0.5) & (x2 < width - 0.5) & (y2 < height - 0.5)
    free = 1.0 - _covered(boxes)
    return np.asarray(size * scores * np.where(inside, 1.0, _BORDER) * free, dtype=np.float32)


def _covered(boxes: Boxes) -> Scores:
    """Largest share of each box that lies inside another one, float32 ``(N,)``.

    The one who stands lower in the picture is nearer to a camera that looks down, and covers the other.
    """
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = np.clip(high - low, 0.0, None).prod(axis=2)
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share = np.where(nearer, overlap, 0.5 * overlap) / area[:, None]
    np.fill_diagonal(share, 0.0)
    return np.asarray(share.max(axis=1), dtype=np.float32)


class ThumbnailKeeper:
    """Feed it every picture; it keeps one JPEG for each track.

    A live track costs one small JPEG in memory. When a track has ended its JPEG goes to a temporary file, and only its
    place in it is remembered.

    Args:
        folder: where the temporary file is made (it has no name and vanishes by itself).
        max_side: longest side of a thumbnail, pixels.

    Raises:
        SinkError: the temporary file cannot be made.
    """

    def __init__(self, folder: Path | str, *, max_side: int = 160) -> None:
        self._folder = Path(folder)
        self._max_side = max_side
        self._live: dict[TrackKey, Thumbnail] = {}
        self._stored: dict[TrackKey, _Stored] = {}
        self._end = 0
        self._dead = 0
        try:
            self._spool: Any = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        except OSError as error:
            raise sink_error(self._folder, error) from error

    def update(self, result: FrameResult) -> None:
        """Take one picture with its tracks; rows without a detection are not looked at.

        Raises:
            SinkError: the disk is full.
        """
        frame, tracks = result.frame, result.tracks
        if frame.has_image and len(tracks):
            height, width = frame.image.shape[:2]
            scores = thumbnail_scores(tracks.boxes, tracks.scores, width, height)
            for row in np.flatnonzero(tracks.det_rows >= 0):
                key = TrackKey(frame.camera, int(tracks.track_ids[row]))
                best = self._live.get(key)
                if best is None or scores[row] > _BETTER * best.score:
                    crop = _crop(frame.image, tracks.boxes[row])
                    if crop.size:
                        jpeg = _encode(crop, self._max_side)
                        self._live[key] = Thumbnail(key, frame.time_s, float(scores[row]), jpeg)
        for track_id in tracks.ended.tolist():
            self._store(TrackKey(frame.camera, track_id))

    def end_camera(self, camera: str) -> None:
        """A camera has ended: its tracks are not live any more."""
        for key in [key for key in self._live if key.camera == camera]:
            self._store(key)

    def live(self) -> list[TrackKey]:
        """Tracks that have not ended and have a picture."""
        return list(self._live)

    def regroup(self, groups: Mapping[TrackKey, Sequence[tuple[TrackKey, float, float]]]) -> None:
        """Give each new track the best picture of the parts of old tracks that it is made of; forget the others.

        Args:
            groups: new track -> old tracks, each with first and last second of the part.
        """
        for key in list(self._live):
            self._store(key)
        chosen = {}
        for key, parts in groups.items():
            pictures = [
                self._stored[old]
                for old, first_s, last_s in parts
                if old in self._stored and first_s <= self._stored[old].time_s <= last_s
            ]
            if pictures:
                chosen[key] = max(pictures, key=lambda picture: (picture.score, -picture.time_s))
        self._stored = chosen

    def best(self, keys: Iterable[TrackKey]) -> Thumbnail | None:
        """The best thumbnail of these tracks; None when there is none. Equal ones: the first key in sorted order."""
        scored = [(-self._score(key), key) for key in keys if key in self._live or key in self._stored]
        return self._load(min(scored)[1]) if scored else None

    def forget(self, keys: Iterable[TrackKey]) -> None:
        """Drop what is kept of these tracks."""
        for key in keys:
            self._live.pop(key, None)
            gone = self._stored.pop(key, None)
            self._dead += 0 if gone is None else gone.length
        if self._dead > max(_COMPACT_BYTES, self._end // 2):
            self._compact()

    def close(self) -> None:
        """Give the temporary file back. May be called twice."""
        self._spool.close()

    def _compact(self) -> None:
        """Move what is left to a new temporary file: the old one would grow for as long as the run."""
        old = self._spool
        try:
            fresh: Any = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            moved, end = {}, 0
            for key, stored in self._stored.items():
                old.seek(stored.offset)
                fresh.write(old.read(stored.length))
                moved[key] = replace(stored, offset=end)
                end += stored.length
            fresh.flush()
        except OSError as error:
            raise sink_error(self._folder, error) from error
        self._spool, self._stored, self._end, self._dead = fresh, moved, end, 0
        old.close()

    def _score(self, key: TrackKey) -> float:
        return self._live[key].score if key in self._live else self._stored[key].score

    def _store(self, key: TrackKey) -> None:
        thumbnail = self._live.pop(key, None)
        if thumbnail is None:
            return
        try:
            self._spool.seek(self._end)
            self._spool.write(thumbnail.jpeg)
            self._spool.flush()
        except OSError as error:
            raise sink_error(self._folder, error) from error
        self._stored[key] = _Stored(thumbnail.time_s, thumbnail.score, self._end, len(thumbnail.jpeg))
        self._end += len(thumbnail.jpeg)

    def _load(self, key: TrackKey) -> Thumbnail:
        if key in self._live:
            return self._live[key]
        stored = self._stored[key]
        self._spool.seek(stored.offset)
        return Thumbnail(key, stored.time_s, stored.score, self._spool.read(stored.length))


def _crop(image: Image, box: Boxes) -> Image:
    height, width = image.shape[:2]
    x1, y1 = np.floor(box[:2]).astype(int)
    x2, y2 = np.ceil(box[2:]).astype(int)
    return image[max(y1, 0) : max(min(y2, height), 0), max(x1, 0) : max(min(x2, width), 0)]


def _encode(crop: Image, max_side: int) -> bytes:
    import cv2

    height, width = crop.shape[:2]
    scale = max_side / max(height, width)
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    _, jpeg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return bytes(jpeg)
