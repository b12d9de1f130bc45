"""What a store brings into a new run: who may be meant, which numbers are free, which group is whom."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path

import numpy as np

from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.remember import MOST_PEOPLE, Numbers, name_groups, recall
from reidpipe.associate.store import Store
from reidpipe.types import TrackKey, Tracklet, Vectors
from tests.associate.test_offline import world


def tracklet(camera: str, track: int, vector: Vectors, start: float = 0.0) -> Tracklet:
    return Tracklet(TrackKey(camera, track), vector, 5, 0.8, start, start + 5.0, True)


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)


def test_recall_of_a_large_store_brings_who_may_be_meant(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    people = unit(rng.normal(size=(3 * MOST_PEOPLE, 32)).astype(np.float32))
    with Store(tmp_path / "s.db", embedder="net", dim=32) as store:
        store.write([(i + 1, tracklet("a", i, people[i])) for i in range(len(people))], now_s=1.0)
        like = [tracklet("b", i, unit(people[i] + 0.1 * rng.normal(size=32).astype(np.float32))) for i in (5, 900)]
        found = {global_id for global_id, _ in recall(store, like)}
        assert {6, 901} <= found
        assert len(found) <= MOST_PEOPLE
        assert len({global_id for global_id, _ in recall(store)}) == len(people)


def test_recall_takes_every_camera_before_a_second_track_of_one(tmp_path: Path) -> None:
    eye = np.eye(8, dtype=np.float32)
    with Store(tmp_path / "s.db", embedder="net", dim=8) as store:
        many = [(1, tracklet("a", i, eye[0], 10.0 * i)) for i in range(9)]
        store.write([*many, (1, tracklet("b", 1, eye[1])), (1, tracklet("c", 1, eye[2]))], now_s=1.0)
        cameras = [t.key.camera for _, t in recall(store)]
        assert sorted(cameras) == ["a", "a", "b", "c"]
        times = sorted((t.first_s, t.last_s) for _, t in recall(store))
        assert all(before[1] < after[0] for before, after in pairwise(times))
        assert times[-1][1] < 0


def test_name_groups_gives_a_known_identity_to_all_its_parts_unless_they_were_seen_together() -> None:
    eye = np.eye(8, dtype=np.float32)
    old = [tracklet("a", -1, eye[0], -1e6), tracklet("a", -2, eye[0], -2e6)]
    new = [tracklet("a", 1, eye[0], 0.0), tracklet("a", 2, eye[0], 50.0), tracklet("a", 3, eye[1], 90.0)]
    labels = np.array([0, 1, 0, 1, 2])
    known = [7, 7, None, None, None]
    assert name_groups(labels, known, [*old, *new], [1.0, 0.5, 1, 1, 1]) == [7, 7, None]
    new[1] = tracklet("a", 2, eye[0], 2.0)
    assert name_groups(labels, known, [*old, *new], [1.0, 0.5, 1, 1, 1]) == [7, None, None]
    assert name_groups(labels, known, [*old, *new], [0.5, 1.0, 1, 1, 1]) == [None, 7, None]


def test_numbers_are_shared_by_two_runs_and_go_back_when_not_given(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", embedder="net", dim=8) as one, Store(tmp_path / "s.db", embedder="net", dim=8) as two:
        a, b = Numbers(one, block=4), Numbers(two, block=4)
        assert [a.take(), b.take(), a.take(), b.take()] == [1, 5, 2, 6]
        b.close()
        assert b.take(3) == 7
        a.close()
        b.close()
        assert Numbers(one).take() == 10  # 3 and 4 were between others: lost
    assert [Numbers().take(3), Numbers().take()] == [1, 1]


def test_numbers_go_on_when_the_store_is_locked(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db", embedder="net", dim=8, wait_s=0.0) as store:
        numbers = Numbers(store, block=2)
        assert numbers.take() == 1
        other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert [numbers.take(), numbers.take(), numbers.take()] == [2, 3, 4]
        other.execute("ROLLBACK")
        other.close()
        store.write([(4, tracklet("a", 1, np.eye(8, dtype=np.float32)[0]))], now_s=1.0)
        assert store.next_id() == 5


def test_offline_never_joins_people_that_the_store_tells_apart(tmp_path: Path) -> None:
    truth = world(6, 2, visits=2)
    half = len(truth) // 2
    with Store(tmp_path / "s.db", embedder="net", dim=64) as store:
        # A user said so: every track of the first half is somebody else, whatever they look like.
        store.write([(i + 1, t) for i, (_, t) in enumerate(truth[:half])], now_s=1.0)
        offline = OfflineAssociator(store=store)
        offline.update([t for _, t in truth[half:]], 0.0)
        links = offline.close()
        assert {k.global_id for k in store.kept() if k.run == 1} == set(range(1, half + 1))
        assert all(link.global_id <= half for link in links)
        by_id = {
            link.global_id: {p for p, t in truth[:half] if t.key == truth[link.global_id - 1][1].key} for link in links
        }
        who = {t.key: p for p, t in truth[half:]}
        assert all(by_id[link.global_id] == {who[link.key]} for link in links)
