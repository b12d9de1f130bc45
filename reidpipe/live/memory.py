"""What a run of weeks remembers of the people it saw: the newest, and no more than agreed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from reidpipe.sinks.identities import write_identities
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.types import FrameResult, Link, TrackKey, Tracklet

__all__ = ["Memory"]


class Memory:
    """Tracklets, their links and thumbnails, of the last ``limit`` tracks.

    Args:
        limit: most tracks.
        thumbnails: keeps the pictures; None: none. Closed with this.
    """

    def __init__(self, limit: int, thumbnails: ThumbnailKeeper | None) -> None:
        self._limit = limit
        self._thumbnails = thumbnails
        self._tracklets: OrderedDict[TrackKey, Tracklet] = OrderedDict()
        self._links: OrderedDict[TrackKey, Link] = OrderedDict()
        self.forgotten = 0
        self.identities = 0  # the associator numbers people from 1

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
            self.identities = max(self.identities, link.global_id)
            self._links[link.key] = link
            self._links.move_to_end(link.key)
        # A live track may be linked long before its tracklet closes: room for twice as many.
        while len(self._links) > 2 * self._limit:
            self._drop(self._links.popitem(last=False)[0])

    def closed(self, tracklets: Iterable[Tracklet]) -> None:
        """Tracklets of tracks that have ended."""
        for tracklet in tracklets:
            # Path and prototypes served the associator; identities.json does not tell them.
            self._tracklets[tracklet.key] = replace(tracklet, path=None, prototypes=None)
        while len(self._tracklets) > self._limit:
            self._drop(self._tracklets.popitem(last=False)[0])

    def people(self) -> dict[str, int]:
        """Camera -> how many identities its remembered tracks have."""
        found: dict[str, set[int]] = {}
        for key, link in self._links.items():
            found.setdefault(key.camera, set()).add(link.global_id)
        return {camera: len(ids) for camera, ids in found.items()}

    def _drop(self, key: TrackKey) -> None:
        self.forgotten += 1
        self._tracklets.pop(key, None)
        self._links.pop(key, None)
        if self._thumbnails is not None:
            self._thumbnails.forget([key])

    def write(self, folder: Path) -> int:
        """Write ``identities.json`` and what belongs to it; returns the number of identities.

        Raises:
            SinkError: it cannot be written.
        """
        return write_identities(folder, self._tracklets.values(), self._links.values(), thumbnails=self._thumbnails)

    def close(self) -> None:
        """Give the temporary file back."""
        if self._thumbnails is not None:
            self._thumbnails.close()
