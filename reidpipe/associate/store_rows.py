"""Rows of a store's tables: what is done inside a transaction, and what is made of what was read."""

from __future__ import annotations

import sqlite3

import numpy as np

from reidpipe.associate.store_types import Act, Picture
from reidpipe.types import Tracklet, Vectors

__all__ = ["best_rows", "next_number", "note_act", "put_picture", "reserve", "thinned", "unit_rows16", "who_now"]

PROTOTYPES = 4
"""Crops kept of a tracklet beside its vector, spread over its life, as float16."""


def note_act(db: sqlite3.Connection, act: Act) -> None:
    """Write a line of the audit, inside a transaction."""
    sql = "INSERT INTO audit(at_s, action, person, other, tracklets) VALUES (?, ?, ?, ?, ?)"
    db.execute(sql, (act.at_s, act.action, act.person, act.other, act.tracklets))


def who_now(db: sqlite3.Connection, global_id: int) -> int | None:
    """Who an identity is after what was done to it; None: forgotten."""
    ends = "('forget', 'expire', 'merge')"
    sql = f"SELECT action, other FROM audit WHERE person = ? AND action IN {ends} ORDER BY id DESC"
    for _ in range(1000):
        row = db.execute(sql, (global_id,)).fetchone()
        if row is None:
            return global_id
        if row[0] != "merge":
            return None
        global_id = int(row[1])
    return global_id


def best_rows(where: str) -> str:
    """Rows of the best tracklets of each person: first the best of every camera, then the second best, and so on."""
    place = "row_number() OVER (PARTITION BY person, camera ORDER BY quality DESC, id DESC) AS place"
    rank = "row_number() OVER (PARTITION BY person ORDER BY place, quality DESC, id DESC) AS rank"
    inner = f"SELECT id, person, quality, {place} FROM tracklets {where}"
    return f"SELECT id FROM (SELECT id, {rank} FROM ({inner})) WHERE rank <= ?"


def put_picture(db: sqlite3.Connection, row: int, picture: Picture) -> None:
    """Keep a picture of a tracklet, unless there is a better one."""
    db.execute(
        """INSERT INTO pictures(tracklet, score, jpeg) VALUES (?1, ?2, ?3)
           ON CONFLICT(tracklet) DO UPDATE SET score = ?2, jpeg = ?3 WHERE ?2 >= score""",
        (row, picture.score, picture.jpeg),
    )


def next_number(db: sqlite3.Connection) -> int:
    """A number that no identity ever had."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'next_id'").fetchone()[0])


def reserve(db: sqlite3.Connection, next_id: int) -> None:
    """Numbers below are not given any more."""
    sql = "UPDATE meta SET value = max(CAST(value AS INTEGER), ?) WHERE key = 'next_id'"
    db.execute(sql, (next_id,))


def thinned(tracklet: Tracklet) -> bytes | None:
    """A few prototypes, first and last among them."""
    rows = tracklet.prototypes
    if rows is None or not len(rows):
        return None
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(PROTOTYPES, len(rows))).round().astype(int))
    return bytes(rows[chosen].astype(np.float16).tobytes())


def unit_rows16(blob: bytes, dim: int) -> Vectors:
    """What ``thinned`` made, as float32 ``(K, dim)`` unit rows."""
    wide = np.frombuffer(blob, np.float16).reshape(-1, dim).astype(np.float32)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)
