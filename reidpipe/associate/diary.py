"""A live run kept in a store as it goes, window by window, together with what others do to the store meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.remember import recall
from reidpipe.associate.store import Store
from reidpipe.associate.store_care import expire
from reidpipe.associate.store_types import Kept, Picture
from reidpipe.errors import SinkError
from reidpipe.types import Link, TrackKey, Tracklet

__all__ = ["Album", "Diary"]

REMEMBERED = 1000
"""Written tracks that a correction can still reach."""

MOST_WAITING = 5000
"""Tracks that wait for a store that cannot be written; then the oldest are lost to it."""

EXPIRE_S = 3600.0

AGAIN_S = 5.0
"""A track that goes on is written anew after so many seconds."""

Move = tuple[TrackKey, int, int]
"""A track of this run whose identity somebody changed in the store: track, from, to."""


class Album:
    """Pictures of tracks on their way into a store; what the store has to say on the way back. For two threads.

    Args:
        limit: most pictures that wait; the oldest go.

    Attributes:
        trouble: why the store cannot be written now; None: it can.
    """

    def __init__(self, *, limit: int = 2000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: dict[TrackKey, Picture] = {}
        self.trouble: str | None = None

    def offer(self, key: TrackKey, score: float, jpeg: bytes) -> None:
        """The best picture of a track so far; written with the track."""
        with self._lock:
            self._waiting.pop(key, None)
            self._waiting[key] = Picture(score, jpeg)
            if len(self._waiting) > self._limit:
                del self._waiting[next(iter(self._waiting))]

    def of(self, keys: Iterable[TrackKey]) -> dict[TrackKey, Picture]:
        """Those that wait, of these tracks."""
        with self._lock:
            return {key: self._waiting[key] for key in keys if key in self._waiting}

    def drop(self, keys: Iterable[TrackKey]) -> None:
        """Pictures of these tracks are not wanted any more."""
        with self._lock:
            for key in keys:
                self._waiting.pop(key, None)

    def waiting(self) -> list[TrackKey]:
        """Tracks with a picture that waits."""
        with self._lock:
            return list(self._waiting)

    def written(self, pictures: dict[TrackKey, Picture]) -> None:
        """These need not wait any longer."""
        with self._lock:
            for key, picture in pictures.items():
                if self._waiting.get(key) is picture:
                    del self._waiting[key]


class Diary:
    """Keeps a live run in a store: people known before enter the gallery, decided tracks are written down.

    A store that cannot be written now (locked, disk full) does not end the run: what is to be written waits.

    Args:
        store: where.
        gallery: gets everybody the store knows.
        album: where pictures come from.
        note: what the run is called.
        live: times are seconds since 1970.
        retain_days: whoever was not seen for so many days is deleted, every hour.
    """

    def __init__(
        self,
        store: Store,
        gallery: Gallery,
        *,
        album: Album | None = None,
        note: str = "",
        live: bool = True,
        retain_days: float | None = None,
    ) -> None:
        self._retain_days = retain_days
        self._expired_at = time.monotonic()
        self._store = store
        self._gallery = gallery
        self._album = album or Album()
        self._note = note
        self._live = live
        self._run: int | None = None
        self._tracklets: dict[TrackKey, Tracklet] = {}
        self._ids: dict[TrackKey, int] = {}
        self._due: dict[TrackKey, None] = {}
        self._written_s: dict[TrackKey, float] = {}
        self._silent: set[TrackKey] = set()
        self._recalled = 0
        self._forgotten: list[int] = []
        self._changes = store.changes()
        self._audited = max((row for row, _ in store.audit()), default=0)
        self._row = store.newest_row()
        members = []
        for global_id, t in recall(store):
            self._recalled += 1
            members.append((global_id, _member(t)))
        gallery.load(members)

    def note(self, tracklet: Tracklet) -> None:
        """Take a tracklet."""
        key = tracklet.key
        if key in self._silent:
            if tracklet.closed:
                self._silent.discard(key)
            return
        self._tracklets.pop(key, None)
        self._tracklets[key] = tracklet
        said_s = self._written_s.get(key)
        if tracklet.closed or said_s is None or tracklet.last_s - said_s >= AGAIN_S:
            self._due[key] = None
        while len(self._tracklets) > REMEMBERED:
            gone = next((k for k, t in self._tracklets.items() if t.closed and k not in self._due), None)
            if gone is None and len(self._tracklets) <= MOST_WAITING:
                break
            gone = next(iter(self._tracklets)) if gone is None else gone
            del self._tracklets[gone]
            for held in (self._ids, self._written_s, self._due):
                held.pop(gone, None)

    def write(self, links: Sequence[Link]) -> None:
        """Write what is decided now, in one transaction; corrections too, of the last ``REMEMBERED`` tracks."""
        for link in links:
            self._ids[link.key] = link.global_id
            if link.key in self._tracklets:
                self._due[link.key] = None
            else:
                self._ids.pop(link.key)
        for key in self._album.waiting():
            if key in self._written_s:
                self._due[key] = None
        ready = [key for key in self._due if key in self._ids and key in self._tracklets]
        if not ready:
            return
        pictures = self._album.of(ready)
        known = [(self._ids[key], self._tracklets[key]) for key in ready]
        try:
            self._run = self._store.write(
                known, now_s=time.time(), note=self._note, run=self._run, live=self._live, pictures=pictures
            )
        except SinkError as error:
            self._album.trouble = str(error)
            return
        self._album.trouble = None
        self._album.written(pictures)
        for key in ready:
            del self._due[key]
            self._written_s[key] = self._tracklets[key].last_s

    def follow(self) -> list[Move]:
        """What others did to the store since last time comes into the gallery.

        People that another run found are known from now on; who was forgotten is forgotten here; merges and splits hold
        for the tracks of this run, too.
        """
        try:
            changes = self._store.changes()
            if changes == self._changes and not self._expire():
                return []
            news, row = self._store.written_after(self._row, but=self._run)
            acts = self._store.audit(after=self._audited)
            told = [act for _, act in acts if act.action in ("merge", "split") and act.other is not None]
            touched = {person for act in told for person in (act.person, int(act.other or 0))}
            now = self._store.kept(people=touched) if touched else []
        except SinkError:
            return []  # locked just now: next time
        self._changes, self._row = changes, row
        self._audited = max((number for number, _ in acts), default=self._audited)
        for _, act in acts:
            if act.action in ("forget", "expire"):
                self._forget(act.person)
        merged = {act.person: int(act.other or 0) for act in told if act.action == "merge"}
        moves = self._reload(touched, now, merged) if touched else []
        for kept in news:
            if kept.global_id not in touched:
                self._gallery.means.add(kept.tracklet.key.camera, kept.tracklet.vector)
                self._gallery.put(kept.global_id, self._recalled_member(kept))
        return moves

    def silence(self, keys: Iterable[TrackKey]) -> None:
        """Tracks of somebody forgotten that go on: they began before that, so they are not written any more."""
        for key in keys:
            known = self._tracklets.pop(key, None)
            for held in (self._ids, self._written_s, self._due):
                held.pop(key, None)
            if known is not None and not known.closed:
                self._silent.add(key)
        self._album.drop(keys)

    def _expire(self) -> bool:
        """Delete who is too old, once an hour; True when somebody was."""
        if self._retain_days is None or time.monotonic() < self._expired_at + EXPIRE_S:
            return False
        self._expired_at = time.monotonic()
        _, tracklets = expire(self._store, days=self._retain_days, now_s=time.time())
        return tracklets > 0

    def take_forgotten(self) -> list[int]:
        """Whom others deleted from the store, since this was last asked."""
        gone, self._forgotten = self._forgotten, []
        return gone

    def _forget(self, global_id: int) -> None:
        self._forgotten.append(global_id)
        self._gallery.forget(global_id)
        self.silence([key for key, own in self._ids.items() if own == global_id])

    def _reload(self, people: set[int], kept: Sequence[Kept], merged: dict[int, int]) -> list[Move]:
        """Some people as the store has them now."""
        before = {
            key: (global_id, member)
            for global_id in people
            for key, member in self._gallery.members_of(global_id).items()
            if key in self._ids
        }
        for global_id in people:
            self._gallery.forget(global_id)
        written = {k.tracklet.key: k.global_id for k in kept if k.run == self._run}
        moves: list[Move] = []
        for key, (old, member) in before.items():
            new = written.get(key, merged.get(old, old))
            self._gallery.put(new, member)
            self._ids[key] = new
            if old != new:
                moves.append((key, old, new))
        for k in kept:
            if k.run != self._run or k.tracklet.key not in before:
                self._gallery.put(k.global_id, self._recalled_member(k))
        return moves

    def _recalled_member(self, kept: Kept) -> Member:
        self._recalled += 1
        t = kept.tracklet
        weight = max(t.quality, 0.05)
        return Member(TrackKey(t.key.camera, -self._recalled), t.vector, weight, t.first_s - 1e9, t.last_s - 1e9, False)


def _member(t: Tracklet) -> Member:
    return Member(t.key, t.vector, max(t.quality, 0.05), t.first_s, t.last_s, live=False)
