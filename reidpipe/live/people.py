"""What the status page may ask about people: who is on this photo, and forget somebody."""

from __future__ import annotations

import base64
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from reidpipe.associate.likeness import Likeness
from reidpipe.associate.store import Store
from reidpipe.associate.store_care import forget as forget_in_store
from reidpipe.boxes import clip, valid
from reidpipe.errors import ConfigError
from reidpipe.find.gallery import Candidate, Gallery, Sighting
from reidpipe.find.photo import LEAST_SCORE
from reidpipe.find.ranking import Match, rank
from reidpipe.live.desk import Desk
from reidpipe.live.memory import Memory
from reidpipe.pipeline import Pipeline
from reidpipe.types import Boxes, Frame, Image, Tracklet, Vectors

__all__ = ["PeopleDesk"]

_TOP = 8
_EACH = 4
_LIVE_S = 1e8
"""Times before are those of files, counted from their beginning."""


class PeopleDesk:
    """Answers from any thread; nets and memory are used in the run's own.

    Args:
        desk: of the run.
        pipeline: its nets look at the photo.
        memory: of the run: people of the last tracks.
        present: tracklets of tracks that go on.
        store: people known before; None: only this run's.
        detects: the detector can look at any picture (one that replays a file cannot).
        likeness: what the cosines of the embedder mean.
        forgotten: called in the run's thread with who is forgotten and how many tracks that were.
    """

    def __init__(
        self,
        desk: Desk,
        pipeline: Pipeline,
        memory: Memory,
        *,
        present: Callable[[], Iterable[Tracklet]],
        store: Store | None,
        detects: bool,
        likeness: Likeness,
        forgotten: Callable[[int, int], None],
    ) -> None:
        self._desk = desk
        self._pipeline = pipeline
        self._memory = memory
        self._present = present
        self._store = store
        self._detects = detects
        self._likeness = likeness
        self._forgotten = forgotten

    def find(self, image: Image, *, person: int | None = None) -> dict[str, Any]:
        """Who is on a photo, as plain JSON values: the likeliest first.

        Args:
            image: uint8 ``(H, W, 3)`` BGR.
            person: number from 1, from left to right; None: the largest one.

        Raises:
            BusyError: the run has no time.
            ConfigError: there is no such person on the photo.
        """
        boxes = self._desk.ask(lambda: self._people_on(image))
        number = _chosen(boxes, person)
        box = boxes[number - 1] if len(boxes) else np.array([0, 0, image.shape[1], image.shape[0]], np.float32)
        vector, known = self._desk.ask(lambda: (self._pipeline.appearance(image, box[None])[0], self._known()))
        gallery = _gallery(known, self._names(), self._kept(known))
        matches = [] if gallery is None else rank(vector, gallery, likeness=self._likeness)[:_TOP]
        pictures = self._desk.ask(lambda: [self._picture(match.candidate.global_id) for match in matches])
        return {
            "people": len(boxes),
            "person": number if len(boxes) else None,
            "boxes": [[round(value) for value in one] for one in boxes.tolist()],
            "matches": [_match(match, picture) for match, picture in zip(matches, pictures, strict=True)],
        }

    def forget(self, global_id: int) -> int:
        """Forget somebody in this run and in the store; returns how many tracks.

        Raises:
            BusyError: the run has no time.
            ConfigError: nobody has this number.
            SinkError: the store cannot be written; then nothing is forgotten.
        """
        here = self._desk.ask(lambda: self._memory.knows(global_id))
        there = self._store is not None and global_id in {person.global_id for person in self._store.people()}
        if not here and not there:
            raise ConfigError(f"nobody has the number {global_id}")
        count = 0
        if there and self._store is not None:
            count = forget_in_store(self._store, [global_id], now_s=time.time())
        return self._desk.ask(lambda: self._forget(global_id, count))

    def _forget(self, global_id: int, count: int) -> int:
        count = max(count, self._memory.forget(global_id))
        self._forgotten(global_id, count)
        return count

    def _people_on(self, image: Image) -> Boxes:
        """Boxes from left to right, float32 ``(N, 4)``; none when nobody is found or there is no detector."""
        if not self._detects:
            return np.zeros((0, 4), np.float32)
        found = self._pipeline.detect([Frame("photo", 0, 0.0, image)])[0]
        if found is None:
            return np.zeros((0, 4), np.float32)
        boxes = clip(found.boxes[found.scores >= LEAST_SCORE], width=image.shape[1], height=image.shape[0])
        boxes = boxes[valid(boxes)]
        return boxes[np.lexsort((boxes[:, 1], boxes[:, 0] + boxes[:, 2]))]

    def _known(self) -> dict[int, list[Tracklet]]:
        return self._memory.tracklets(self._present())

    def _kept(self, known: dict[int, list[Tracklet]]) -> dict[int, list[Tracklet]]:
        """Tracklets of those whom only the store knows."""
        people: defaultdict[int, list[Tracklet]] = defaultdict(list)
        for kept in [] if self._store is None else self._store.kept(each=_EACH):
            if kept.global_id not in known:
                people[kept.global_id].append(kept.tracklet)
        return people

    def _names(self) -> dict[int, str]:
        return {} if self._store is None else self._store.names()

    def _picture(self, global_id: int) -> bytes | None:
        own = self._memory.picture(global_id)
        if own is None and self._store is not None and self._store.thumbnails:
            try:
                return self._store.picture(global_id)
            except ConfigError:  # not in the store
                return None
        return own


def _chosen(boxes: Boxes, person: int | None) -> int:
    if person is None:
        sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return 1 + int(sizes.argmax()) if len(boxes) else 1
    if not 1 <= person <= max(len(boxes), 1):
        raise ConfigError(f"the photo shows {len(boxes)} people, so there is no number {person}")
    return person


def _gallery(
    known: dict[int, list[Tracklet]], names: dict[int, str], kept: dict[int, list[Tracklet]]
) -> Gallery | None:
    people = sorted((known | kept).items())
    if not people:
        return None
    tracklets = [tracklet for _, own in people for tracklet in own]
    numbers = {camera: n for n, camera in enumerate(sorted({t.key.camera for t in tracklets}))}
    vectors: Vectors = np.stack([t.vector for t in tracklets]).astype(np.float32)
    return Gallery(
        source="this run",
        model="",
        people=tuple(Candidate(i, _sightings(own), None, names.get(i)) for i, own in people),
        vectors=vectors,
        owners=np.repeat(np.arange(len(people)), [len(own) for _, own in people]).astype(np.int64),
        cameras=np.array([numbers[t.key.camera] for t in tracklets], np.int64),
    )


def _sightings(tracklets: list[Tracklet]) -> tuple[Sighting, ...]:
    cameras: defaultdict[str, list[Tracklet]] = defaultdict(list)
    for tracklet in tracklets:
        if tracklet.last_s > _LIVE_S:
            cameras[tracklet.key.camera].append(tracklet)
    found = [
        Sighting(camera, min(t.first_s for t in own), max(t.last_s for t in own), len(own))
        for camera, own in cameras.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.last_s))


def _match(match: Match, picture: bytes | None) -> dict[str, Any]:
    who = match.candidate
    return {
        "global_id": who.global_id,
        "name": who.name,
        "similarity": round(match.similarity, 3),
        "probability": round(match.probability, 3),
        "picture": None if picture is None else f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}",
        "sightings": [
            {"camera": one.camera, "first_s": round(one.first_s, 3), "last_s": round(one.last_s, 3)}
            for one in who.sightings
        ],
    }
