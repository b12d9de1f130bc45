"""The people known so far, for association while the cameras run: one row each, bounded, searched in one product."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Scale
from reidpipe.associate.likeness import UNKNOWN, Likeness
from reidpipe.types import TrackKey, Tracklet, Vectors

__all__ = ["CameraMeans", "Gallery", "Member"]


TIDIED = 40
"""Rows cleaned anew at one call of ``Gallery.tidy``."""


@dataclass(slots=True)
class Member:
    """One track of a person.

    Attributes:
        key: the track.
        vector: float32 ``(D,)`` as the pooler gave it.
        weight: above 0, how much it counts.
        first_s: seconds.
        last_s: seconds; of a live track, the last picture known.
        live: the track goes on.
    """

    key: TrackKey
    vector: NDArray[np.float32]
    weight: float
    first_s: float
    last_s: float
    live: bool


@dataclass(slots=True)
class _Person:
    row: int
    members: dict[TrackKey, Member] = field(default_factory=dict)


class CameraMeans:
    """Running mean feature of each camera, pulled towards the mean over all cameras while there are few tracks.

    Args:
        pull: strength, in tracks.
        centre: float64 ``(D,)`` mean feature of people at large, towards which the mean over all cameras is pulled;
            None: not known.
    """

    def __init__(self, *, pull: float = 4.0, centre: NDArray[np.float64] | None = None) -> None:
        self.pull = pull
        self.centre = centre
        self.sums: dict[str, NDArray[np.float64]] = {}
        self.counts: dict[str, float] = {}
        self._means: dict[str, NDArray[np.float64]] = {}

    def add(self, camera: str, vector: NDArray[np.float32], before: NDArray[np.float32] | None = None) -> None:
        """Count a new track, or replace what a track looked like ``before``."""
        self._means.clear()
        if camera not in self.sums:
            self.sums[camera] = np.zeros(len(vector))
            self.counts[camera] = 0.0
        self.sums[camera] += vector
        if before is None:
            self.counts[camera] += 1.0
        else:
            self.sums[camera] -= before

    def add_all(self, tracks: Sequence[tuple[str, NDArray[np.float32]]]) -> None:
        """Count many new tracks: camera and vector of each."""
        self._means.clear()
        for camera in dict.fromkeys(camera for camera, _ in tracks):
            own = np.stack([vector for name, vector in tracks if name == camera])
            self.sums[camera] = self.sums.get(camera, np.zeros(own.shape[1])) + own.sum(axis=0, dtype=np.float64)
            self.counts[camera] = self.counts.get(camera, 0.0) + len(own)

    def clean_all(self, cameras: Sequence[str], vectors: Vectors) -> Vectors:
        """``clean`` of each row, float32 ``(N, D)``."""
        number = {camera: i for i, camera in enumerate(dict.fromkeys(cameras))}
        means = np.stack([self.mean(camera, vectors.shape[1]) for camera in number]).astype(np.float32)
        left = vectors - means[[number[camera] for camera in cameras]]
        lengths = np.sqrt(np.einsum("ij,ij->i", left, left))[:, None]
        return np.asarray(np.divide(left, lengths, out=np.zeros_like(left), where=lengths > 1e-6))

    def mean(self, camera: str, dim: int) -> NDArray[np.float64]:
        """What is taken off a vector of that camera, ``(dim,)``; not to be written to."""
        if camera not in self._means:
            self._means[camera] = self._mean(camera, dim)
        return self._means[camera]

    def _mean(self, camera: str, dim: int) -> NDArray[np.float64]:
        total = self.total()
        if total == 0:
            return np.zeros(dim) if self.centre is None else self.centre
        if self.centre is None:
            overall = np.asarray(sum(self.sums.values()) / total)
        else:
            overall = np.asarray((sum(self.sums.values()) + self.pull * self.centre) / (total + self.pull))
        if camera not in self.sums:
            return overall
        return np.asarray((self.sums[camera] + self.pull * overall) / (self.counts[camera] + self.pull))

    def total(self) -> float:
        """How many tracks were counted."""
        return sum(self.counts.values())

    def clean(self, camera: str, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """A vector without its camera's mean, float64 ``(D,)`` of unit length (of zero length when nothing is left)."""
        left = vector - self.mean(camera, len(vector))
        length = float(np.linalg.norm(left))
        return np.asarray(left / length if length > 1e-6 else np.zeros(len(vector)))


class Gallery:
    """Identities and their tracks.

    Args:
        limit: most identities; when full, the one not seen for longest goes.
        members: most tracks remembered of each; the least weighty, ended one goes first.
        likeness: what the cosines of the embedder mean.
    """

    def __init__(self, *, limit: int, members: int, likeness: Likeness = UNKNOWN) -> None:
        self.limit = limit
        self.members = members
        self.means = CameraMeans(centre=likeness.centre)
        self.spread = likeness.spread
        self.scale = Scale(spread=self.spread)
        self.people: dict[int, _Person] = {}
        self._rows: list[int] = []
        self._matrix: Vectors = np.zeros((0, 0), np.float32)
        self._clean_at = 0.0
        self._stale: list[int] = []
        self._asked: dict[TrackKey, int] = {}
        self._queries: Vectors = np.zeros((0, 0), np.float32)
        self._answers: Vectors = np.zeros((0, 0), np.float32)
        self._changed: set[int] = set()

    def __len__(self) -> int:
        return len(self.people)

    def ids(self) -> list[int]:
        """Global ids, in the order of the columns of ``similarity``."""
        return self._rows

    def similarity(self, camera: str, vectors: Vectors, *, keys: Sequence[TrackKey] = ()) -> NDArray[np.float64]:
        """Cosine of each vector to each identity, bias removed, on the common scale, float64 ``(N, M)``; columns as in
        ``ids``.

        Args:
            camera: of all of them.
            vectors: float32 ``(N, D)``.
            keys: their tracks, when ``look_up`` was told of all of them.
        """
        if not self._rows:
            return np.zeros((len(vectors), 0))
        if keys:
            return self.scale.apply(self._looked_up([self._asked[key] for key in keys]).astype(np.float64))
        queries = np.stack([self.means.clean(camera, vector) for vector in vectors]).astype(np.float32)
        return self.scale.apply((queries @ self._matrix[: len(self._rows)].T).astype(np.float64))

    def look_up(self, tracks: Sequence[tuple[TrackKey, NDArray[np.float32]]]) -> None:
        """Compare tracks of all cameras at once: with many identities the memory is what takes time.

        Holds until camera means change. Identities that change meanwhile are compared again.
        """
        self._asked = {key: i for i, (key, _) in enumerate(tracks)}
        self._changed = set()
        if tracks:
            self._queries = np.stack([self.means.clean(k.camera, v) for k, v in tracks]).astype(np.float32)
            self._answers = self._queries @ self._matrix[: len(self._rows)].T if self._rows else self._queries[:, :0]

    def _looked_up(self, asked: list[int]) -> NDArray[np.float32]:
        count = len(self._rows)
        raw = np.zeros((len(asked), count), np.float32)
        known = min(count, self._answers.shape[1])
        raw[:, :known] = self._answers[asked, :known]
        stale = sorted({row for row in self._changed if row < count} | set(range(known, count)))
        raw[:, stale] = self._queries[asked] @ self._matrix[stale].T
        return raw

    def similarity_without(self, global_id: int, member: Member) -> float | None:
        """Cosine of a member to the rest of its identity; None when it is alone."""
        rest = [m for m in self.people[global_id].members.values() if m.key != member.key]
        if not rest:
            return None
        return float(self._mean(rest) @ self.means.clean(member.key.camera, member.vector))

    def put(self, global_id: int, member: Member) -> None:
        """Add or renew a track of an identity, which is made when new."""
        person = self.people.get(global_id)
        if person is None:
            self._make_room()
            person = self.people[global_id] = _Person(len(self._rows))
            self._rows.append(global_id)
            self._grow(len(member.vector))
        person.members[member.key] = member
        if len(person.members) > self.members:
            ended = [m for m in person.members.values() if not m.live]
            if ended:
                del person.members[min(ended, key=lambda m: (m.weight, m.last_s)).key]
        self._refresh(person)

    def load(self, members: Sequence[tuple[int, Member]]) -> None:
        """Many tracks at once, of identities that are new here; of too many identities those seen last."""
        people: dict[int, list[Member]] = {}
        for global_id, member in members:
            people.setdefault(global_id, []).append(member)
        room = self.limit - len(self.people)
        if len(people) > room:
            last = sorted(people, key=lambda g: (max(m.last_s for m in people[g]), g))
            for global_id in last[: len(people) - room]:
                del people[global_id]
        for own in people.values():
            own.sort(key=lambda m: -m.weight)
            del own[self.members :]
        chosen = [(g, m) for g, own in people.items() for m in own]
        if not chosen:
            return
        self.means.add_all([(m.key.camera, m.vector) for _, m in chosen])
        clean = self.means.clean_all([m.key.camera for _, m in chosen], np.stack([m.vector for _, m in chosen]))
        for global_id, own in people.items():
            self.people[global_id] = _Person(len(self._rows), {m.key: m for m in own})
            self._rows.append(global_id)
        self._grow(len(chosen[0][1].vector))
        clean *= np.asarray([m.weight for _, m in chosen], np.float32)[:, None]
        begins = np.cumsum([0, *(len(own) for own in people.values())])[:-1]
        sums = np.add.reduceat(clean, begins, axis=0)
        lengths = np.sqrt(np.einsum("ij,ij->i", sums, sums))[:, None]
        unit = np.divide(sums, lengths, out=sums, where=lengths > 1e-6)
        self._matrix[len(self._rows) - len(people) : len(self._rows)] = unit
        self._clean_at = self.means.total()
        self.scale = self._strangers()

    def members_of(self, global_id: int) -> dict[TrackKey, Member]:
        """The tracks remembered of an identity; none of one that is not here."""
        person = self.people.get(global_id)
        return {} if person is None else dict(person.members)

    def forget(self, global_id: int) -> None:
        """An identity and all of its tracks, if it is here."""
        if global_id in self.people:
            self._forget(global_id)

    def drop(self, global_id: int, key: TrackKey) -> None:
        """Take a track out; an identity without tracks is gone."""
        person = self.people[global_id]
        del person.members[key]
        if person.members:
            self._refresh(person)
        else:
            self._forget(global_id)

    def free(self, global_id: int, tracklet: Tracklet) -> bool:
        """True when no track of the identity was in the tracklet's camera while the tracklet was."""
        return all(
            m.key.camera != tracklet.key.camera
            or m.key == tracklet.key
            or (not m.live and m.last_s < tracklet.first_s)
            or (tracklet.closed and tracklet.last_s < m.first_s)
            for m in self.people[global_id].members.values()
        )

    def tidy(self) -> None:
        """Once the camera means have seen a third more tracks, clean every row anew, a few at each call: no pause."""
        total = self.means.total()
        if not self._stale and total >= 4 / 3 * self._clean_at + 1:
            self._clean_at = total
            self._stale = list(self.people)
            self.scale = self._strangers()
        for global_id in self._stale[-TIDIED:]:
            if global_id in self.people:
                self._refresh(self.people[global_id])
        del self._stale[-TIDIED:]

    def _strangers(self) -> Scale:
        """How alike different identities are, from a fixed random choice of pairs."""
        n = len(self._rows)
        if n < 2:
            return Scale(spread=self.spread)
        i, j = np.random.default_rng(0).integers(0, n, size=(2, 2000))
        rows = self._matrix[:n]
        cosines = np.einsum("ij,ij->i", rows[i[i != j]], rows[j[i != j]]).astype(np.float64)
        return Scale.of(cosines, usual=self.spread, strength=200.0)

    def _mean(self, members: list[Member]) -> NDArray[np.float64]:
        rows = np.stack([m.vector for m in members]) - np.stack(
            [self.means.mean(m.key.camera, len(m.vector)) for m in members]
        )
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        # A track of which nothing is left without its camera's mean does not count.
        weights = np.asarray([m.weight for m in members]) * (lengths > 1e-6)
        total = (weights / np.maximum(lengths, 1e-6)) @ rows
        length = float(np.linalg.norm(total))
        return np.asarray(total / length if length > 1e-6 else total)

    def _refresh(self, person: _Person) -> None:
        self._matrix[person.row] = self._mean(list(person.members.values()))
        self._changed.add(person.row)

    def _grow(self, dim: int) -> None:
        if len(self._rows) > len(self._matrix):
            larger = np.zeros((max(64, 2 * len(self._matrix), len(self._rows)), dim), np.float32)
            if len(self._matrix):
                larger[: len(self._matrix)] = self._matrix
            self._matrix = larger

    def _make_room(self) -> None:
        """When full, the one seen longest ago goes; of a large gallery one in a hundred, so that looking is rare."""
        if len(self.people) < self.limit:
            return
        gone = [
            (max(m.last_s for m in p.members.values()), g)
            for g, p in self.people.items()
            if not any(m.live for m in p.members.values())
        ]
        for _, global_id in heapq.nsmallest(max(1, self.limit // 100), gone):
            self._forget(global_id)

    def _forget(self, global_id: int) -> None:
        """The last row takes the place of the one that goes."""
        row = self.people.pop(global_id).row
        last = self._rows.pop()
        if last != global_id:
            self._rows[row] = last
            self.people[last].row = row
            self._matrix[row] = self._matrix[len(self._rows)]
            self._changed.add(row)
