from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.online import OnlineAssociator
from reidpipe.associate.store import Store
from reidpipe.associate.store_care import DAY_S, compact, expire, forget
from reidpipe.associate.store_text import export_store, import_store
from reidpipe.associate.store_types import Act, Picture
from reidpipe.errors import ConfigError, SinkError
from reidpipe.types import TrackKey, Tracklet
from tests.associate.test_offline import world


def opened(path: Path, *, embedder: str = "net", dim: int = 8, wait_s: float = 5.0) -> Store:
    return Store(path, embedder=embedder, dim=dim, wait_s=wait_s)


def tracklet(camera: str, track: int, axis: int, start: float = 0.0, dim: int = 8) -> Tracklet:
    return Tracklet(TrackKey(camera, track), np.eye(dim, dtype=np.float32)[axis], 5, 0.8, start, start + 5.0, True)


def filled(path: Path) -> Store:
    store = opened(path)
    store.write([(1, tracklet("a", 1, 0)), (1, tracklet("b", 1, 0, 50.0)), (2, tracklet("a", 2, 1))], now_s=100.0)
    store.write([(2, tracklet("a", 1, 1)), (3, tracklet("a", 2, 2, 9.0))], now_s=200.0)
    return store


def test_store_keeps_people_across_openings(tmp_path: Path) -> None:
    filled(tmp_path / "s.db").close()
    with opened(tmp_path / "s.db") as store:
        people = store.people()
        assert [(p.global_id, p.tracklets, p.cameras, p.seen_s) for p in people] == [
            (1, 2, ("a", "b"), 100.0),
            (2, 2, ("a",), 200.0),
            (3, 1, ("a",), 200.0),
        ]
        kept = store.kept()
        assert next((k.run, k.global_id, k.tracklet.key) for k in kept) == (1, 1, TrackKey("a", 1))
        assert np.array_equal(kept[0].tracklet.vector, np.eye(8, dtype=np.float32)[0])
        assert store.next_id() == 4
        assert len(store.kept(each=1)) == 3


def test_store_merges_splits_and_renames(tmp_path: Path) -> None:
    with filled(tmp_path / "s.db") as store:
        store.rename(2, "Ada")
        store.merge(1, 2, now_s=250.0)
        assert [(p.global_id, p.name, p.tracklets) for p in store.people()] == [(1, "Ada", 4), (3, None, 1)]
        new = store.split([(2, TrackKey("a", 1))], now_s=300.0)
        assert new == 4
        assert [(p.global_id, p.tracklets) for p in store.people()] == [(1, 3), (3, 1), (4, 1)]
        with pytest.raises(ConfigError, match="no track 9"):
            store.split([(2, TrackKey("a", 9))], now_s=300.0)
        assert [p.global_id for p in store.people()] == [1, 3, 4]
        with pytest.raises(ConfigError, match="no identity 77"):
            store.merge(1, 77, now_s=300.0)
        with pytest.raises(ConfigError, match="no identity 77"):
            store.rename(77, "x")
        with pytest.raises(ConfigError, match="no identity 77"):
            forget(store, [77], now_s=300.0)


def test_store_forgets_for_good_and_never_gives_a_number_twice(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    secret = np.random.default_rng(5).normal(size=8)
    vector = (secret / np.linalg.norm(secret)).astype(np.float32)
    with filled(path) as store:
        key = TrackKey("z", 1)
        seen = Tracklet(key, vector, 1, 0.5, 0.0, 1.0, True, vector[None])
        store.write([(4, seen)], now_s=1.0, pictures={key: Picture(0.5, b"picture-of-somebody")})
        store.rename(4, "Zaphod Unforgettable")
        assert store.picture(4) == b"picture-of-somebody"
        half = vector.astype(np.float16).tobytes()
        held = b"".join(p.read_bytes() for p in tmp_path.iterdir())
        assert all(x in held for x in (vector.tobytes(), half, b"picture-of-somebody", b"Zaphod Unforgettable"))
        assert forget(store, [4], now_s=2.0) == 1
        assert all(x not in b"".join(p.read_bytes() for p in tmp_path.iterdir()) for x in (vector.tobytes(), half))
        assert [act for _, act in store.audit()] == [Act(2.0, "forget", 4, None, 1)]
        assert store.next_id() == 5
    on_disk = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    for trace in (vector.tobytes(), half, b"picture-of-somebody", b"Zaphod Unforgettable"):
        assert trace not in on_disk


def test_store_says_when_traces_may_stay_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with filled(path) as store, opened(path, wait_s=0.1) as other:
        vector = np.eye(8, dtype=np.float32)[2].tobytes()
        with store.file.snapshot():
            assert len(store.people()) == 3
            with pytest.raises(SinkError, match="another process is reading it"):
                forget(other, [3], now_s=1.0)
            assert len(store.people()) == 3  # as it was when the reading began
        assert len(store.people()) == 2
        compact(other)
        assert vector not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_store_expires_by_age(tmp_path: Path) -> None:
    with filled(tmp_path / "s.db") as store:
        assert expire(store, days=150.0 / DAY_S, now_s=300.0) == (1, 3)
        assert [(p.global_id, p.tracklets) for p in store.people()] == [(2, 1), (3, 1)]
        assert expire(store, days=150.0 / DAY_S, now_s=300.0) == (0, 0)
        assert [act for _, act in store.audit()] == [Act(300.0, "expire", 1, None, 2), Act(300.0, "trim", 0, None, 1)]


def test_store_refuses_another_embedder_a_newer_version_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    filled(path).close()
    with pytest.raises(ConfigError, match="made with the embedder net"):
        opened(path, embedder="other")
    with pytest.raises(ConfigError, match=r"8 numbers"):
        opened(path, dim=16)
    whole = path.read_bytes()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="version 99"):
        opened(path)
    path.write_bytes(b"this is not a database, it is a long enough text to look at. " * 50)
    with pytest.raises(ConfigError, match="damaged or not a store"):
        opened(path)
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(ConfigError, match="not a store"):
        opened(other)
    path.write_bytes(whole)
    with opened(path) as store:
        assert len(store.people()) == 3
    with pytest.raises(SinkError, match="there is no folder"):
        opened(tmp_path / "no" / "folder.db")


def test_store_is_read_while_another_writes_and_says_so_when_two_write(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with filled(path) as store, opened(path, wait_s=0.1) as other:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE people SET name = 'half way' WHERE id = 1")
        assert other.people()[0].name is None
        with pytest.raises(SinkError, match="another process"):
            other.rename(1, "x")
        db.execute("ROLLBACK")
        db.close()
        assert store.people()[0].name is None


def test_store_survives_a_full_disk(tmp_path: Path) -> None:
    with filled(tmp_path / "s.db") as store:
        pages = store.file.db.execute("PRAGMA page_count").fetchone()[0]
        store.file.db.execute(f"PRAGMA max_page_count = {pages + 2}")
        many = [(i, tracklet("c", i, 0)) for i in range(10, 2000)]
        with pytest.raises(SinkError, match="disk is full"):
            store.write(many, now_s=1.0)
        assert [p.global_id for p in store.people()] == [1, 2, 3]
        store.rename(1, "still works")


def test_store_survives_kill_9_while_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    filled(path).close()
    script = (
        "import sys; from pathlib import Path; from tests.associate.test_store import opened, tracklet\n"
        "store = opened(Path(sys.argv[1]))\n"
        "for i in range(100000):\n"
        "    store.write([(10 + i, tracklet('k', j, 0)) for j in range(50)], now_s=float(i))\n"
        "    print(i, flush=True)\n"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = -1
    for line in process.stdout:
        written = int(line)
        if written >= 20:
            break
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    written = int(rest[-1]) if rest else written
    with opened(path) as store:
        assert store.file.db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        counts = [p.tracklets for p in store.people() if p.global_id >= 10]
        assert len(counts) in (written + 1, written + 2)  # what was told is there; one more may be
        assert set(counts) == {50}


def test_store_moves_a_track_and_drops_who_is_left_with_none(tmp_path: Path) -> None:
    with filled(tmp_path / "s.db") as store:
        run = store.write([(7, tracklet("q", 1, 0))], now_s=1.0)
        assert store.write([(2, tracklet("q", 1, 0))], now_s=2.0, run=run) == run
        assert [(p.global_id, p.tracklets) for p in store.people()] == [(1, 2), (2, 3), (3, 1)]


def test_store_text_round_trip(tmp_path: Path) -> None:
    with filled(tmp_path / "s.db") as store, opened(tmp_path / "t.db") as other:
        store.rename(2, "Ada")
        export_store(store, tmp_path / "s.json")
        assert import_store(other, tmp_path / "s.json") == {1: 1, 2: 2, 3: 3}
        assert [(p.name, p.tracklets, p.cameras) for p in other.people()] == [
            (p.name, p.tracklets, p.cameras) for p in store.people()
        ]
        assert import_store(other, tmp_path / "s.json") == {1: 4, 2: 5, 3: 6}
        assert [p.global_id for p in other.people()] == [1, 2, 3, 4, 5, 6]
        (tmp_path / "s.json").write_text("{}")
        with pytest.raises(ConfigError, match="no export"):
            import_store(other, tmp_path / "s.json")
    with Store(tmp_path / "u.db", embedder="net", dim=4) as wrong:
        export_store(wrong, tmp_path / "u.json")
    with opened(tmp_path / "t.db") as other, pytest.raises(ConfigError, match="cannot be compared"):
        import_store(other, tmp_path / "u.json")


def test_offline_continues_the_ids_of_an_earlier_run(tmp_path: Path) -> None:
    truth = world(6, 2, visits=2)
    half = len(truth) // 2
    found: list[dict[int, set[int]]] = []
    for part in (truth[:half], truth[half:]):
        with Store(tmp_path / "s.db", embedder="net", dim=64) as store:
            offline = OfflineAssociator(store=store)
            offline.update([t for _, t in part], 0.0)
            ids = {link.key: link.global_id for link in offline.close()}
            assert set(ids) == {t.key for _, t in part}
        by_person: dict[int, set[int]] = {}
        for person, t in part:
            by_person.setdefault(person, set()).add(ids[t.key])
        found.append(by_person)
    assert found[0] == found[1]
    assert offline.report["identities_known_before"] == 6
    with Store(tmp_path / "s.db", embedder="net", dim=64) as store:
        assert [p.tracklets for p in store.people()] == [4] * 6


def test_online_keeps_people_in_a_store_and_knows_them_again(tmp_path: Path) -> None:
    truth = world(6, 2, visits=2, noise=0.3)
    half = len(truth) // 2
    last: dict[TrackKey, int] = {}
    for part in (truth[:half], truth[half:]):
        with Store(tmp_path / "s.db", embedder="net", dim=64) as store:
            online = OnlineAssociator(store=store)
            for _, t in sorted(part, key=lambda item: item[1].last_s):
                last |= {link.key: link.global_id for link in online.update([t], t.last_s)}
            last |= {link.key: link.global_id for link in online.close()}
            kept = {k.tracklet.key: k.global_id for k in store.kept() if k.tracklet.key in {t.key for _, t in part}}
            assert kept == {t.key: last[t.key] for _, t in part}
    by_person: dict[int, set[int]] = {}
    for person, t in truth:
        by_person.setdefault(person, set()).add(last[t.key])
    assert all(len(ids) == 1 for ids in by_person.values())
    assert len(set.union(*by_person.values())) == 6
