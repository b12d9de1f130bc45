"""Cameras that are added, removed and paused while a run goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from reidpipe.errors import ConfigError, SourceError
from reidpipe.live.asked import asked_camera
from reidpipe.live.control import AskedCamera, CameraDesk
from reidpipe.live.desk import Desk
from reidpipe.live.lineup import MOST_CAMERAS, Lineup
from reidpipe.live.roster import Roster
from reidpipe.live.snapshot import CameraSnapshot
from reidpipe.source.mailbox import Mailbox
from reidpipe.stages import SourceInfo
from tests.live.watch import until


class Camera:
    """Remembers what was done to it."""

    reconnects = 0
    stalls = 0

    def __init__(
        self, name: str, uri: str = "", *, named_credentials: bool = True, pictures: int | None = None
    ) -> None:
        self.camera, self.uri, self.named = name, uri, named_credentials
        self.box = Mailbox(name)
        self.info = SourceInfo(uri, 0, 0, 0.0, pictures, live=True)
        self.started = self.closed = False

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True


class Made:
    """A lineup, and what it told."""

    def __init__(self, *names: str, roster: Roster | None = None, begun: bool = True) -> None:
        self.opened: list[Camera] = []
        self.joined: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.lines: list[str] = []
        wanted = {} if roster is None else roster.wanted
        of_file = {name: one.entry.uri for name, one in wanted.items() if not one.entry.paused}
        addresses = {name: f"rtsp://h/{name}" for name in names} | of_file
        self.lineup = Lineup(
            [Camera(name, uri) for name, uri in addresses.items()],
            addresses=addresses,
            priorities={"gate": 3.0},
            roster=roster,
            open_one=self.open,
        )
        if begun:
            self.lineup.begin(joined=lambda one: self.joined.append(one.camera), left=self.left, said=self.lines.append)

    def open(self, name: str, uri: str, *, named_credentials: bool) -> Camera:
        if uri == "0":
            raise SourceError("it is not there", camera=name)
        self.opened.append(Camera(name, uri, named_credentials=named_credentials))
        return self.opened[-1]

    def left(self, name: str, reason: str) -> CameraSnapshot:
        assert name in self.lineup.running
        self.ended.append((name, reason))
        return CameraSnapshot(name, "up", 15.0, 100, 80, 40, 20, 1, 2, 3, 4, 0.1)

    @property
    def paused(self) -> list[str]:
        return [one.camera for one in self.lineup.paused]


def test_lineup_pause_closes_keeps_the_counts_and_goes_on_at_the_same_address() -> None:
    made = Made("gate", "yard")
    first = made.lineup.running["gate"]
    made.lineup.pause("gate")
    made.lineup.pause("gate")
    assert made.ended == [("gate", "paused")]
    assert made.lines == ["gate: paused"]
    until(lambda: bool(getattr(first, "closed", False)))
    assert made.lineup.paused == (CameraSnapshot("gate", "paused", 0.0, 100, 80, 40, 20, 1, 2, 3, 0, None),)
    assert made.lineup.names == ("yard", "gate")
    made.lineup.resume("gate")
    made.lineup.resume("gate")
    assert [(one.uri, one.named, one.started) for one in made.opened] == [("rtsp://h/gate", True, True)]
    assert (made.joined, made.paused) == (["gate"], [])


def test_lineup_add_and_remove() -> None:
    made = Made("gate")
    made.lineup.add("yard", "rtsp://h/yard", priority=2.0, named_credentials=False)
    assert made.lineup.priorities == {"gate": 3.0, "yard": 2.0}
    made.lineup.pause("yard")
    made.lineup.resume("yard")
    assert [one.named for one in made.opened] == [False, False]  # a pause does not make it one of ours
    made.lineup.remove("yard")
    assert made.lineup.priorities == {"gate": 3.0}
    made.lineup.pause("gate")
    made.lineup.remove("gate")
    assert made.lineup.names == ()
    assert made.ended == [("yard", "paused"), ("yard", "removed"), ("gate", "paused")]


def test_lineup_refuses_what_makes_no_sense_and_stays_as_it_is() -> None:
    made = Made("gate")
    for name in ("GATE", "gate", "../x", "", "x" * 65, "a\nb"):
        with pytest.raises(ConfigError):
            made.lineup.add(name, "rtsp://h/s")
    for change in (made.lineup.pause, made.lineup.resume, made.lineup.remove):
        with pytest.raises(ConfigError, match="no camera called 'yard': gate"):
            change("yard")
    with pytest.raises(SourceError):
        made.lineup.add("webcam", "0", priority=2.0)
    assert (made.lineup.names, made.lineup.priorities) == (("gate",), {"gate": 3.0})
    for number in range(MOST_CAMERAS - 1):
        made.lineup.add(f"c{number}", "rtsp://h/s")
    with pytest.raises(ConfigError, match="cameras already"):
        made.lineup.add("one more", "rtsp://h/s")


def test_lineup_that_cannot_open_cannot_pause() -> None:
    lineup = Lineup([Camera("gate")])
    with pytest.raises(ConfigError, match="could not be opened again"):
        lineup.pause("gate")
    with pytest.raises(ConfigError, match="takes no other cameras"):
        lineup.add("yard", "rtsp://h/s")


def test_lineup_is_over_when_all_have_ended_and_nobody_is_paused() -> None:
    made = Made("gate", "yard")
    lineup, over = made.lineup, list[bool]()
    over.append(lineup.is_over)
    lineup.running["gate"].box.change("ended", 1.0)
    lineup.pause("yard")
    over.append(lineup.is_over)
    lineup.remove("yard")
    over.append(lineup.is_over)
    lineup.remove("gate")
    over.append(lineup.is_over)  # somebody took the last one out on purpose: another one may come
    assert over == [False, False, True, False]
    assert [Lineup([Camera("a", pictures=9)]).is_endless, Made("a").lineup.is_endless] == [False, True]


def test_lineup_newest_word_counts_be_it_of_the_file_or_of_somebody(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text("gate: rtsp://h/1\nyard: {uri: rtsp://h/2, paused: true}\n")
    made = Made(roster=Roster(file))
    lineup = made.lineup
    assert (list(lineup.running), made.paused) == (["gate"], ["yard"])
    lineup.resume("yard")  # on the page, though the file says paused
    lineup.pause("gate")
    lineup.add("desk", "rtsp://evil/1", named_credentials=False)
    lineup.follow()
    assert (list(lineup.running), made.paused) == (["yard", "desk"], ["gate"])
    # What is said anew of others changes nothing for those who are as they were in the file.
    file.write_text(file.read_text() + "hall: {uri: rtsp://h/3, paused: true, priority: 4}\ndesk: rtsp://h/4\n")
    lineup.follow()
    assert (list(lineup.running), made.paused) == (["yard", "desk"], ["gate", "hall"])
    assert [(one.uri, one.named) for one in made.opened if one.camera == "desk"] == [
        ("rtsp://evil/1", False),
        ("rtsp://h/4", True),
    ]
    assert lineup.priorities == {"gate": 3.0, "hall": 4.0}
    file.write_text("gate: {uri: rtsp://h/9, paused: true}\nyard: rtsp://h/2\nhall: rtsp://h/3\n")
    lineup.follow()
    assert (sorted(lineup.running), made.paused) == (["hall", "yard"], ["gate"])
    lineup.resume("gate")
    assert made.opened[-1].uri == "rtsp://h/9"
    file.write_text("[")
    lineup.follow()
    lineup.follow()
    assert sum("not valid YAML" in line for line in made.lines) == 1
    file.write_text("gate: rtsp://h/9\nhall: 0\nHALL2: rtsp://h/3\nhall2: rtsp://h/3\n")
    lineup.follow()
    assert sorted(lineup.running) == ["gate", "hall", "yard"]
    file.write_text("gate: rtsp://h/9\nhall: 0\n")
    lineup.follow()
    assert sorted(lineup.running) == ["gate"]
    assert made.lines[-1] == "hall: it is not there"


def test_control_is_done_by_the_run_and_tells_what_is_wrong() -> None:
    made = Made("gate")
    desk, over, changed = Desk(), threading.Event(), list[int]()
    cameras = CameraDesk(desk, made.lineup, changed=lambda: changed.append(1))

    def serve() -> None:
        while not over.wait(1e-3):
            desk.serve()

    runner = threading.Thread(target=serve)
    runner.start()
    try:
        cameras.change("add", AskedCamera("yard", "rtsp://h/yard", 2.0))
        cameras.change("pause", AskedCamera("yard"))
        cameras.change("resume", AskedCamera("yard"))
        cameras.change("remove", AskedCamera("gate"))
        with pytest.raises(ConfigError, match="no camera called 'gate'"):
            cameras.change("pause", AskedCamera("gate"))
    finally:
        over.set()
        runner.join()
    assert list(made.lineup.running) == ["yard"]
    assert {one.named for one in made.opened} == {False}
    assert len(changed) == 4


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"gate"', b'{"camera": 3, "uri": "rtsp://h"}', b'{"camera": "gate"}',
        b'{"uri": "rtsp://h"}', b'{"camera": "../x", "uri": "rtsp://h/s"}', b'{"camera": "a", "uri": "file:///etc/passwd"}',
        b'{"camera": "a", "uri": "/etc/passwd"}', b'{"camera": "a", "uri": "rtsp://h/ s"}',
        b'{"camera": "a", "uri": "rtsp://h/\\u0000"}', b'{"camera": "a", "uri": "concat:http://h"}',
        b'{"camera": "a", "uri": "rtsp://"}', b'{"camera": "a", "uri": "123"}', b'{"camera": "a", "uri": ["0"]}',
        b'{"camera": "a", "uri": "rtsp://${REIDPIPE_TOKEN}:x@evil/s"}', b'{"camera": "a", "uri": "rtsp://h", "x": 1}',
        b'{"camera": "a", "uri": "rtsp://h", "priority": 11}', b'{"camera": "a", "uri": "rtsp://h", "priority": NaN}',
        b'{"camera": "a", "uri": "rtsp://h", "priority": "2"}', b'{"camera": "a", "uri": "rtsp://h", "priority": true}',
        b"[" * 3000,
    ],
)  # fmt: skip
def test_asked_camera_that_may_not_be_added(body: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        asked_camera(body, adds=True)
    assert "evil" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_asked_camera_is_read() -> None:
    add = b'{"camera": "gate", "uri": "rtsp://me:pw@h/s?x=1", "priority": 2}'
    assert asked_camera(add, adds=True) == AskedCamera("gate", "rtsp://me:pw@h/s?x=1", 2.0)
    assert asked_camera(b'{"camera": "desk", "uri": "0"}', adds=True) == AskedCamera("desk", "0", None)
    assert asked_camera(b'{"camera": "gate"}', adds=False) == AskedCamera("gate")
    for body in (b'{"camera": "gate", "uri": "rtsp://h"}', b'{"camera": ""}', b"{}"):
        with pytest.raises(ConfigError):
            asked_camera(body, adds=False)
