"""`reidpipe run --store`: who is known keeps the number, and whatever goes wrong with the store costs no results."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from reidpipe.associate.store import Store
from reidpipe.associate.store_care import check
from reidpipe.schemas import load_schema
from reidpipe.synth.clip import tiny_clip
from tests.cli.command import complaint, reidpipe, run_info
from tests.runtime import nets

JPEG = b"\xff\xd8\xff"
PLAIN = {"color_order": "rgb", "scale": "1.0", "mean": "[0, 0, 0]", "std": "[1, 1, 1]"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people for two seconds; its truth stands beside it as detections."""
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip(folder / "cam.mp4", truth=folder / "cam.txt")
    return folder / "cam.mp4"


def command(clip: Path, out: Path, *more: str | Path) -> list[str | Path]:
    replay = f"cam={clip.with_suffix('.txt')}"
    return ["run", clip, "-o", out, "--detections", replay, "--no-save-video", "--threads", "1", "-q", *more]


def run(clip: Path, out: Path, *more: str | Path) -> dict[str, Any]:
    result = reidpipe(*command(clip, out, *more))
    assert result.exit_code == 0, result.output
    return identities(out)


def identities(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "identities.json").read_text())
    jsonschema.Draft202012Validator(load_schema("identities")).validate(record)
    return record


def who(record: dict[str, Any]) -> dict[tuple[str, int], int]:
    return {(t["camera"], t["track_id"]): i["global_id"] for i in record["identities"] for t in i["tracklets"]}


def test_run_store_keeps_ids_names_and_pictures(clip: Path, tmp_path: Path) -> None:
    store, first, second = tmp_path / "site.db", tmp_path / "first", tmp_path / "second"
    before = run(clip, first, "--store", store)
    assert not list(tmp_path.glob("site.db-*"))
    assert run_info(first)["counts"]["identities_known_before"] == 0
    number = before["identities"][0]["global_id"]
    assert reidpipe("store", "rename", store, str(number), "Zoë <b>").exit_code == 0
    after = run(clip, second, "--store", store)
    assert who(after) == who(before)
    counts = run_info(second)["counts"]
    assert counts["identities_known_before"] == counts["identities"] == len(before["identities"])
    assert [i.get("name") for i in after["identities"] if i["global_id"] == number] == ["Zoë <b>"]
    page = (second / "report.html").read_text()
    assert f"Zoë &lt;b&gt; ({number})" in page
    assert "Zoë <b>" not in page
    for one in after["identities"]:
        files = [t["thumbnail"] for t in one["tracklets"]]
        assert len(set(files)) == len(files)
        assert all((second / file).read_bytes().startswith(JPEG) for file in files)
    with Store.open(store) as opened:
        assert [r.note for r in opened.runs()] == ["cam", "cam"]
        assert all(len(opened.pictures(p.global_id)) == p.tracklets for p in opened.people())
        assert list(check(opened)) == []


def test_run_store_without_thumbnails_holds_numbers_only(clip: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.db"
    run(clip, tmp_path / "a", "--store", store, "--no-thumbnails")
    assert JPEG not in store.read_bytes()
    run(clip, tmp_path / "b", "--store", store)  # it was made without pictures, and stays so
    assert JPEG not in store.read_bytes()
    assert list((tmp_path / "b" / "thumbnails").iterdir())
    with Store.open(store) as opened:
        assert not opened.thumbnails
        assert opened.people()


def test_run_json_says_which_nets_it_had(clip: Path, tmp_path: Path, repo_root: Path) -> None:
    run(clip, tmp_path / "a")
    info = run_info(tmp_path / "a")
    jsonschema.Draft202012Validator(load_schema("run")).validate(info)
    assert info["models"]["embed"]["name"] == "osnet_x0_25"
    assert len(info["models"]["embed"]["sha256"]) == 64
    assert "detect" not in info["models"]  # replayed


def test_run_refuses_a_store_of_another_embedder(clip: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.db"
    one = nets.averages(tmp_path / "net.onnx", metadata=PLAIN)
    run(clip, tmp_path / "a", "--store", store, "--embedder", one)
    before = store.read_bytes()
    line = complaint(reidpipe(*command(clip, tmp_path / "b", "--store", store)))
    assert "was made with the embedder" in line
    assert "this run has osnet_x0_25" in line
    assert not (tmp_path / "b").exists()
    # Another net under the same name is another net; the same net under another name is the same.
    moved = shutil.copy(one, tmp_path / "moved.onnx")
    run(clip, tmp_path / "c", "--store", store, "--embedder", moved)
    kept = store.read_bytes()
    nets.averages(one, metadata=PLAIN | {"scale": "0.5"})
    assert "sha256" in complaint(reidpipe(*command(clip, tmp_path / "d", "--store", store, "--embedder", one)))
    assert before != kept == store.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.db", b"no store at all, but long enough to be one. " * 40, "not a store"),
        ("no/folder.db", None, "there is no folder"),
        (".", None, "is a folder"),
    ],
)
def test_run_refuses_what_is_no_store(
    clip: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in complaint(reidpipe(*command(clip, tmp_path / "out", "--store", tmp_path / name)))
    assert content is None or (tmp_path / name).read_bytes() == content
    assert not (tmp_path / "out").exists()


def test_run_refuses_a_store_with_a_vector_that_is_none(clip: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.db"
    run(clip, tmp_path / "a", "--store", store)
    db = sqlite3.connect(store)
    db.execute("UPDATE tracklets SET vector = zeroblob(length(vector)) WHERE id = 1")
    db.commit()
    db.close()
    before = store.read_bytes()
    assert "1 vectors that are no unit vectors" in complaint(reidpipe(*command(clip, tmp_path / "b", "--store", store)))
    assert store.read_bytes() == before
    assert not (tmp_path / "b").exists()


def test_run_forgets_who_is_too_old_before_it_begins(clip: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.db"
    run(clip, tmp_path / "a", "--store", store)
    db = sqlite3.connect(store)
    db.execute("UPDATE tracklets SET kept_s = kept_s - 40 * 86400")
    db.commit()
    db.close()
    result = reidpipe(*[w for w in command(clip, tmp_path / "b", "--store", store, "--retain", "30d") if w != "-q"])
    assert "were too old and are forgotten" in result.stderr
    assert ", 0 of them known before; results in" in result.stderr
    assert run_info(tmp_path / "b")["counts"]["identities_known_before"] == 0
    assert not set(who(identities(tmp_path / "a")).values()) & set(who(identities(tmp_path / "b")).values())
    assert "name it with --store" in complaint(reidpipe(*command(clip, tmp_path / "c", "--retain", "30d")))


def test_run_keeps_its_results_when_the_store_cannot_be_written(clip: Path, tmp_path: Path) -> None:
    store = tmp_path / "site.db"
    run(clip, tmp_path / "a", "--store", store)
    before = store.read_bytes()
    other = sqlite3.connect(store, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    line = complaint(reidpipe(*command(clip, tmp_path / "b", "--store", store, "--set", "store.wait_s=0")))
    other.execute("ROLLBACK")
    other.close()
    assert "is being written by another process: try again later" in line
    info = run_info(tmp_path / "b")
    assert (info["status"], info["error"]) == ("failed", line.removeprefix("reidpipe: "))
    assert who(identities(tmp_path / "b")) == who(identities(tmp_path / "a"))
    assert (tmp_path / "b" / "report.html").is_file()
    assert store.read_bytes() == before


def test_run_store_on_a_full_disk_is_as_it_was(clip: Path, tmp_path: Path, small_disk: Path) -> None:
    store = small_disk / "site.db"
    run(clip, tmp_path / "a", "--store", store)
    with Store.open(store) as opened:
        people = opened.people()
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(512)):
                pass
    line = complaint(reidpipe(*command(clip, tmp_path / "b", "--store", store)))
    assert "disk is full" in line
    ballast.unlink()
    with Store.open(store) as opened:
        assert opened.people() == people
        assert list(check(opened)) == []
    run(clip, tmp_path / "c", "--store", store)


def test_find_in_a_store(clip: Path, tmp_path: Path) -> None:
    store, out = tmp_path / "site.db", tmp_path / "a"
    record = run(clip, out, "--store", store)
    one = record["identities"][0]
    height, width = np.asarray(cv2.imread(str(out / one["thumbnail"]))).shape[:2]
    box = ("--box", f"0,0,{width},{height}", "--threads", "1")
    query = ("find", out / one["thumbnail"], "--store", store, *box)
    result = reidpipe(*query, "--json", "--pictures", tmp_path / "faces", "--sheet", tmp_path / "sheet.png")
    answer = json.loads(result.stdout)
    jsonschema.Draft202012Validator(load_schema("find")).validate(answer)
    best = answer["matches"][0]
    assert best["global_id"] == one["global_id"]
    assert best["sightings"][0]["run"] == 1
    assert Path(best["thumbnail"]).read_bytes().startswith(JPEG)
    assert (tmp_path / "sheet.png").is_file()
    assert "run 1, " in reidpipe(*query).stdout
    assert "not both" in complaint(reidpipe(*query, "--out", out))
    gone = ("find", out / one["thumbnail"], "--store", tmp_path / "gone.db", *box)
    assert "there is no store" in complaint(reidpipe(*gone))
    other = nets.averages(tmp_path / "net.onnx", metadata=PLAIN)
    assert "made with another file" in complaint(reidpipe(*query, "--embedder", other))
    ids = sorted({i["global_id"] for i in record["identities"]})
    assert reidpipe("store", "forget", store, *map(str, ids), "-y").exit_code == 0
    assert "holds nobody" in complaint(reidpipe(*query))


@pytest.mark.slow
def test_live_run_killed_while_it_writes_leaves_a_store_that_goes_on(repo_root: Path, tmp_path: Path) -> None:
    clip, store = repo_root / "samples" / "cam1.mp4", tmp_path / "site.db"
    words = ["run", "--realtime", clip, "--store", store, "--threads", "1", "--no-report", "-q"]
    process = subprocess.Popen([sys.executable, "-m", "reidpipe", *map(str, words), "-o", str(tmp_path / "a")])
    try:
        people: list[int] = []
        for _ in range(600):
            time.sleep(0.2)
            assert process.poll() is None, "the run ended before anybody was written"
            if store.exists() and store.stat().st_size:
                with Store.open(store, readonly=True) as reader:  # while the run writes
                    people = [person.global_id for person in reader.people()]
                if len(people) >= 3:
                    break
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert len(people) >= 3
    with Store.open(store) as opened:
        assert list(check(opened)) == []
        left = [person.global_id for person in opened.people()]
        assert set(people) <= set(left)  # all that was written is there
    result = reidpipe("run", "--realtime", clip, "--store", store, "-o", tmp_path / "b", "--threads", "1", "-q")
    assert result.exit_code == 0, result.output
    counts = run_info(tmp_path / "b")["counts"]
    assert counts["identities_known_before"] >= 2
    with Store.open(store) as opened:
        assert list(check(opened)) == []
        assert any(opened.pictures(person.global_id) for person in opened.people())
