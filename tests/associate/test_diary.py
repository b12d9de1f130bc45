"""A live run and its store: what others do to the store meanwhile, and a store that cannot be written for a while."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np

from reidpipe.associate.diary import Album
from reidpipe.associate.online import OnlineAssociator
from reidpipe.associate.store import Store
from reidpipe.associate.store_care import forget
from reidpipe.types import Link, TrackKey, Tracklet

DIM = 16


def opened(path: Path, *, wait_s: float = 5.0) -> Store:
    return Store(path, embedder="net", dim=DIM, wait_s=wait_s)


def seen(camera: str, track: int, axis: int, start: float, *, closed: bool = True) -> Tracklet:
    vector = np.eye(DIM, dtype=np.float32)[axis]
    return Tracklet(TrackKey(camera, track), vector, 5, 0.8, start, start + 5.0, closed)


def online(store: Store, **options: object) -> OnlineAssociator:
    # Camera means are no matter here: with so few people they would be most of the looks.
    return OnlineAssociator(store=store, window_s=0.0, review_s=0.0, threshold=0.5, **options)  # type: ignore[arg-type]


def ids(links: list[Link]) -> dict[TrackKey, int]:
    return {link.key: link.global_id for link in links}


def kept(store: Store) -> dict[tuple[str, int], int]:
    return {(k.tracklet.key.camera, k.tracklet.key.track_id): k.global_id for k in store.kept()}


def test_diary_writes_a_track_when_it_is_decided_and_when_it_changes(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db") as store:
        album = Album()
        live = online(store, album=album, note="gate")
        live.update([seen("gate", 1, 0, 0.0, closed=False)], 5.0)
        assert kept(store) == {("gate", 1): 1}  # not closed yet, and there already
        album.offer(TrackKey("gate", 1), 0.5, b"small")
        live.update([], 6.0)
        assert store.picture(1) == b"small"
        album.offer(TrackKey("gate", 1), 0.4, b"worse")
        live.update([seen("gate", 1, 0, 0.0)], 7.0)
        assert store.picture(1) == b"small"
        live.close()
        (run,) = store.runs()
        assert (run.note, run.live) == ("gate", True)
        assert store.next_id() == 2  # what was taken and not given went back


def test_diary_knows_people_that_another_run_finds_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db") as one, opened(tmp_path / "s.db") as two:
        gate, hall = online(one), online(two)
        found = ids(gate.update([seen("gate", i, i, 0.0) for i in range(4)], 6.0))
        again = ids(hall.update([seen("hall", i, i, 10.0) for i in range(4)], 16.0))
        assert [again[TrackKey("hall", i)] for i in range(4)] == [found[TrackKey("gate", i)] for i in range(4)]
        fresh = {*ids(gate.update([seen("gate", 8, 8, 20.0)], 26.0)).values()}
        fresh |= {*ids(hall.update([seen("hall", 9, 9, 20.0)], 26.0)).values()}
        assert len(fresh) == 2  # two runs never give one number to two people
        assert not fresh & {*found.values()}


def test_diary_follows_merges_and_splits(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as store, Store.open(path) as user:
        live = online(store)
        first = ids(live.update([seen("gate", i, i, 0.0) for i in range(4)], 6.0))
        a, b = first[TrackKey("gate", 0)], first[TrackKey("gate", 1)]
        user.merge(a, b, now_s=1.0)
        links = live.update([], 7.0)
        assert [(x.key, x.global_id, x.previous) for x in links] == [(TrackKey("gate", 1), a, b)]
        assert ids(live.update([seen("hall", 1, 1, 10.0)], 16.0)) == {TrackKey("hall", 1): a}
        run = store.runs()[0].number
        new = user.split([(run, TrackKey("gate", 1)), (run, TrackKey("hall", 1))], now_s=2.0)
        links = live.update([], 17.0)
        assert {(x.key, x.global_id, x.previous) for x in links} == {
            (TrackKey("gate", 1), new, a),
            (TrackKey("hall", 1), new, a),
        }
        assert ids(live.update([seen("yard", 1, 1, 30.0)], 36.0)) == {TrackKey("yard", 1): new}
        assert kept(user)["yard", 1] == new


def test_diary_forgets_who_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as store, Store.open(path) as user:
        live = online(store)
        first = ids(live.update([seen("gate", i, i, 0.0, closed=i > 0) for i in range(4)], 6.0))
        gone = first[TrackKey("gate", 0)]
        forget(user, [gone], now_s=1.0)
        live.update([seen("gate", 0, 0, 0.0)], 7.0)  # the track goes on and ends: it is not written again
        assert gone not in [person.global_id for person in user.people()]
        back = ids(live.update([seen("hall", 0, 0, 20.0)], 26.0))[TrackKey("hall", 0)]
        assert back not in first.values()
        live.close()
        assert [k for k, g in kept(user).items() if g == gone] == []
        vector = np.eye(DIM, dtype=np.float32)[0].tobytes()
        forget(user, [back], now_s=2.0)
        assert vector not in path.read_bytes()


def test_diary_writes_nothing_more_of_a_track_that_began_before_it_was_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as store:
        live = online(store)
        first = ids(live.update([seen("gate", i, i, 0.0, closed=i > 0) for i in range(4)], 6.0))
        gone = first[TrackKey("gate", 0)]
        forget(store, [gone], now_s=1.0)
        live.forget(gone)  # as the status page does: by the run itself
        anew = ids(live.update([seen("gate", 0, 0, 0.0, closed=False)], 12.0))
        anew |= ids(live.update([seen("gate", 0, 0, 0.0)], 13.0))
        assert anew[TrackKey("gate", 0)] not in first.values()  # still followed, under another number
        live.close()
        assert ("gate", 0) not in kept(store)
        assert np.eye(DIM, dtype=np.float32)[0].tobytes() not in path.read_bytes()


def test_diary_waits_for_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path, wait_s=0.0) as store:
        album = Album()
        live = online(store, album=album)
        live.update([seen("gate", 0, 0, 0.0)], 6.0)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        links = live.update([seen("gate", i, i, 10.0) for i in (1, 2)], 16.0)
        assert len(links) == 2  # people are told apart all the same
        assert album.trouble is not None
        assert "being written by another process" in album.trouble
        assert len(kept(store)) == 1
        other.execute("ROLLBACK")
        other.close()
        live.update([], 17.0)
        assert not album.trouble
        assert len(kept(store)) == 3


def test_diary_deletes_who_is_too_old_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as store:
        store.write([(1, seen("gate", 1, 0, 0.0)), (2, seen("gate", 2, 1, 0.0))], now_s=time.time() - 10 * 86400)
        live = online(store, retain_days=3.0)
        assert ids(live.update([seen("hall", 1, 0, 10.0)], 16.0)) == {TrackKey("hall", 1): 1}
        diary = live._diary
        assert diary is not None
        diary._expired_at -= 3601.0
        live.update([], 17.0)
        assert [(p.global_id, p.tracklets) for p in store.people()] == [(1, 1)]
        assert ids(live.update([seen("hall", 2, 1, 20.0)], 26.0))[TrackKey("hall", 2)] == 3


def test_album_is_bounded_and_gives_each_picture_once() -> None:
    album = Album(limit=2)
    keys = [TrackKey("a", i) for i in range(3)]
    for key in keys:
        album.offer(key, 0.1, b"x")
    assert album.waiting() == keys[1:]
    pictures = album.of(keys)
    album.offer(keys[1], 0.2, b"newer")
    album.written(pictures)
    assert album.waiting() == [keys[1]]
    album.drop(keys)
    assert album.waiting() == []
