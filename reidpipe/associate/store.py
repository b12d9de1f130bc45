"""People kept across runs: one SQLite file with identities, their tracklets and pictures.

Every change is one transaction in write-ahead mode: a process that is killed while it writes loses that change and
nothing else, and readers go on reading meanwhile. What is forgotten is overwritten (``secure_delete``) and the file
rebuilt, so that nothing of it stays on disk; a line without anything personal says that it was done (``audit``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.store_file import StoreFile
from reidpipe.associate.store_rows import (
    best_rows,
    next_number,
    note_act,
    put_picture,
    reserve,
    thinned,
    unit_rows16,
    who_now,
)
from reidpipe.associate.store_types import Act, Kept, Person, Picture, Run
from reidpipe.errors import ConfigError
from reidpipe.types import TrackKey, Tracklet, Vectors

__all__ = ["Store"]

MOST_TRACKLETS = 500
"""Tracklets kept of one person; then the ones written longest ago go."""

_KEPT = "t.run, t.person, t.camera, t.track, t.first_s, t.last_s, t.count, t.quality, t.vector, t.prototypes, t.kept_s"


class Store:
    """Opens a store, or makes one. Threads may share it; processes each open their own.

    Args:
        path: the file. Its folder has to exist.
        embedder: name of the model that makes the vectors.
        dim: length of its vectors.
        sha256: of the model's file: two models of one name are told apart. Empty: compare the names.
        thumbnails: False keeps numbers only. None: as the store was made (a new one takes pictures).
        wait_s: how long to wait for another process that writes, seconds.

    Raises:
        ConfigError: the file is no store, damaged, of a newer version, or of another embedder.
        SinkError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        embedder: str,
        dim: int,
        sha256: str = "",
        thumbnails: bool | None = None,
        wait_s: float = 10.0,
    ) -> None:
        make = {
            "embedder": embedder,
            "sha256": sha256,
            "dim": str(dim),
            "thumbnails": str(int(thumbnails is not False)),
            "next_id": "1",
        }
        self._begin(StoreFile(Path(path), make=make, wait_s=wait_s), thumbnails=thumbnails is not False)
        try:
            self._fits(embedder, sha256, dim)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: Path, *, readonly: bool = False, wait_s: float = 10.0) -> Self:
        """A store that exists, whatever its embedder.

        Args:
            path: the file.
            readonly: nothing will be changed.
            wait_s: how long to wait for another process that writes, seconds.

        Raises:
            ConfigError: the file does not exist, is no store, damaged, or of a newer version.
            SinkError: it cannot be opened.
        """
        store = cls.__new__(cls)
        store._begin(StoreFile(Path(path), readonly=readonly, wait_s=wait_s))
        return store

    def _begin(self, file: StoreFile, *, thumbnails: bool = True) -> None:
        self._file = file
        self.path = file.path
        try:
            meta = dict(file.all("SELECT key, value FROM meta"))
            self.embedder = str(meta["embedder"])
            self.sha256 = str(meta["sha256"])
            self.dim = int(meta["dim"])
            self.thumbnails = thumbnails and meta["thumbnails"] == "1"
        except (KeyError, ValueError) as error:
            file.close()
            raise ConfigError(f"{self.path} is damaged or not a store: {error}. Restore it from a copy") from error
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self._file.close()

    @property
    def file(self) -> StoreFile:
        """The connection, for what looks after the store."""
        return self._file

    def people(self) -> list[Person]:
        """Everybody, by number."""
        rows = self._file.all(
            """SELECT p.id, p.name, p.seen_s, t.camera, count(t.track), min(t.kept_s) FROM people p
               LEFT JOIN tracklets t ON t.person = p.id GROUP BY p.id, t.camera ORDER BY p.id, t.camera"""
        )
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(row)
        return [
            Person(
                number,
                own[0][1],
                sum(row[4] for row in own),
                tuple(row[3] for row in own if row[3] is not None),
                own[0][2],
                min((row[5] for row in own if row[5] is not None), default=own[0][2]),
            )
            for number, own in found.items()
        ]

    def names(self) -> dict[int, str]:
        """Names that were given: global id -> name."""
        return dict(self._file.all("SELECT id, name FROM people WHERE name IS NOT NULL"))

    def runs(self) -> list[Run]:
        """Runs that wrote, in order."""
        rows = self._file.all("SELECT id, started_s, note, live FROM runs ORDER BY id")
        return [Run(number, started, note, bool(live)) for number, started, note, live in rows]

    def next_id(self) -> int:
        """A number that no identity has or ever had."""
        with self._file.guarded():
            return next_number(self._file.db)

    def take_ids(self, count: int) -> int:
        """Reserve numbers for new identities, so that no other run gives them; returns the first."""
        with self._file.change() as db:
            first = next_number(db)
            reserve(db, first + count)
        return first

    def give_back(self, first: int, end: int) -> None:
        """Numbers from ``first`` on, taken up to ``end`` (not included), were not used."""
        with self._file.change() as db:
            db.execute("UPDATE meta SET value = ? WHERE key = 'next_id' AND value = ?", (str(first), str(end)))

    def kept(self, *, each: int = 10**6, people: Iterable[int] | None = None, prototypes: bool = True) -> list[Kept]:
        """Tracklets of earlier runs, by run, camera and track.

        Args:
            each: the best so many of every identity, from as many cameras as there are.
            people: of these only; None: of everybody.
            prototypes: False leaves them out, which is quicker.
        """
        columns = _KEPT if prototypes else _KEPT.replace("t.prototypes", "NULL")
        if people is None:
            sql = f"SELECT {columns} FROM tracklets t WHERE t.id IN ({best_rows('')})"
            rows = self._file.all(sql, (each,))
        else:
            sql = f"SELECT {columns} FROM tracklets t WHERE t.id IN ({best_rows('WHERE person = ?')})"
            rows = [row for person in sorted(set(people)) for row in self._file.all(sql, (person, each))]
        return sorted((self._kept(row) for row in rows), key=lambda k: (k.run, k.tracklet.key))

    def vectors(self, *, each: int) -> tuple[NDArray[np.int64], Vectors]:
        """Whose and which: the vectors of the best ``each`` tracklets of everybody, ``(N,)`` and ``(N, dim)``."""
        sql = f"SELECT person, vector FROM tracklets WHERE id IN ({best_rows('')}) ORDER BY person, id"
        rows = self._file.all(sql, (each,))
        data = b"".join(row[1] for row in rows)
        if len(data) != 4 * self.dim * len(rows):
            raise self._file.damaged("a vector of the wrong length")
        return np.asarray([row[0] for row in rows], np.int64), np.frombuffer(data, np.float32).reshape(-1, self.dim)

    def write(
        self,
        known: Sequence[tuple[int, Tracklet]],
        *,
        now_s: float,
        note: str = "",
        run: int | None = None,
        live: bool = False,
        pictures: Mapping[TrackKey, Picture] | None = None,
    ) -> int:
        """Keep tracklets with their identities, in one transaction; returns the number of the run.

        Somebody forgotten meanwhile is left out; who was merged meanwhile is kept as who that person is now.

        Args:
            known: global id and tracklet. One that is there already (same run, camera, track) is replaced.
            now_s: seconds since 1970.
            note: anything about the run.
            run: continue this run; None begins a new one.
            live: times are seconds since 1970.
            pictures: of some of the tracks; not taken when the store keeps none.
        """
        for _, tracklet in known:
            if len(tracklet.vector) != self.dim:
                raise ConfigError(f"the store {self.path} has vectors of {self.dim}, not of {len(tracklet.vector)}")
        with self._file.change() as db:
            if run is None:
                begun = db.execute("INSERT INTO runs(started_s, note, live) VALUES (?, ?, ?)", (now_s, note, live))
                run = int(begun.lastrowid or 0)
            reserve(db, max((global_id for global_id, _ in known), default=0) + 1)
            before: set[int] = set()
            for wanted, tracklet in known:
                global_id = who_now(db, wanted)
                if global_id is not None:
                    row, old = self._put(db, run, global_id, tracklet, now_s)
                    before |= old - {global_id}
                    if self.thumbnails and pictures and tracklet.key in pictures:
                        put_picture(db, row, pictures[tracklet.key])
            for global_id in before:
                sql = "DELETE FROM people WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tracklets WHERE person = ?1)"
                db.execute(sql, (global_id,))
            self._thin(db, {global_id for global_id, _ in known})
        return run

    def restore(
        self,
        kept: Sequence[Kept],
        runs: Sequence[Run],
        pictures: Mapping[tuple[int, TrackKey], Picture],
        names: Mapping[int, str],
    ) -> None:
        """Take tracklets as they were in another store, in one transaction: age stays, runs get new numbers."""
        if any(len(k.tracklet.vector) != self.dim for k in kept):
            raise ConfigError(f"the store {self.path} has vectors of {self.dim}, these have another length")
        with self._file.change() as db:
            reserve(db, max((k.global_id for k in kept), default=0) + 1)
            number: dict[int, int] = {}
            for run in runs:
                sql = "INSERT INTO runs(started_s, note, live) VALUES (?, ?, ?)"
                number[run.number] = int(db.execute(sql, (run.started_s, run.note, run.live)).lastrowid or 0)
            for k in kept:
                row, _ = self._put(db, number[k.run], k.global_id, k.tracklet, k.kept_s)
                picture = pictures.get((k.run, k.tracklet.key))
                if self.thumbnails and picture is not None:
                    put_picture(db, row, picture)
            for global_id, name in names.items():
                db.execute("UPDATE people SET name = ? WHERE id = ?", (name, global_id))

    def picture(self, global_id: int) -> bytes | None:
        """The best JPEG kept of somebody, or None."""
        self.require([global_id])
        sql = """SELECT jpeg FROM pictures p JOIN tracklets t ON t.id = p.tracklet WHERE t.person = ?
                 ORDER BY p.score DESC, p.tracklet LIMIT 1"""
        return next((bytes(jpeg) for (jpeg,) in self._file.all(sql, (global_id,))), None)

    def pictures(self, global_id: int) -> dict[tuple[int, TrackKey], Picture]:
        """All pictures kept of somebody: run and track -> picture."""
        sql = """SELECT t.run, t.camera, t.track, p.score, p.jpeg FROM pictures p
                 JOIN tracklets t ON t.id = p.tracklet WHERE t.person = ? ORDER BY t.id"""
        rows = self._file.all(sql, (global_id,))
        return {(run, TrackKey(camera, track)): Picture(s, bytes(j)) for run, camera, track, s, j in rows}

    def rename(self, global_id: int, name: str | None) -> None:
        """Give somebody a name, or take it away."""
        self.require([global_id])
        with self._file.change() as db:
            db.execute("UPDATE people SET name = ? WHERE id = ?", (name, global_id))

    def merge(self, keep: int, gone: int, *, now_s: float) -> None:
        """Two identities are one person: all of ``gone`` becomes ``keep``; a name fills a gap."""
        self.require([keep, gone])
        if keep == gone:
            raise ConfigError(f"identity {keep} cannot be merged with itself")
        with self._file.change() as db:
            moved = db.execute("UPDATE tracklets SET person = ? WHERE person = ?", (keep, gone)).rowcount
            db.execute(
                """UPDATE people SET name = coalesce(name, (SELECT name FROM people WHERE id = :gone)),
                   seen_s = max(seen_s, (SELECT seen_s FROM people WHERE id = :gone)) WHERE id = :keep""",
                {"keep": keep, "gone": gone},
            )
            db.execute("DELETE FROM people WHERE id = ?", (gone,))
            note_act(db, Act(now_s, "merge", gone, keep, moved))

    def split(self, tracks: Sequence[tuple[int, TrackKey]], *, now_s: float) -> int:
        """These tracks (run, key) are somebody else than was thought: they get a new identity, which is returned."""
        with self._file.change() as db:
            new = next_number(db)
            db.execute("INSERT INTO people(id, seen_s) VALUES (?, ?)", (new, now_s))
            before: set[int] = set()
            for run, key in tracks:
                where = (run, *key)
                sql = "SELECT person FROM tracklets WHERE run = ? AND camera = ? AND track = ?"
                row = db.execute(sql, where).fetchone()
                if row is None:
                    raise ConfigError(f"the store has no track {key.track_id} of {key.camera} in run {run}")
                before.add(row[0])
                db.execute("UPDATE tracklets SET person = ? WHERE run = ? AND camera = ? AND track = ?", (new, *where))
            for old in sorted(before - {new}):
                note_act(db, Act(now_s, "split", old, new, len(tracks)))
            db.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM tracklets)")
            reserve(db, new + 1)
        return new

    def audit(self, *, after: int = 0) -> list[tuple[int, Act]]:
        """What was done to identities, in order: line number and act."""
        sql = "SELECT id, at_s, action, person, other, tracklets FROM audit WHERE id > ? ORDER BY id"
        return [(row[0], Act(*row[1:])) for row in self._file.all(sql, (after,))]

    def newest_row(self) -> int:
        """A number that grows with every tracklet that is written."""
        return int(self._file.all("SELECT coalesce(max(id), 0) FROM tracklets")[0][0])

    def written_after(self, row: int, *, but: int | None) -> tuple[list[Kept], int]:
        """Tracklets written after a ``newest_row`` by other runs than ``but``, and the newest row now."""
        newest = self.newest_row()
        sql = f"SELECT {_KEPT} FROM tracklets t WHERE t.id > ? AND t.id <= ? AND t.run != ? ORDER BY t.id"
        return [self._kept(found) for found in self._file.all(sql, (row, newest, but or 0))], newest

    def changes(self) -> int:
        """A number that is another one when another process has changed the store."""
        return int(self._file.all("PRAGMA data_version")[0][0])

    def require(self, people: Iterable[int]) -> None:
        """Raise ConfigError for the first of ``people`` that is not in the store."""
        for one in people:
            if not self._file.all("SELECT 1 FROM people WHERE id = ?", (one,)):
                raise ConfigError(f"the store {self.path} has no identity {one}")

    def _fits(self, embedder: str, sha256: str, dim: int) -> None:
        same = self.sha256 == sha256 if self.sha256 and sha256 else self.embedder == embedder
        if same and self.dim == dim:
            return
        theirs = f"{self.embedder}{_short(self.sha256)}, {self.dim} numbers"
        raise ConfigError(
            f"the store {self.path} was made with the embedder {theirs}; this run has {embedder}{_short(sha256)}, "
            f"{dim}: use the same embedder (--embedder) or another store"
        )

    def _put(self, db: sqlite3.Connection, run: int, global_id: int, t: Tracklet, now_s: float) -> tuple[int, set[int]]:
        """One tracklet; returns its row, and whose it was before. The picture stays until there is a better one."""
        where = (run, *t.key)
        sql = """SELECT t.person, p.score, p.jpeg FROM tracklets t LEFT JOIN pictures p ON p.tracklet = t.id
                 WHERE run = ? AND camera = ? AND track = ?"""
        old = db.execute(sql, where).fetchone()
        db.execute(
            "INSERT INTO people(id, seen_s) VALUES (?1, ?2) ON CONFLICT(id) DO UPDATE SET seen_s = max(seen_s, ?2)",
            (global_id, now_s),
        )
        values = (*where, global_id, t.first_s, t.last_s, now_s, t.count, t.quality, t.vector.tobytes(), thinned(t))
        # Replaced, not updated: whatever is new has a row number above all before it.
        sql = """INSERT OR REPLACE INTO tracklets(run, camera, track, person, first_s, last_s, kept_s, count, quality,
                 vector, prototypes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
        row = int(db.execute(sql, values).lastrowid or 0)
        if old is not None and old[1] is not None:
            put_picture(db, row, Picture(old[1], old[2]))
        return row, set() if old is None else {old[0]}

    def _thin(self, db: sqlite3.Connection, people: set[int]) -> None:
        for global_id in people:
            (count,) = db.execute("SELECT count(*) FROM tracklets WHERE person = ?", (global_id,)).fetchone()
            if count > MOST_TRACKLETS:
                oldest = "SELECT id FROM tracklets WHERE person = ? ORDER BY kept_s, id LIMIT ?"
                db.execute(f"DELETE FROM tracklets WHERE id IN ({oldest})", (global_id, count - MOST_TRACKLETS))

    def _kept(self, row: tuple[Any, ...]) -> Kept:
        run, person, camera, track, first_s, last_s, count, quality, blob, prototypes, kept_s = row
        try:
            vector: NDArray[np.float32] = np.frombuffer(blob, dtype=np.float32)
            rows = None if prototypes is None else unit_rows16(prototypes, self.dim)
            key = TrackKey(camera, track)
            return Kept(run, person, Tracklet(key, vector, count, quality, first_s, last_s, True, rows), kept_s)
        except (ValueError, TypeError) as error:
            raise self._file.damaged(str(error)) from error


def _short(sha256: str) -> str:
    return f" (sha256 {sha256[:8]}...)" if sha256 else ""
