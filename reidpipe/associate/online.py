"""Association while the cameras run: a window at a time, late rather than wrong, and corrected when it was wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lap
import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.diary import Album, Diary
from reidpipe.associate.evidence import Views
from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.likeness import UNKNOWN, Likeness
from reidpipe.associate.options import read_planes, read_rules, set_clocks
from reidpipe.associate.remember import Numbers
from reidpipe.associate.review import Review
from reidpipe.associate.store import Store
from reidpipe.errors import ConfigError
from reidpipe.types import Link, TrackKey, Tracklet

__all__ = ["OnlineAssociator"]

FORBIDDEN = 1e6

LEAST_PRIOR = -5.0
"""Log-odds below which a larger gallery no longer raises the limit: most of it is not here now."""


@dataclass(slots=True)
class _Track:
    tracklet: Tracklet
    since_s: float
    global_id: int | None = None
    told: NDArray[np.float32] | None = None


class OnlineAssociator:
    """Matches tracks to a bounded gallery of people, all new ones of a camera at once.

    A track is decided when its vector can be trusted, or when it has waited ``delay_s``, or when it ends. While it goes
    on, each new vector is held against its identity and all others; a link that turns out wrong is told again with
    ``previous``.

    Args:
        threshold: similarity above which a track belongs to an identity; None (default) takes it from ``likeness``
            and the number of people known.
        likeness: what the cosines of the embedder mean.
        window_s: decisions are made this often, seconds.
        delay_s: longest wait of a live track for more evidence, seconds.
        enough: quality (0..1) of a tracklet that need not wait.
        margin: log-odds by which another identity has to be better before a link is corrected.
        review_s: how often the recent past is decided anew, all at once, with everything that offline association
            knows (overlapping views among it), seconds; 0: never, then single links are corrected by looks alone.
        review_tracklets: most tracklets of the recent past.
        false_match_rate: see ``OfflineAssociator``; for the review.
        max_identities: size of the gallery.
        max_members: tracks remembered of each identity.
        transits: see ``OfflineAssociator``.
        offsets: the same.
        planes: the same.
        store: people of earlier runs, whose ids are continued, and where this run's are kept, window by window.
        album: pictures of tracks, for the store.
        note: what the store calls this run.
        write: False: ids are continued, but whoever made this writes the store.
        retain_days: whoever was not seen for so many days is deleted from the store, every hour.
    """

    def __init__(
        self,
        *,
        threshold: float | None = None,
        likeness: Likeness = UNKNOWN,
        window_s: float = 0.5,
        delay_s: float = 2.0,
        enough: float = 0.6,
        margin: float = 1.0,
        review_s: float = 10.0,
        review_tracklets: int = 1000,
        false_match_rate: float = 0.01,
        max_identities: int = 100_000,
        max_members: int = 12,
        transits: Mapping[str, object] | None = None,
        offsets: Mapping[str, float] | None = None,
        planes: Mapping[str, Sequence[Sequence[float]]] | None = None,
        store: Store | None = None,
        album: Album | None = None,
        note: str = "",
        write: bool = True,
        retain_days: float | None = None,
    ) -> None:
        rules = read_rules(threshold=threshold, false_match_rate=false_match_rate, transits=transits)
        if min(window_s, delay_s, margin, review_s) < 0 or min(max_identities, max_members, review_tracklets) < 1:
            raise ConfigError("associate: times and margin must not be negative, limits must be at least 1")
        self._threshold = threshold
        self._likeness = likeness
        self._calibration = likeness.cosine
        self._window_s = window_s
        self._delay_s = delay_s
        self._enough = enough
        self._margin = margin
        self._gallery = Gallery(limit=max_identities, members=max_members, likeness=likeness)
        self._tracks: dict[TrackKey, _Track] = {}
        self._dirty: set[TrackKey] = set()
        self._next_s: float | None = None
        self._offsets = dict(offsets or {})
        views = Views(read_planes(planes))
        self._review = Review(limit=review_tracklets, rules=rules, views=views, margin=margin, likeness=likeness)
        self._review_s = review_s
        self._reviewed_s: float | None = None
        self._ids: dict[TrackKey, int] = {}
        self._forgotten: list[int] = []
        self._numbers = Numbers(store)
        self._write = write
        self._diary = (
            None
            if store is None
            else Diary(store, self._gallery, album=album, note=note, retain_days=retain_days if write else None)
        )

    @property
    def report(self) -> dict[str, Any]:
        """What run.json says about it: as the last review found it, or from looks alone while there was none."""
        alone = {"threshold": round(self._limit(), 4), "calibration": self._likeness.facts()}
        found = alone | self._review.report
        found.pop("tracklets", None)
        return found | {"identities": self._numbers.given, "gallery": len(self._gallery)}

    def held(self) -> dict[str, int]:
        """How much is remembered now: every one of these has a bound."""
        recent = len(self._review.recent)
        return {"gallery": len(self._gallery), "tracks": len(self._tracks), "recent": recent, "ids": len(self._ids)}

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        """Take new or changed tracklets; links come when a window ends. Call it without any, too: time goes on."""
        for tracklet in set_clocks(tracklets, self._offsets):
            self._note(tracklet, time_s)
        if self._next_s is None:
            self._next_s = time_s + self._window_s
        if time_s < self._next_s:
            return []
        self._next_s = time_s + self._window_s
        links = self._told(time_s)
        links += self._decide(time_s, force=False)
        if self._diary is not None and self._write:
            self._diary.write(links)
        return links

    def close(self) -> list[Link]:
        """Decide what is still open."""
        end = max((t.tracklet.last_s for t in self._tracks.values()), default=0.0)
        links = self._decide(end, force=True)
        if self._review_s:
            links += self._think_again(end)
        self._tracks.clear()
        if self._diary is not None and self._write:
            self._diary.write(links)
        self._numbers.close()
        return links

    def forget(self, global_id: int) -> None:
        """Whoever has this number is not known any more; tracks of theirs that go on are decided anew."""
        self._gallery.forget(global_id)
        gone = {key for key, own in self._ids.items() if own == global_id}
        gone |= {key for key, track in self._tracks.items() if track.global_id == global_id}
        for key in gone:
            self._ids.pop(key, None)
            self._review.recent.pop(key, None)
            track = self._tracks.pop(key, None)
            if track is not None and not track.tracklet.closed:
                self._tracks[key] = _Track(track.tracklet, track.since_s, told=track.told)
        self._dirty &= self._tracks.keys()
        if self._diary is not None:
            self._diary.silence(gone)

    def take_forgotten(self) -> list[int]:
        """Identities that others deleted from the store, each told once."""
        gone, self._forgotten = self._forgotten, []
        return gone

    def _note(self, tracklet: Tracklet, time_s: float) -> None:
        track = self._tracks.get(tracklet.key)
        if track is None:
            track = self._tracks[tracklet.key] = _Track(tracklet, time_s)
        self._gallery.means.add(tracklet.key.camera, tracklet.vector, track.told)
        track.tracklet = tracklet
        track.told = tracklet.vector
        self._dirty.add(tracklet.key)
        self._review.note(tracklet)
        if self._diary is not None and self._write:
            self._diary.note(tracklet)

    def _told(self, time_s: float) -> list[Link]:
        """What others did to the store meanwhile: tracks of this run that somebody merged or split."""
        links = []
        for key, old, new in [] if self._diary is None else self._diary.follow():
            if key in self._tracks:
                self._tracks[key].global_id = new
            if key in self._ids:
                self._ids[key] = new
            links.append(Link(key, new, 1.0, time_s, old))
        for global_id in [] if self._diary is None else self._diary.take_forgotten():
            self.forget(global_id)
            self._forgotten.append(global_id)
        return links

    def _decide(self, time_s: float, *, force: bool) -> list[Link]:
        self._gallery.tidy()
        links: list[Link] = []
        open_keys = sorted(key for key, track in self._tracks.items() if track.global_id is None)
        changed = sorted(key for key in self._dirty if self._tracks[key].global_id is not None)
        for key in changed:
            links += self._correct(self._tracks[key], time_s)
        ready = [key for key in open_keys if force or self._ready(self._tracks[key], time_s)]
        self._gallery.look_up([(key, self._tracks[key].tracklet.vector) for key in ready])
        for camera in sorted({key.camera for key in ready}):
            links += self._assign([self._tracks[key] for key in ready if key.camera == camera], time_s)
        self._dirty.clear()
        if self._reviewed_s is None:
            self._reviewed_s = time_s
        if self._review_s and not force and self._review.due and time_s >= self._reviewed_s + self._review_s:
            self._reviewed_s = time_s
            links += self._think_again(time_s)
        for key in [key for key, track in self._tracks.items() if track.tracklet.closed and track.global_id]:
            del self._tracks[key]
        return links

    def _think_again(self, time_s: float) -> list[Link]:
        """Review the recent past and tell what changes."""
        self._ids = {key: g for key, g in self._ids.items() if key in self._review.recent and g in self._gallery.people}
        new: dict[int, int] = {}
        links = []
        thoughts = self._review.second_thoughts(self._ids, self._gallery)
        self._calibration = self._likeness.cosine.eased(self._review.ease)
        for key, (own, wanted) in sorted(thoughts.items()):
            person = self._gallery.people.get(own)
            if person is None or key not in person.members:
                continue  # dropped from a full identity: too old to matter
            member = person.members[key]
            if wanted < 0 and wanted not in new:
                new[wanted] = self._numbers.take()
            to = new.get(wanted, wanted)
            self._gallery.drop(own, key)
            links.append(self._place(member, to, time_s, previous=own))
        return links

    def _ready(self, track: _Track, time_s: float) -> bool:
        tracklet = track.tracklet
        return tracklet.closed or tracklet.quality >= self._enough or time_s - track.since_s >= self._delay_s

    def _limit(self) -> float:
        if self._threshold is not None:
            return self._threshold
        return self._calibration.limit(max(-float(np.log(max(len(self._gallery), 2))), LEAST_PRIOR))

    def _odds(self, camera: str, tracks: list[_Track], keys: Sequence[TrackKey] = ()) -> NDArray[np.float64]:
        vectors = np.stack([t.tracklet.vector for t in tracks])
        similarity = self._gallery.similarity(camera, vectors, keys=keys)
        return self._calibration.log_odds(similarity) - self._calibration.log_odds(np.asarray(self._limit()))

    def _assign(self, tracks: list[_Track], time_s: float) -> list[Link]:
        """The best one-to-one choice for the undecided tracks of one camera; who fits nobody is somebody new."""
        odds = self._odds(tracks[0].tracklet.key.camera, tracks, [track.tracklet.key for track in tracks])
        ids = self._gallery.ids()
        columns = np.flatnonzero((odds > 0).any(axis=0))
        odds = odds[:, columns]
        for (i, j), value in np.ndenumerate(odds):
            tracklet = tracks[i].tracklet
            if value > 0 and not self._gallery.free(ids[columns[j]], tracklet):
                odds[i, j] = -FORBIDDEN
        chosen = _match(odds)
        wanted = [ids[columns[j]] if j >= 0 else None for j in chosen]
        links = []
        # In order of first picture, so that two of one camera that do not overlap may also found one identity.
        for i in sorted(range(len(tracks)), key=lambda i: (tracks[i].tracklet.first_s, tracks[i].tracklet.key)):
            links.append(self._link(tracks[i], wanted[i], time_s, previous=None))
        return links

    def _correct(self, track: _Track, time_s: float) -> list[Link]:
        """Hold a linked track's new vector against its own identity and all others."""
        own = track.global_id
        if (
            own is None
            or own not in self._gallery.people
            or track.tracklet.key not in self._gallery.people[own].members
        ):
            return []
        member = _member(track.tracklet)
        self._gallery.put(own, member)
        if self._review_s:
            return []
        limit = self._calibration.log_odds(np.asarray(self._limit()))
        rest = self._gallery.similarity_without(own, member)
        here = (
            0.0
            if rest is None
            else float(self._calibration.log_odds(self._gallery.scale.apply(np.asarray(rest))) - limit)
        )
        odds = self._odds(track.tracklet.key.camera, [track])[0]
        ids = self._gallery.ids()
        for j in np.argsort(-odds, kind="stable").tolist():
            if odds[j] <= max(here, 0.0) + self._margin:
                break
            if ids[j] != own and self._gallery.free(ids[j], track.tracklet):
                return self._move(track, own, ids[j], time_s)
        if here < -self._margin:
            return self._move(track, own, None, time_s)
        return []

    def _move(self, track: _Track, own: int, to: int | None, time_s: float) -> list[Link]:
        self._gallery.drop(own, track.tracklet.key)
        return [self._link(track, to, time_s, previous=own)]

    def _link(self, track: _Track, to: int | None, time_s: float, *, previous: int | None) -> Link:
        to = self._numbers.take() if to is None else to
        return self._place(_member(track.tracklet), to, time_s, previous=previous)

    def _place(self, member: Member, global_id: int, time_s: float, *, previous: int | None) -> Link:
        self._gallery.put(global_id, member)
        if member.key in self._tracks:
            self._tracks[member.key].global_id = global_id
        if member.key in self._review.recent:
            self._ids[member.key] = global_id
            if len(self._ids) > 2 * self._review.limit:
                self._ids = {key: g for key, g in self._ids.items() if key in self._review.recent}
        similarity = self._gallery.similarity_without(global_id, member)
        return Link(member.key, global_id, 1.0 if similarity is None else similarity, time_s, previous)


def _member(tracklet: Tracklet) -> Member:
    weight = max(tracklet.quality, 0.05)
    return Member(tracklet.key, tracklet.vector, weight, tracklet.first_s, tracklet.last_s, not tracklet.closed)


def _match(odds: NDArray[np.float64]) -> list[int]:
    """Column for each row, -1 for none: the assignment of the largest sum, a row without partner counting 0."""
    rows, columns = odds.shape
    if not columns:
        return [-1] * rows
    cost = np.full((rows, columns + rows), FORBIDDEN)
    cost[:, :columns] = np.where(odds > 0, -odds, FORBIDDEN)
    cost[np.arange(rows), columns + np.arange(rows)] = 0.0
    _, chosen, _ = lap.lapjv(cost, extend_cost=True)
    return [int(j) if j < columns else -1 for j in chosen.tolist()]
