"""What the status page shows: the newest picture of every camera, and the people seen last, with where they were.

The run hands over results and does nothing more; drawing and JPEG happen in the thread of whoever looks, and once for
all who look at the same picture.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reidpipe.live.snapshot import Snapshot
from reidpipe.sinks.draw import Annotator
from reidpipe.types import Frame, FrameResult, Image, Link, Tracks

__all__ = ["Board"]

_PEOPLE = 200
_VISITS = 30
_CROP_EVERY_S = 1.0
_CROP_MOST = 256  # pixels, the longer side of what is kept
_NOW_S = 5.0
_VISIT_GAP_S = 10.0
_WIDTH = 960
_QUALITY = 80


@dataclass(slots=True)
class _Visit:
    camera: str
    first_s: float
    last_s: float


@dataclass(slots=True)
class _Person:
    crop: Image | None = None
    crop_s: float = float("-inf")
    last_s: float = 0.0
    visits: deque[_Visit] = field(default_factory=lambda: deque(maxlen=_VISITS))


@dataclass(slots=True)
class _Camera:
    """Its newest picture, and how it looks drawn."""

    newest: FrameResult
    drawing: threading.Lock = field(default_factory=threading.Lock)
    annotator: Annotator = field(default_factory=Annotator)
    drawn: tuple[int, bytes] = (-1, b"")


class Board:
    """Bounded: one picture of each camera, the 200 people seen last, 30 visits of each.

    Args:
        crops: keep a small picture of each person.
    """

    def __init__(self, *, crops: bool = True) -> None:
        self._crops = crops
        self._lock = threading.Lock()
        self._cameras: dict[str, _Camera] = {}
        self._people: OrderedDict[int, _Person] = OrderedDict()

    @staticmethod
    def warm() -> None:
        """Load what draws: half a second of work, seconds on a busy machine, for which the first to look would wait."""
        blank = FrameResult(Frame("", 0, 0.0, np.zeros((64, 64, 3), np.uint8)), Tracks.empty(), np.zeros(0, np.int64))
        _encode(Annotator().annotate(blank), _WIDTH)

    def see(self, result: FrameResult) -> None:
        """Take one picture."""
        camera, time_s = result.frame.camera, result.frame.time_s
        with self._lock:
            if (shown := self._cameras.get(camera)) is None:
                self._cameras[camera] = _Camera(result)
            else:
                shown.newest = result
            for row in np.flatnonzero(result.global_ids > 0).tolist():
                self._see(int(result.global_ids[row]), camera, time_s, result, row)
            while len(self._people) > _PEOPLE:
                self._people.popitem(last=False)

    def _see(self, global_id: int, camera: str, time_s: float, result: FrameResult, row: int) -> None:
        person = self._people.setdefault(global_id, _Person())
        self._people.move_to_end(global_id)
        person.last_s = max(person.last_s, time_s)
        visit = next((v for v in reversed(person.visits) if v.camera == camera), None)
        if visit is None or time_s - visit.last_s > _VISIT_GAP_S:
            person.visits.append(_Visit(camera, time_s, time_s))
        else:
            visit.last_s = time_s
        if self._crops and result.tracks.det_rows[row] >= 0 and time_s - person.crop_s >= _CROP_EVERY_S:
            crop = _crop(result, row)
            if crop is not None:
                person.crop, person.crop_s = crop, time_s

    def corrected(self, links: Sequence[Link]) -> None:
        """A track turned out to be somebody else: an identity nobody has any more goes."""
        gone = {link.previous for link in links if link.previous is not None}
        with self._lock:
            shown = {i for one in self._cameras.values() for i in one.newest.global_ids.tolist()}
            for global_id in gone - shown:
                person = self._people.get(global_id)
                if person is not None and len(person.visits) <= 1:
                    del self._people[global_id]

    def forget(self, global_id: int) -> None:
        """Somebody is not shown any more, until they are given another number."""
        with self._lock:
            self._people.pop(global_id, None)

    def remove(self, camera: str) -> None:
        """A camera is not shown any more."""
        with self._lock:
            self._cameras.pop(camera, None)

    def picture(self, camera: str) -> bytes | None:
        """The newest picture of a camera with boxes and ids, JPEG; None when there is none."""
        with self._lock:
            shown = self._cameras.get(camera)
        if shown is None:
            return None
        with shown.drawing:
            result = shown.newest
            if not result.frame.has_image:
                return None
            if shown.drawn[0] != result.frame.index:
                shown.drawn = (result.frame.index, _encode(shown.annotator.annotate(result), _WIDTH))
            return shown.drawn[1]

    def person(self, global_id: int) -> bytes | None:
        """The newest crop of somebody, JPEG; None when nobody has this identity."""
        with self._lock:
            person = self._people.get(global_id)
            crop = None if person is None else person.crop
        return None if crop is None else _encode(crop, _CROP_MOST)

    def state(self, snapshot: Snapshot) -> dict[str, Any]:
        """What the page shows, as plain JSON values."""
        with self._lock:
            newest_s = max((one.newest.frame.time_s for one in self._cameras.values()), default=0.0)
            people = [
                {
                    "global_id": global_id,
                    "now": newest_s - person.last_s <= _NOW_S,
                    "last_s": round(person.last_s, 3),
                    "visits": [
                        {"camera": v.camera, "first_s": round(v.first_s, 3), "last_s": round(v.last_s, 3)}
                        for v in reversed(person.visits)
                    ],
                }
                for global_id, person in reversed(self._people.items())
            ]
        cameras = [
            {
                "camera": one.camera,
                "state": one.state,
                "fps": round(one.fps, 1),
                "people": one.people,
                "age_s": None if one.age_s is None else round(one.age_s, 2),
                "received": one.received,
                "dropped": one.dropped,
            }
            for one in snapshot.cameras
        ]
        return {
            "cameras": cameras,
            "people": people,
            "level": snapshot.level,
            "age_p99_s": None if snapshot.age_p99_s is None else round(snapshot.age_p99_s, 3),
            "identities": snapshot.identities,
            "uptime_s": round(snapshot.uptime_s, 1),
        }


def _crop(result: FrameResult, row: int) -> Image | None:
    image = result.frame.image
    height, width = image.shape[:2]
    x1, y1, x2, y2 = result.tracks.boxes[row].tolist()
    left, top, right, bottom = max(0, int(x1)), max(0, int(y1)), min(width, int(x2) + 1), min(height, int(y2) + 1)
    if right - left < 4 or bottom - top < 8:
        return None
    step = max(1, (bottom - top) // _CROP_MOST)
    return np.ascontiguousarray(image[top:bottom:step, left:right:step])


def _encode(image: Image, most: int) -> bytes:
    import cv2

    scale = most / max(image.shape[:2])
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(jpeg)
