"""The file behind a store: SQLite in write-ahead mode, opened with care, changed in whole transactions only."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reidpipe.errors import ConfigError, SinkError

__all__ = ["QUICK_CHECK_BYTES", "VERSION", "StoreFile"]

VERSION = 1
MAGIC = 0x72656964  # "reid", in the header of the file

QUICK_CHECK_BYTES = 64_000_000
"""Up to this size a file is looked through when it is opened (a fraction of a second): damage that is found when a long
run ends is found too late."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (id INTEGER PRIMARY KEY, started_s REAL NOT NULL, note TEXT NOT NULL, live INTEGER NOT NULL);
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, seen_s REAL NOT NULL);
CREATE TABLE tracklets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs(id),
    camera TEXT NOT NULL,
    track INTEGER NOT NULL,
    person INTEGER NOT NULL REFERENCES people(id),
    first_s REAL NOT NULL,
    last_s REAL NOT NULL,
    kept_s REAL NOT NULL,
    count INTEGER NOT NULL,
    quality REAL NOT NULL,
    vector BLOB NOT NULL,
    prototypes BLOB,
    UNIQUE (run, camera, track)
);
CREATE INDEX tracklets_person ON tracklets(person, camera, quality, first_s, last_s, kept_s);
CREATE INDEX tracklets_kept ON tracklets(kept_s);
CREATE TABLE pictures (
    tracklet INTEGER PRIMARY KEY REFERENCES tracklets(id) ON DELETE CASCADE,
    score REAL NOT NULL,
    jpeg BLOB NOT NULL
);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_s REAL NOT NULL,
    action TEXT NOT NULL,
    person INTEGER NOT NULL,
    other INTEGER,
    tracklets INTEGER NOT NULL
);
CREATE INDEX audit_person ON audit(person)
"""


class StoreFile:
    """One connection. May be used by several threads, which wait for each other.

    Args:
        path: the file. Its folder has to exist.
        make: values of ``meta`` for a file that does not exist yet; None: it has to exist.
        readonly: nothing will be changed; the file may lie where nothing can be written.
        wait_s: how long to wait for another process that writes, seconds.

    Raises:
        ConfigError: the file does not exist (without ``make``), is no store, damaged, or of a newer version.
        SinkError: it cannot be opened or written.
    """

    def __init__(
        self, path: Path, *, make: Mapping[str, str] | None = None, readonly: bool = False, wait_s: float = 10.0
    ) -> None:
        self.path = path
        self._lock = threading.RLock()
        fresh = self._is_fresh(make is not None)
        self.db = self._connect(readonly, wait_s)
        try:
            with self.guarded():
                if fresh and make is not None:
                    self._create(make)
                self._check()
                self.db.execute("PRAGMA foreign_keys = ON")
                self.db.execute("PRAGMA secure_delete = ON")
                if readonly:
                    self.db.execute("PRAGMA query_only = ON")
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        """Give the file back. May be called twice."""
        with self._lock:
            self.db.close()

    def all(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        with self.guarded():
            return self.db.execute(sql, values).fetchall()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing.

        Raises:
            SinkError: another process writes, or the disk is full; nothing was changed.
        """
        with self.guarded():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside belongs together, whatever others write meanwhile."""
        with self.guarded():
            self.db.execute("BEGIN")
            try:
                yield
            finally:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")

    def rebuild(self) -> None:
        """Write the file anew, so that nothing of what was deleted stays in it or beside it.

        Raises:
            SinkError: somebody else is using the store, so that traces could stay; or the disk is full.
        """
        with self.guarded():
            self.db.execute("VACUUM")
            busy = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise SinkError(
                f"deleted from the store {self.path}, but another process is reading it, so traces may stay beside it "
                "(-wal): run `reidpipe store compact` when it has ended"
            )

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """One thread at a time; SQLite's errors as ours, in one line that says what to do."""
        with self._lock:
            try:
                yield
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise self._explained(error) from error

    def damaged(self, reason: str) -> ConfigError:
        """The error to raise when a value in the file cannot be."""
        return ConfigError(f"{self.path} is damaged or not a store: {reason}. Restore it from a copy")

    def _explained(self, error: Exception) -> ConfigError | SinkError:
        text = str(error)
        if "locked" in text or "busy" in text:
            return SinkError(f"the store {self.path} is being written by another process: try again later")
        if "is full" in text or "disk I/O" in text:
            reason = "the disk is full" if "is full" in text else "the disk is full or failing"
            return SinkError(f"the store {self.path} cannot grow, {reason}: free some space; nothing was changed")
        if "readonly" in text:
            return SinkError(f"the store {self.path} cannot be written: no permission, or a read-only disk")
        if isinstance(error, UnicodeDecodeError) or any(
            sign in text for sign in ("malformed", "not a database", "no such table", "no such column", "UTF-8")
        ):
            return self.damaged(text)
        return SinkError(f"the store {self.path} cannot be used: {text}")

    def _is_fresh(self, may_make: bool) -> bool:
        try:
            fresh = not self.path.exists() or self.path.stat().st_size == 0
        except OSError as error:
            raise SinkError(f"the store {self.path} cannot be opened: {error.strerror}") from error
        if self.path.is_dir():
            raise ConfigError(f"{self.path} is a folder: a store is one file, for instance {self.path / 'site.db'}")
        if fresh and not may_make:
            raise ConfigError(f"there is no store {self.path}: `reidpipe run ... --store {self.path}` makes one")
        if fresh and not self.path.absolute().parent.is_dir():
            raise SinkError(f"the store {self.path} cannot be made: there is no folder {self.path.absolute().parent}")
        return fresh

    def _connect(self, readonly: bool, wait_s: float) -> sqlite3.Connection:
        def connect(options: str) -> sqlite3.Connection:
            # Opened by one thread, used by another: a live run associates beside the pictures.
            return sqlite3.connect(
                f"{self.path.absolute().as_uri()}?{options}",
                uri=True,
                timeout=wait_s,
                isolation_level=None,
                check_same_thread=False,
            )

        with self.guarded():
            # A reader that may write takes -wal and -shm away when it is the last to go; one that may not leaves them.
            if not readonly or (os.access(self.path, os.W_OK) and os.access(self.path.absolute().parent, os.W_OK)):
                return connect("mode=rwc")
            db = connect("mode=ro")
            try:
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.OperationalError as error:
                db.close()
                if "unable to open" not in str(error) and "readonly" not in str(error):
                    raise
                return connect("mode=ro&immutable=1")  # a read-only disk: nobody else writes there either
            except sqlite3.Error:
                db.close()
                raise
            return db

    def _create(self, meta: Mapping[str, str]) -> None:
        self.db.execute("PRAGMA journal_mode = WAL")
        with self.change():
            if self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return  # another process was quicker
            for statement in TABLES.split(";"):
                self.db.execute(statement)
            self.db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            self.db.execute(f"PRAGMA application_id = {MAGIC}")
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    def _check(self) -> None:
        if self.db.execute("PRAGMA application_id").fetchone()[0] != MAGIC:
            raise ConfigError(f"{self.path} is not a store of reidpipe: choose another file")
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise ConfigError(
                f"the store {self.path} is of version {version}, newer than this reidpipe knows ({VERSION}): "
                "update reidpipe"
            )
        if self.path.stat().st_size <= QUICK_CHECK_BYTES:
            found = self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise self.damaged(_line(found))


def _line(text: str) -> str:
    return " ".join(str(text).replace("*", "").split())[:120]
