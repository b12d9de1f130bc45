"""`reidpipe store`: what a user does with people that are kept, and one clear line for everything that goes wrong."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from reidpipe.associate.store import Store
from reidpipe.associate.store_types import Picture
from reidpipe.schemas import load_schema
from reidpipe.types import TrackKey, Tracklet
from tests.cli.command import complaint, reidpipe

DIM = 8


def tracklet(camera: str, track: int, axis: int, start: float = 0.0) -> Tracklet:
    return Tracklet(TrackKey(camera, track), np.eye(DIM, dtype=np.float32)[axis], 5, 0.8, start, start + 5.0, True)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Three people in two runs; the first has three tracks, each with a picture."""
    path = tmp_path / "site.db"
    jpeg = bytes(cv2.imencode(".jpg", np.full((40, 20, 3), 90, np.uint8))[1])
    with Store(path, embedder="net", sha256="ab" * 32, dim=DIM) as made:
        known = [(1, tracklet("gate", 1, 0)), (1, tracklet("hall: north", 4, 0, 50.0)), (2, tracklet("gate", 2, 1))]
        pictures = {t.key: Picture(0.5, jpeg) for _, t in known}
        made.write(known, now_s=1e9, note="gate, hall: north", pictures=pictures)
        later = [(1, tracklet("gate", 1, 0, 9.0)), (3, tracklet("gate", 2, 2))]
        made.write(later, now_s=1.5e9, note="gate", pictures={later[0][1].key: Picture(0.5, jpeg)})
    return path


def people(store: Path) -> list[tuple[int, str | None, int]]:
    listed = json.loads(reidpipe("store", "list", store, "--json").stdout)
    jsonschema.Draft202012Validator(load_schema("people")).validate(listed)
    return [(p["global_id"], p["name"], p["tracklets"]) for p in listed["people"]]


def test_store_list_and_show_say_who_was_where(store: Path, tmp_path: Path) -> None:
    text = reidpipe("store", "list", store).stdout
    assert "gate, hall: north" in text
    assert "3 people" in text
    assert "embedder net" in text
    shown = reidpipe("store", "show", store, "1", "--sheet", tmp_path / "one.png").stdout
    assert "run:camera:track" in shown
    assert "1:hall: north:4" in shown
    assert "0:50.0" in shown
    assert np.asarray(cv2.imread(str(tmp_path / "one.png"))).shape[1] > 3 * 170
    assert len(json.loads(reidpipe("store", "show", store, "1", "--json").stdout)["tracklets"]) == 3
    assert "no identity 9" in complaint(reidpipe("store", "show", store, "9"))
    assert "no picture" in complaint(reidpipe("store", "show", store, "3", "--sheet", tmp_path / "three.png"))
    assert not list(store.parent.glob("site.db-*"))  # nothing left beside it


def test_store_rename_merge_split(store: Path) -> None:
    assert reidpipe("store", "rename", store, "2", "  Ada   Lovelace ").exit_code == 0
    assert people(store)[1] == (2, "Ada Lovelace", 1)
    assert reidpipe("store", "merge", store, "1", "2", "3").exit_code == 0
    assert people(store) == [(1, "Ada Lovelace", 5)]
    assert reidpipe("store", "rename", store, "1").exit_code == 0
    done = reidpipe("store", "split", store, "1", "--track", "1:gate:2", "--track", "2:gate:2")
    assert "are identity 4 now" in done.stdout
    assert people(store) == [(1, None, 3), (4, None, 2)]
    assert "no track 9:gate:1" in complaint(reidpipe("store", "split", store, "1", "--track", "9:gate:1"))
    assert "RUN:CAMERA:TRACK" in complaint(reidpipe("store", "split", store, "1", "--track", "gate"))
    tracks = [word for one in ("1:gate:2", "2:gate:2") for word in ("--track", one)]
    assert "leave one" in complaint(reidpipe("store", "split", store, "4", *tracks))
    assert "with itself" in complaint(reidpipe("store", "merge", store, "1", "1"))
    assert "no identity 7" in complaint(reidpipe("store", "merge", store, "1", "4", "7"))
    assert [p[0] for p in people(store)] == [1, 4]  # all or nothing
    log = reidpipe("store", "log", store).stdout
    assert "merge" in log
    assert "split" in log
    assert "Ada" not in log


def test_store_forget_asks_and_leaves_a_line_only(store: Path) -> None:
    reidpipe("store", "rename", store, "1", "Zaphod Unforgettable")
    vector = np.eye(DIM, dtype=np.float32)[0].tobytes()
    assert vector in store.read_bytes()
    assert "add --yes" in complaint(reidpipe("store", "forget", store, "1"))
    assert "no identity 8" in complaint(reidpipe("store", "forget", store, "1", "8", "--yes"))
    assert [p[0] for p in people(store)] == [1, 2, 3]
    assert "identity 1 forgotten: 3 tracklets" in reidpipe("store", "forget", store, "1", "-y").stdout
    assert [p[0] for p in people(store)] == [2, 3]
    for trace in (b"Zaphod", vector, b"hall: north\x04"):
        assert trace not in store.read_bytes()
    line = reidpipe("store", "log", store).stdout.splitlines()[1].split()
    assert line[2:] == ["forget", "1", "3"]


def test_store_retain_goes_by_age(store: Path) -> None:
    assert "0 people and 0 tracklets" in reidpipe("store", "retain", store, "36500d").stdout
    weeks = (time.time() - 1.25e9) / (7 * 86400)
    assert "1 people and 3 tracklets" in reidpipe("store", "retain", store, f"{weeks:.1f}w").stdout
    assert people(store) == [(1, None, 1), (3, None, 1)]
    assert "2 people and 2 tracklets" in reidpipe("store", "retain", store, "12h").stdout
    assert people(store) == []
    assert "30d, 12h, 2w" in complaint(reidpipe("store", "retain", store, "soon"))
    assert "30d, 12h, 2w" in complaint(reidpipe("store", "retain", store, "0d"))


def test_store_strip_takes_the_pictures_and_takes_no_more(store: Path) -> None:
    assert b"\xff\xd8\xff" in store.read_bytes()
    assert "4 pictures deleted" in reidpipe("store", "strip", store, "--yes").stdout
    assert b"\xff\xd8\xff" not in store.read_bytes()
    with Store(store, embedder="net", sha256="ab" * 32, dim=DIM, thumbnails=True) as opened:
        key = TrackKey("gate", 7)
        opened.write([(2, tracklet("gate", 7, 1))], now_s=2e9, pictures={key: Picture(0.9, b"\xff\xd8\xff")})
        assert opened.picture(2) is None


def test_store_moves_as_text(store: Path, tmp_path: Path) -> None:
    text, other = tmp_path / "people.json", tmp_path / "other.db"
    reidpipe("store", "rename", store, "3", "Ada")
    assert "3 people" in reidpipe("store", "export", store, text).stdout
    assert reidpipe("store", "import", other, text).exit_code == 0
    assert people(other) == people(store)
    with Store.open(store) as one, Store.open(other) as copy:
        assert copy.picture(1) == one.picture(1)
        assert [k.kept_s for k in copy.kept()] == [k.kept_s for k in one.kept()]  # retention goes on as before
    assert "1 -> 4" in reidpipe("store", "import", other, text).stdout
    assert len(people(other)) == 6
    bare = tmp_path / "bare.json"
    assert reidpipe("store", "export", store, bare, "--no-thumbnails").exit_code == 0
    assert "jpeg" not in bare.read_text()
    broken = json.loads(text.read_text())
    broken["tracklets"][0]["vector"] = [1, 2]
    bare.write_text(json.dumps(broken))
    before = people(other)
    assert "no export" in complaint(reidpipe("store", "import", other, bare))
    bare.write_text(text.read_text().replace("ab" * 32, "cd" * 32))
    assert "cannot be compared" in complaint(reidpipe("store", "import", other, bare))
    assert people(other) == before


def test_store_check_finds_damage(store: Path, tmp_path: Path) -> None:
    assert "is whole: 3 people, 5 tracklets of 2 runs" in reidpipe("store", "check", store).stdout
    db = sqlite3.connect(store)
    db.execute("UPDATE tracklets SET vector = zeroblob(32) WHERE id = 2")
    db.commit()
    db.close()
    result = reidpipe("store", "check", store)
    assert "1 vectors" in result.stdout
    assert "is damaged: one problem" in complaint(result)
    content = bytearray(store.read_bytes())
    content[4096:8192] = bytes(range(256)) * 16
    (tmp_path / "cut.db").write_bytes(bytes(content))
    for command in (("list",), ("check",), ("show", "1")):
        result = reidpipe("store", command[0], tmp_path / "cut.db", *command[1:])
        assert "damaged or not a store" in complaint(result)


@pytest.mark.parametrize(
    "command", [("list",), ("check",), ("forget", "1", "--yes"), ("export", "x.json"), ("retain", "1d")]
)
def test_store_commands_need_a_store(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "there is no store" in complaint(reidpipe("store", command[0], tmp_path / "gone.db", *command[1:]))
    assert not (tmp_path / "gone.db").exists()
    (tmp_path / "text.db").write_text("a text, and no store at all " * 40)
    assert "not a store" in complaint(reidpipe("store", command[0], tmp_path / "text.db", *command[1:]))
    assert "is a folder" in complaint(reidpipe("store", command[0], tmp_path, *command[1:]))


def test_store_of_a_later_version_is_left_alone(store: Path) -> None:
    db = sqlite3.connect(store)
    db.execute("PRAGMA user_version = 7")
    db.close()
    before = store.read_bytes()
    assert "of version 7, newer than this reidpipe knows" in complaint(reidpipe("store", "list", store))
    assert store.read_bytes() == before


def test_store_is_read_where_nothing_can_be_written(store: Path) -> None:
    store.chmod(0o444)
    assert "3 people" in reidpipe("store", "list", store).stdout
