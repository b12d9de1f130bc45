"""Looking after a store: forgetting for good, retention by age, and whether the file is whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from reidpipe.associate.store import Store
from reidpipe.associate.store_rows import note_act
from reidpipe.associate.store_types import Act

__all__ = ["DAY_S", "check", "compact", "expire", "forget", "strip"]

log = logging.getLogger(__name__)

DAY_S = 86400.0


def forget(store: Store, people: Sequence[int], *, now_s: float) -> int:
    """Delete people for good: rows are overwritten, the file is rebuilt. Their numbers are not given again.

    A line of the audit and of the log says that it was done, to which number, and nothing else.

    Args:
        store: where.
        people: global ids.
        now_s: seconds since 1970.

    Returns:
        How many tracklets were deleted.

    Raises:
        ConfigError: there is no such identity; then nobody is forgotten.
        SinkError: the store cannot be written; or somebody reads it, so that traces could stay beside it.
    """
    store.require(people)
    count = _delete(store, sorted(set(people)), "forget", now_s)
    store.file.rebuild()
    return count


def expire(store: Store, *, days: float, now_s: float) -> tuple[int, int]:
    """Delete for good every tracklet that was written more than ``days`` ago, and whoever has none left.

    Args:
        store: where.
        days: how long to keep.
        now_s: seconds since 1970.

    Returns:
        How many people and how many tracklets.

    Raises:
        SinkError: see ``forget``.
    """
    before_s = now_s - DAY_S * days
    sql = "SELECT id FROM people p WHERE NOT EXISTS (SELECT 1 FROM tracklets WHERE person = p.id AND kept_s >= ?)"
    gone = [row[0] for row in store.file.all(sql, (before_s,))]
    count = _delete(store, gone, "expire", now_s)
    with store.file.change() as db:
        trimmed = db.execute("DELETE FROM tracklets WHERE kept_s < ?", (before_s,)).rowcount
        if trimmed:
            note_act(db, Act(now_s, "trim", 0, None, trimmed))
    if gone or trimmed:
        store.file.rebuild()
    return len(gone), count + trimmed


def strip(store: Store, *, now_s: float) -> int:
    """Delete all pictures for good, and take none from now on; returns how many there were."""
    with store.file.change() as db:
        count = db.execute("DELETE FROM pictures").rowcount
        db.execute("UPDATE meta SET value = '0' WHERE key = 'thumbnails'")
        note_act(db, Act(now_s, "strip", 0, None, count))
    store.thumbnails = False
    store.file.rebuild()
    return count


def compact(store: Store) -> None:
    """Write the file anew: smaller, and without traces of what was deleted."""
    store.file.rebuild()


def check(store: Store) -> Iterator[str]:
    """What is wrong with a store, one line each; nothing when it is whole."""
    for (found,) in store.file.all("PRAGMA integrity_check"):
        if found != "ok":
            yield " ".join(str(found).split())
    for table, row, parent, _ in store.file.all("PRAGMA foreign_key_check"):
        yield f"{table} row {row} belongs to a row of {parent} that is not there"
    (alone,) = store.file.all("SELECT count(*) FROM people WHERE id NOT IN (SELECT person FROM tracklets)")[0]
    if alone:
        yield f"{alone} people without a tracklet"
    (highest,) = store.file.all("SELECT coalesce(max(id), 0) FROM people")[0]
    if store.next_id() <= highest:
        yield f"the next number is {store.next_id()}, but there is an identity {highest}"
    bad = 0
    for vector, prototypes in store.file.all("SELECT vector, prototypes FROM tracklets"):
        bad += not _is_unit(vector, store.dim)
        bad += prototypes is not None and not _are_units(prototypes, store.dim)
    if bad:
        yield f"{bad} vectors that are no unit vectors of {store.dim} numbers"


def _is_unit(blob: bytes, dim: int) -> bool:
    if len(blob) != 4 * dim:
        return False
    with np.errstate(all="ignore"):
        return bool(abs(float(np.linalg.norm(np.frombuffer(blob, np.float32))) - 1.0) < 1e-3)


def _are_units(blob: bytes, dim: int) -> bool:
    if not blob or len(blob) % (2 * dim):
        return False
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(np.frombuffer(blob, np.float16).reshape(-1, dim).astype(np.float32), axis=1)
        return bool((np.abs(lengths - 1.0) < 0.01).all())


def _delete(store: Store, people: Sequence[int], action: str, now_s: float) -> int:
    total = 0
    with store.file.change() as db:
        for global_id in people:
            count = db.execute("DELETE FROM tracklets WHERE person = ?", (global_id,)).rowcount
            db.execute("DELETE FROM people WHERE id = ?", (global_id,))
            note_act(db, Act(now_s, action, global_id, None, count))
            total += count
    for global_id in people:
        log.info("%s: %s identity %d", store.path.name, action, global_id)
    return total
