"""Cameras from a file that is changed while they run."""

from __future__ import annotations

from pathlib import Path

import pytest

from reidpipe.errors import ConfigError
from reidpipe.live.entry import Entry
from reidpipe.live.roster import Roster

SECRET = "hunter2"


def test_roster_reads_names_addresses_and_pauses(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text("gate: rtsp://10.0.0.7/s\nlobby: {uri: 'rtsp://10.0.0.8/s', paused: true}\ndesk: 0\n")
    roster = Roster(file)
    lobby = Entry("rtsp://10.0.0.8/s", paused=True)
    assert roster.entries == {"gate": Entry("rtsp://10.0.0.7/s"), "lobby": lobby, "desk": Entry("0")}
    assert roster.poll() is None
    file.write_text("gate: rtsp://10.0.0.9/s\nlobby: {uri: 'rtsp://10.0.0.8/s', paused: false}\n")
    changed = {"gate": Entry("rtsp://10.0.0.9/s"), "lobby": Entry("rtsp://10.0.0.8/s"), "desk": None}
    assert roster.poll() == changed
    file.write_text("# the same\n" + file.read_text())
    assert roster.poll() is None
    file.write_text("")
    assert roster.poll() == {"gate": None, "lobby": None}


@pytest.mark.parametrize(
    "text",
    [
        f"gate: [rtsp://me:{SECRET}@h",
        f"- rtsp://me:{SECRET}@h/s",
        "gate: {url: rtsp://h/s}",
        "gate: {uri: rtsp://h/s, paused: perhaps}",
        "gate: true",
        "gate:",
        "../gate: rtsp://h/s",
        "gate: rtsp://h/s\nGATE: rtsp://h/t",
        f"{'x' * 65}: rtsp://h/s",
    ],
)
def test_roster_that_is_wrong_is_told_without_secrets_and_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Roster(file)
    assert SECRET not in str(caught.value)
    file.write_text("a: rtsp://h/s")
    roster = Roster(file)
    file.write_text(text)
    with pytest.raises(ConfigError):
        roster.poll()
    assert roster.entries == {"a": Entry("rtsp://h/s")}
    assert roster.poll() is None  # told once
    file.unlink()
    with pytest.raises(ConfigError, match="cannot read"):
        roster.poll()


def test_roster_priorities_change_without_a_new_connection(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text("gate: {uri: rtsp://h/s, priority: 2}\nlobby: rtsp://h/t\n")
    roster = Roster(file)
    assert [entry.priority for entry in roster.entries.values()] == [2.0, None]
    file.write_text("gate: {uri: rtsp://h/s, priority: 0.5}\nlobby: rtsp://h/t\n")
    assert roster.poll() == {"gate": Entry("rtsp://h/s", priority=0.5)}
    for wrong in ("0", "-1", "11", "high", "true", ".nan"):
        file.write_text(f"gate: {{uri: rtsp://h/s, priority: {wrong}}}\n")
        with pytest.raises(ConfigError, match="priority of gate"):
            roster.poll()
    assert roster.entries["gate"].priority == 0.5
