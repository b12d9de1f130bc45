"""The report as a file: what is in it, what it never loads, and what it says about folders it cannot use."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from reidpipe.errors import ConfigError, ReidpipeError
from reidpipe.report import build_report
from tests.cli.command import complaint, reidpipe
from tests.report.runs import looks, write_run

STAYS = [(1, "gate", 0.0, 8.0), (2, "gate", 1.0, 9.0), (1, "lobby", 20.0, 30.0), (3, "lobby", 25.0, 50.0)]
EVIL = '<script>alert("x")</script>'


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "out", STAYS)


def data(page: str) -> dict[str, Any]:
    """What the page gives its script."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    record: dict[str, Any] = json.loads(found[1])
    return record


def test_page_holds_people_cameras_and_stays(run: Path) -> None:
    page = build_report(run).read_text()
    record = data(page)
    assert record["cameras"] == ["gate", "lobby"]
    assert [person["id"] for person in record["people"]] == [1, 2, 3]
    assert [visit[:3] for visit in record["people"][0]["visits"]] == [[0, 0.0, 8.0], [1, 20.0, 30.0]]
    assert "3 people on 2 cameras" in page
    assert 'data-people="1"' in page  # gate -> lobby
    assert page.count("data:image/jpeg;base64,") >= 3


def test_page_is_the_same_bytes_every_time(run: Path) -> None:
    first = build_report(run).read_bytes()
    assert build_report(run).read_bytes() == first


def test_page_names_nothing_outside_itself(run: Path) -> None:
    page = build_report(run).read_text()
    for attribute in ("src", "href"):
        for value in re.findall(rf'\b{attribute}="([^"]*)"', page):
            assert value.startswith(("data:", "#")), value
    assert not re.search(r"@import|url\(|https?://", page)
    assert "default-src 'none'" in page


def test_page_escapes_what_others_named(tmp_path: Path) -> None:
    stays = [(1, EVIL, 0.0, 2.0), (1, "a\"b'&</title>", 3.0, 4.0)]
    page = build_report(write_run(tmp_path / "<b>out", stays, warnings=(EVIL,))).read_text()
    assert "<script>alert" not in page
    assert "</title>'" not in page
    assert "<b>out" not in page
    assert data(page)["cameras"] == [EVIL, "a\"b'&</title>"]


def test_page_takes_pictures_from_the_run_only(run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8\xff secret")
    (run / "thumbnails" / "2.jpg").write_text("no picture")
    record = json.loads((run / "identities.json").read_text())
    record["identities"][0] |= {"thumbnail": "../secret.jpg", "thumbnails": {"gate": str(tmp_path / "secret.jpg")}}
    (run / "identities.json").write_text(json.dumps(record))
    page = build_report(run).read_text()
    assert "/9j/" not in page or "c2VjcmV0" not in page
    assert "IHNlY3JldA" not in page
    assert "3 thumbnails are missing or are no JPEG files" in page


def test_page_of_a_run_that_failed_says_why(run: Path) -> None:
    for name in ("identities.json", "identities.npz"):
        (run / name).unlink()
    record = json.loads((run / "run.json").read_text()) | {"status": "failed", "error": "the disk is full"}
    (run / "run.json").write_text(json.dumps(record))
    page = build_report(run).read_text()
    assert "The run ended before it was decided who is who" in page
    assert "the disk is full" in page
    assert "A run without results" in page


def test_page_of_nobody(tmp_path: Path) -> None:
    page = build_report(write_run(tmp_path, [], cameras=("gate",))).read_text()
    assert "Nobody was seen" in page
    assert data(page)["people"] == []


def test_page_of_one_stay(tmp_path: Path) -> None:
    page = build_report(write_run(tmp_path, [(1, "gate", 0.0, 0.0)])).read_text()
    assert "1 person on 1 camera" in page
    assert "Nobody was seen by more than one camera" in page


def test_page_without_vectors_leaves_the_bands_out(run: Path) -> None:
    (run / "identities.npz").unlink()
    page = build_report(run).read_text()
    assert "identities.npz is missing" in page
    assert "how sure: not known" in page
    assert 'id="doubts"' not in page


def test_page_of_a_wall_clock_shows_times_of_day(tmp_path: Path) -> None:
    stays = [(1, "gate", 0.0, 30.0), (1, "lobby", 7300.0, 7400.0)]
    page = build_report(write_run(tmp_path, stays, start_s=1767312000.0)).read_text()
    assert "Unique people per camera and hour" in page
    assert data(page)["offset"] is not None


def test_page_shows_doubtful_links_side_by_side(tmp_path: Path) -> None:
    stays = [(1, "gate", 0.0, 5.0), (1, "lobby", 10.0, 15.0)]
    stays += [(who, "gate" if who % 2 else "lobby", 20.0 * who, 20.0 * who + 5) for who in range(3, 12)]
    page = build_report(write_run(tmp_path, stays, vectors=looks(11))).read_text()  # nobody looks like anybody
    assert "Taken for one person" in page
    assert page.count('class="pair"') >= 1
    assert data(page)["people"][0]["visits"][1][3] < 0.9


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "{", "run.json is damaged: no JSON"),
        ("run.json", "[]", "does not say its schema"),
        ("run.json", '{"schema": "reidpipe.run/1"}', "run.json is damaged: not of schema reidpipe.run/1"),
        ("run.json", '{"schema": "reidpipe.run/2"}', "newer than reidpipe"),
        ("identities.json", '{"schema": "reidpipe.identities/7"}', "update reidpipe"),
        ("identities.json", '{"schema": "other/1"}', "expected is reidpipe.identities/1"),
        ("identities.json", '{"schema": "reidpipe.identities/1", "identities": [{}]}', "identities.json is damaged"),
        ("identities.json", "\x00\x01", "identities.json is damaged"),
        ("identities.npz", "PK", "identities.npz is damaged"),
        ("frames.jsonl", '{"schema": "reidpipe.frame/1"}\n', "frames.jsonl, line 1 is damaged"),
        ("frames.jsonl", '{"schema": "reidpipe.frame/2"}\n', "newer than reidpipe"),
        ("events.jsonl", "oops\n", "events.jsonl, line 1 is damaged"),
    ],
)
def test_page_of_damaged_results_is_one_clear_line(run: Path, name: str, content: str, message: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(ReidpipeError) as caught:
        build_report(run)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_page_refuses_vectors_of_another_run(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", STAYS[:2])
    shutil.copy(other / "identities.npz", run)
    with pytest.raises(ReidpipeError, match="does not belong"):
        build_report(run)


def test_page_of_no_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        build_report(tmp_path)
    with pytest.raises(ConfigError, match="is not a folder"):
        build_report(tmp_path / "nowhere")


def test_report_command_builds_it_again(run: Path, tmp_path: Path) -> None:
    result = reidpipe("report", run)
    assert result.exit_code == 0
    assert result.stdout.strip() == str(run / "report.html")
    assert (run / "report.html").stat().st_size > 10_000
    assert "holds no run" in complaint(reidpipe("report", tmp_path))
