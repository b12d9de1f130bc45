"""What is said of cameras on the status page outlives the run, and never touches the cameras file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reidpipe.errors import ConfigError
from reidpipe.live.amendments import Wanted
from reidpipe.live.entry import Entry
from reidpipe.live.roster import Roster
from tests.live.test_lineup import Made

TEXT = "# ours\ngate: rtsp://h/gate\nyard: {uri: 'rtsp://h/yard', priority: 2}\nhall: rtsp://h/hall  # the old one\n"
SECRET = "hunter2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cameras.yaml"
    path.write_text(TEXT)
    return path


def beside(file: Path) -> Path:
    return file.with_name("cameras.page.yaml")


def changed(file: Path) -> Made:
    """A run in which the page paused one camera, removed another and added a third."""
    made = Made(roster=Roster(file))
    made.lineup.pause("yard")
    made.lineup.remove("hall")
    made.lineup.add("desk", "rtsp://h/desk", priority=3.0, named_credentials=False)
    assert [made.lineup.keep(name) for name in ("yard", "hall", "desk")] == [None, None, None]
    return made


def test_amendments_outlive_the_run_and_leave_the_file_alone(file: Path) -> None:
    changed(file)
    assert file.read_text() == TEXT
    assert stat.S_IMODE(beside(file).stat().st_mode) == 0o600
    again = Made(roster=Roster(file))
    assert (sorted(again.lineup.running), again.paused) == (["desk", "gate"], ["yard"])
    assert again.lineup.priorities == {"gate": 3.0, "yard": 2.0, "desk": 3.0}
    again.lineup.pause("desk")
    again.lineup.resume("desk")
    again.lineup.resume("yard")
    assert [(one.uri, one.named) for one in again.opened] == [
        ("rtsp://h/desk", False),  # nothing that is kept under its name goes there, now as then
        ("rtsp://h/yard", True),
    ]


def test_amendments_that_are_taken_back_leave_nothing(file: Path) -> None:
    made = changed(file)
    made.lineup.resume("yard")
    made.lineup.remove("desk")
    made.lineup.add("hall", "rtsp://h/hall", named_credentials=False)
    assert made.lineup.keep("hall") is None
    assert Roster(file).wanted == {name: Wanted(entry) for name, entry in Roster(file).entries.items()}
    assert "desk" not in beside(file).read_text()


@pytest.mark.parametrize("uri", [f"rtsp://me:{SECRET}@h/9", f"http://h/s?token={SECRET}"])
def test_amendments_store_no_password(file: Path, uri: str) -> None:
    file.write_text(TEXT + f"desk: rtsp://me:{SECRET}@h/desk\n")
    made = Made(roster=Roster(file))
    made.lineup.add("shed", uri, named_credentials=False)
    made.lineup.pause("desk")
    assert "holds a password" in str(made.lineup.keep("shed"))
    assert made.lineup.keep("desk") is None
    assert SECRET not in beside(file).read_text()
    wanted = Roster(file).wanted
    assert "shed" not in wanted
    assert wanted["desk"] == Wanted(Entry(f"rtsp://me:{SECRET}@h/desk", paused=True))
    made.lineup.remove("gate")
    made.lineup.add("gate", uri, named_credentials=False)
    assert "holds a password" in str(made.lineup.keep("gate"))
    assert SECRET not in beside(file).read_text()
    assert "gate" not in Roster(file).wanted  # not the one of the file either: that was taken out


@pytest.mark.parametrize("running", [False, True])
def test_amendments_yield_to_what_the_file_says_later(file: Path, running: bool) -> None:
    made = changed(file)
    later = "gate: rtsp://h/gate\nyard: rtsp://h/yard\nhall: {uri: rtsp://h/hall, paused: true}\ndesk: rtsp://h/9\n"
    file.write_text(later)
    if running:
        made.lineup.follow()
        assert (sorted(made.lineup.running), made.paused) == (["desk", "gate", "yard"], ["hall"])
        file.write_text(TEXT)  # as it was when the page spoke, but the newer word all the same
        made.lineup.follow()
        assert sorted(Roster(file).wanted) == ["gate", "hall", "yard"]
    wanted = Roster(file).wanted
    assert wanted == {name: Wanted(entry) for name, entry in Roster(file).entries.items()}


def test_amendments_of_a_name_that_is_taken_by_then_are_void(file: Path) -> None:
    changed(file)
    assert "desk" not in Roster(file, taken=["Desk"]).wanted
    file.write_text(TEXT + "DESK: rtsp://h/d\n")
    assert Roster(file).wanted["DESK"] == Wanted(Entry("rtsp://h/d"))
    assert "desk" not in Roster(file).wanted


def test_amendments_are_for_cameras_of_the_file_and_what_comes_on_the_page(file: Path) -> None:
    made = Made("given", roster=Roster(file))
    made.lineup.pause("given")
    assert "whoever starts the run" in str(made.lineup.keep("given"))
    assert not beside(file).exists()
    assert "no cameras file" in str(Made("given").lineup.keep("given"))


def test_amendments_that_cannot_be_written_are_told_and_change_nothing(file: Path) -> None:
    made = Made(roster=Roster(file))
    beside(file).mkdir()
    made.lineup.pause("gate")
    assert "cameras.page.yaml" in str(made.lineup.keep("gate"))
    assert made.paused == ["gate"]
    assert "ends with this run: cannot write" in made.lines[-1]
    assert [path.name for path in file.parent.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.parametrize(
    "text",
    [
        f"desk: [rtsp://me:{SECRET}@h",
        f"- rtsp://me:{SECRET}@h/s",
        f"desk: rtsp://me:{SECRET}@h/s",
        f"desk: {{url: rtsp://me:{SECRET}@h/s}}",
        f"desk: {{uri: rtsp://me:{SECRET}@h/s, paused: 3}}",
        "gate: {removed: true, instead: 7}",
        "../x: {removed: true}",
    ],
)
def test_amendments_that_are_damaged_are_refused_without_secrets(file: Path, text: str) -> None:
    beside(file).write_text(text)
    with pytest.raises(ConfigError, match=r"cameras\.page\.yaml") as caught:
        Roster(file)
    assert SECRET not in str(caught.value)
