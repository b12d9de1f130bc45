"""What a run of weeks remembers of the people it saw: the newest, and no more than agreed."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from reidpipe.associate.diary import Album
from reidpipe.sinks.identities import write_identities
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.types import FrameResult, Link, TrackKey, Tracklet

__all__ = ["Memory"]


class Memory:
    """Tracklets, their links and thumbnails, of the last ``limit`` tracks.

    Args:
        limit: most tracks.
        thumbnails: keeps the pictures; None: none. Closed with this.
        album: gets pictures of tracks that were decided or have ended, for the store.
    """

    def __init__(self, limit: int, thumbnails: ThumbnailKeeper | None, *, album: Album | None = None) -> None:
        self._limit = limit
        self._album = album
        self._thumbnails = thumbnails
        self._tracklets: OrderedDict[TrackKey, Tracklet] = OrderedDict()
        self._links: OrderedDict[TrackKey, Link] = OrderedDict()
        self.forgotten = 0
        self._tracks_of: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._tracklets)

    def see(self, result: FrameResult) -> None:
        """Take one picture."""
        if self._thumbnails is not None:
            self._thumbnails.update(result)

    def end_camera(self, camera: str) -> None:
        """The tracks of a camera are not live any more."""
        if self._thumbnails is not None:
            self._thumbnails.end_camera(camera)

    def links(self, links: Iterable[Link]) -> None:
        """Decisions; a later one of the same track counts."""
        for link in links:
            self._count(self._links.get(link.key), -1)
            self._count(link, 1)
            self._links[link.key] = link
            self._links.move_to_end(link.key)
            self._offer(link.key)
        # A live track may be linked long before its tracklet closes: room for twice as many.
        while len(self._links) > 2 * self._limit:
            self._drop(next(iter(self._links)))

    def closed(self, tracklets: Iterable[Tracklet]) -> None:
        """Tracklets of tracks that have ended."""
        for tracklet in tracklets:
            # Path and prototypes served the associator; identities.json does not tell them.
            self._tracklets[tracklet.key] = replace(tracklet, path=None, prototypes=None)
            self._offer(tracklet.key)
        while len(self._tracklets) > self._limit:
            self._drop(self._tracklets.popitem(last=False)[0])

    def people(self) -> dict[str, int]:
        """Camera -> how many identities its remembered tracks have."""
        found: dict[str, set[int]] = {}
        for key, link in self._links.items():
            found.setdefault(key.camera, set()).add(link.global_id)
        return {camera: len(ids) for camera, ids in found.items()}

    def offer_all(self) -> None:
        """The run ends: give the album the newest pictures of those still there."""
        if self._thumbnails is not None:
            for key in self._thumbnails.live():
                self._offer(key)

    def _offer(self, key: TrackKey) -> None:
        if self._album is None or self._thumbnails is None:
            return
        best = self._thumbnails.best([key])
        if best is not None:
            self._album.offer(key, best.score, best.jpeg)

    def global_ids(self) -> set[int]:
        """Identities of the remembered tracks."""
        return {link.global_id for link in self._links.values()}

    def _count(self, link: Link | None, change: int) -> None:
        if link is not None:
            self._tracks_of[link.global_id] += change
            if not self._tracks_of[link.global_id]:
                del self._tracks_of[link.global_id]

    @property
    def identities(self) -> int:
        """How many people are remembered; may be asked from any thread."""
        return len(self._tracks_of)

    def knows(self, global_id: int) -> bool:
        """True when a remembered track has this identity."""
        return global_id in self._tracks_of

    def tracklets(self, present: Iterable[Tracklet] = ()) -> dict[int, list[Tracklet]]:
        """Identity -> its remembered tracklets, with those of tracks that go on, where these are known already."""
        people: dict[int, list[Tracklet]] = {}
        for tracklet in (*self._tracklets.values(), *present):
            link = self._links.get(tracklet.key)
            if link is not None:
                people.setdefault(link.global_id, []).append(tracklet)
        return people

    def picture(self, global_id: int) -> bytes | None:
        """The best JPEG of somebody; None when there is none."""
        if self._thumbnails is None:
            return None
        best = self._thumbnails.best(key for key, link in self._links.items() if link.global_id == global_id)
        return None if best is None else best.jpeg

    def forget(self, global_id: int) -> int:
        """Drop all that is remembered of somebody; returns how many tracks."""
        keys = [key for key, link in self._links.items() if link.global_id == global_id]
        for key in keys:
            self._drop(key)
        if self._album is not None:
            self._album.drop(keys)
        self.forgotten -= len(keys)  # it is no matter of room
        return len(keys)

    def expire(self, before_s: float) -> None:
        """Drop the tracks that ended before; ``before_s`` in seconds since 1970."""
        for key in [key for key, tracklet in self._tracklets.items() if tracklet.last_s < before_s]:
            self._drop(key)

    def _drop(self, key: TrackKey) -> None:
        self.forgotten += 1
        self._tracklets.pop(key, None)
        self._count(self._links.pop(key, None), -1)
        if self._thumbnails is not None:
            self._thumbnails.forget([key])

    def write(
        self, folder: Path, *, names: Mapping[int, str] | None = None, hurried: Callable[[], bool] | None = None
    ) -> int:
        """Write ``identities.json`` and what belongs to it; returns the number of identities.

        Args:
            folder: of the run.
            names: global id -> name, for those who have one.
            hurried: from the first True on identities are written without pictures.

        Raises:
            SinkError: it cannot be written.
        """
        return write_identities(
            folder,
            self._tracklets.values(),
            self._links.values(),
            thumbnails=self._thumbnails,
            names=names,
            hurried=hurried,
        )

    def close(self) -> None:
        """Give the temporary file back."""
        if self._thumbnails is not None:
            self._thumbnails.close()
