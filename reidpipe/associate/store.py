"""People kept across runs: one SQLite file with identities, their tracklets and a picture of each.

Every change is one transaction in write-ahead mode: a process that is killed while it writes loses that change and
nothing else, and readers go on reading meanwhile. What is forgotten is overwritten (``secure_delete``) and the file
rebuilt, so that nothing of it stays on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, SinkError
from reidpipe.types import TrackKey, Tracklet

__all__ = ["Kept", "Person", "Store"]

VERSION = 1
MAGIC = 0x72656964  # "reid", in the header of the file

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (id INTEGER PRIMARY KEY, started_s REAL NOT NULL, note TEXT NOT NULL);
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, picture BLOB, seen_s REAL NOT NULL);
CREATE TABLE tracklets (
    run INTEGER NOT NULL REFERENCES runs(id),
    camera TEXT NOT NULL,
    track INTEGER NOT NULL,
    person INTEGER NOT NULL REFERENCES people(id),
    first_s REAL NOT NULL,
    last_s REAL NOT NULL,
    count INTEGER NOT NULL,
    quality REAL NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (run, camera, track)
) WITHOUT ROWID;
CREATE INDEX tracklets_person ON tracklets(person);
"""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known.

    Attributes:
        global_id: number of the identity.
        name: given by a user, or None.
        tracklets: how many are kept.
        cameras: where seen, sorted.
        seen_s: when last written, seconds since 1970.
    """

    global_id: int
    name: str | None
    tracklets: int
    cameras: tuple[str, ...]
    seen_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A tracklet of an earlier run.

    Attributes:
        run: number of the run.
        global_id: whose it is.
        tracklet: as it was, without prototypes and path; times by the clock of its run.
    """

    run: int
    global_id: int
    tracklet: Tracklet


class Store:
    """Opens a store, or makes one.

    Args:
        path: the file. Its folder has to exist.
        embedder: name or hash of the model that made the vectors.
        dim: length of its vectors.
        wait_s: how long to wait for another process that writes, seconds.

    Raises:
        ConfigError: the file is no store, damaged, of a newer version, or of another embedder.
        SinkError: it cannot be written.
    """

    def __init__(self, path: Path, *, embedder: str, dim: int, wait_s: float = 10.0) -> None:
        self.path = path
        self.dim = dim
        fresh = not path.exists() or path.stat().st_size == 0
        try:
            # Opened by one thread, used by another: a live run associates beside the pictures. Never by two at once.
            self._db = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise SinkError(f"the store {path} cannot be opened: {error}") from error
        try:
            with self._guarded():
                self._db.execute("PRAGMA foreign_keys = ON")
                self._db.execute("PRAGMA secure_delete = ON")
                if fresh:
                    self._create(embedder)
                self._check(embedder)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self._db.close()

    def people(self) -> list[Person]:
        """Everybody, by number."""
        sql = """SELECT p.id, p.name, count(t.track), json_group_array(DISTINCT t.camera), p.seen_s
                 FROM people p LEFT JOIN tracklets t ON t.person = p.id GROUP BY p.id ORDER BY p.id"""
        return [
            Person(number, name, count, tuple(sorted(c for c in json.loads(cameras) if c is not None)), seen)
            for number, name, count, cameras, seen in self._all(sql)
        ]

    def next_id(self) -> int:
        """A number that no identity has or ever had."""
        (value,) = self._all("SELECT value FROM meta WHERE key = 'next_id'")[0]
        return int(value)

    def kept(self, *, each: int = 1_000_000) -> list[Kept]:
        """Tracklets of earlier runs, the best ``each`` of every identity, by run, camera and track."""
        best = "row_number() OVER (PARTITION BY person ORDER BY quality DESC, run DESC, camera, track)"
        sql = f"""SELECT run, person, camera, track, first_s, last_s, count, quality, vector
                  FROM (SELECT *, {best} AS place FROM tracklets) WHERE place <= ? ORDER BY run, camera, track"""
        return [self._kept(row) for row in self._all(sql, (each,))]

    def write(
        self, known: Sequence[tuple[int, Tracklet]], *, now_s: float, note: str = "", run: int | None = None
    ) -> int:
        """Keep tracklets with their identities, in one transaction; returns the number of the run.

        Args:
            known: global id and tracklet. One that is there already (same run, camera, track) is replaced.
            now_s: seconds since 1970.
            note: anything about the run.
            run: continue this run; None begins a new one.
        """
        for _, tracklet in known:
            if len(tracklet.vector) != self.dim:
                raise ConfigError(f"the store {self.path} has vectors of {self.dim}, not of {len(tracklet.vector)}")
        with self._change():
            if run is None:
                run = int(
                    self._db.execute("INSERT INTO runs(started_s, note) VALUES (?, ?)", (now_s, note)).lastrowid or 0
                )
            before: set[int] = set()
            for global_id, t in known:
                where = (run, *t.key)
                sql = "SELECT person FROM tracklets WHERE run = ? AND camera = ? AND track = ?"
                before |= {row[0] for row in self._db.execute(sql, where)}
                self._db.execute(
                    "INSERT INTO people(id, seen_s) VALUES (?1, ?2) ON CONFLICT(id) DO UPDATE SET seen_s = ?2",
                    (global_id, now_s),
                )
                self._db.execute(
                    "INSERT OR REPLACE INTO tracklets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*where, global_id, t.first_s, t.last_s, t.count, t.quality, t.vector.tobytes()),
                )
            for global_id in before:
                sql = "DELETE FROM people WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tracklets WHERE person = ?1)"
                self._db.execute(sql, (global_id,))
            self._reserve(max((global_id for global_id, _ in known), default=0) + 1)
        return run

    def picture(self, global_id: int) -> bytes | None:
        """The JPEG kept of somebody, or None."""
        return next((bytes(row[0]) for row in self._person(global_id, "picture") if row[0] is not None), None)

    def keep_picture(self, global_id: int, jpeg: bytes) -> None:
        """Keep a JPEG of somebody, in place of the one before."""
        self._person(global_id, "id")
        with self._change():
            self._db.execute("UPDATE people SET picture = ? WHERE id = ?", (jpeg, global_id))

    def rename(self, global_id: int, name: str | None) -> None:
        """Give somebody a name, or take it away."""
        self._person(global_id, "id")
        with self._change():
            self._db.execute("UPDATE people SET name = ? WHERE id = ?", (name, global_id))

    def merge(self, keep: int, gone: int) -> None:
        """Two identities are one person: all of ``gone`` becomes ``keep``; a name or picture fills a gap."""
        self._person(keep, "id")
        self._person(gone, "id")
        if keep == gone:
            raise ConfigError(f"identity {keep} cannot be merged with itself")
        with self._change():
            self._db.execute("UPDATE tracklets SET person = ? WHERE person = ?", (keep, gone))
            self._db.execute(
                """UPDATE people SET name = coalesce(name, (SELECT name FROM people WHERE id = :gone)),
                   picture = coalesce(picture, (SELECT picture FROM people WHERE id = :gone)),
                   seen_s = max(seen_s, (SELECT seen_s FROM people WHERE id = :gone)) WHERE id = :keep""",
                {"keep": keep, "gone": gone},
            )
            self._db.execute("DELETE FROM people WHERE id = ?", (gone,))

    def split(self, tracks: Sequence[tuple[int, TrackKey]], *, now_s: float) -> int:
        """These tracks (run, key) are somebody else than was thought: they get a new identity, which is returned."""
        with self._change():
            new = self._next_in_change()
            self._db.execute("INSERT INTO people(id, seen_s) VALUES (?, ?)", (new, now_s))
            for run, key in tracks:
                sql = "UPDATE tracklets SET person = ? WHERE run = ? AND camera = ? AND track = ?"
                if self._db.execute(sql, (new, run, *key)).rowcount != 1:
                    raise ConfigError(f"the store has no track {key.track_id} of {key.camera} in run {run}")
            self._db.execute("DELETE FROM people WHERE id NOT IN (SELECT person FROM tracklets)")
            self._reserve(new + 1)
        return new

    def forget(self, global_id: int) -> None:
        """Delete somebody for good: rows are overwritten and the file rebuilt. The number is not given again."""
        self._person(global_id, "id")
        with self._change():
            self._db.execute("DELETE FROM tracklets WHERE person = ?", (global_id,))
            self._db.execute("DELETE FROM people WHERE id = ?", (global_id,))
        self._rebuild()

    def expire(self, *, before_s: float) -> int:
        """Forget everybody not seen since ``before_s`` (seconds since 1970); returns how many."""
        with self._change():
            old = "(SELECT id FROM people WHERE seen_s < ?)"
            self._db.execute(f"DELETE FROM tracklets WHERE person IN {old}", (before_s,))
            count = self._db.execute("DELETE FROM people WHERE seen_s < ?", (before_s,)).rowcount
        if count:
            self._rebuild()
        return count

    @property
    def embedder(self) -> str:
        """Name or hash of the model that made the vectors."""
        return str(self._all("SELECT value FROM meta WHERE key = 'embedder'")[0][0])

    def _create(self, embedder: str) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._change():
            for statement in TABLES.split(";"):
                self._db.execute(statement)
            values = {"embedder": embedder, "dim": str(self.dim), "next_id": "1"}
            self._db.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
            self._db.execute(f"PRAGMA application_id = {MAGIC}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _check(self, embedder: str) -> None:
        if self._db.execute("PRAGMA application_id").fetchone()[0] != MAGIC:
            raise ConfigError(f"{self.path} is not a store of reidpipe: choose another file")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise ConfigError(
                f"the store {self.path} is of version {version}, newer than this reidpipe: update reidpipe"
            )
        meta = dict(self._all("SELECT key, value FROM meta"))
        if meta["embedder"] != embedder or int(meta["dim"]) != self.dim:
            made = f"{meta['embedder']} ({meta['dim']} numbers)"
            raise ConfigError(
                f"the store {self.path} was made with the embedder {made}, this run has {embedder} ({self.dim}): "
                "use the same embedder or another store"
            )

    def _kept(self, row: tuple[Any, ...]) -> Kept:
        run, person, camera, track, first_s, last_s, count, quality, blob = row
        vector: NDArray[np.float32] = np.frombuffer(blob, dtype=np.float32)
        return Kept(run, person, Tracklet(TrackKey(camera, track), vector, count, quality, first_s, last_s, True))

    def _person(self, global_id: int, column: str) -> list[tuple[Any, ...]]:
        rows = self._all(f"SELECT {column} FROM people WHERE id = ?", (global_id,))
        if not rows:
            raise ConfigError(f"the store {self.path} has no identity {global_id}")
        return rows

    def _next_in_change(self) -> int:
        return int(self._db.execute("SELECT value FROM meta WHERE key = 'next_id'").fetchone()[0])

    def _reserve(self, next_id: int) -> None:
        sql = "UPDATE meta SET value = max(CAST(value AS INTEGER), ?) WHERE key = 'next_id'"
        self._db.execute(sql, (next_id,))

    def _rebuild(self) -> None:
        with self._guarded():
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _all(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._guarded():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        with self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """SQLite's errors as ours, in one line that says what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "locked" in text:
                raise SinkError(
                    f"the store {self.path} is being written by another process: try again later"
                ) from error
            if "full" in text:
                raise SinkError(f"the store {self.path} cannot grow, the disk is full: nothing was changed") from error
            if "malformed" in text or "not a database" in text or "no such table" in text:
                raise ConfigError(f"{self.path} is damaged or not a store: {text}. Restore it from a copy") from error
            raise SinkError(f"the store {self.path} cannot be used: {text}") from error
