"""Rotation, and a spool that nobody waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reidpipe.errors import ConfigError, SinkError
from reidpipe.sinks.spool import LineSpool, RotatingWriter


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_rotation_by_size_keeps_every_line_once_in_order(tmp_path: Path) -> None:
    writer = RotatingWriter(tmp_path / "a.jsonl", max_bytes=35)
    for number in range(10):
        writer.write(b"line %05d" % number)  # 11 bytes with its end: three fit
    writer.close()
    writer.close()
    parts = [*sorted((tmp_path / "a").iterdir()), tmp_path / "a.jsonl"]
    assert [path.name for path in parts] == ["000001.jsonl", "000002.jsonl", "000003.jsonl", "a.jsonl"]
    assert [len(lines(path)) for path in parts] == [3, 3, 3, 1]
    assert [line for path in parts for line in lines(path)] == [f"line {number:05d}" for number in range(10)]


def test_rotation_keeps_so_many_files(tmp_path: Path) -> None:
    writer = RotatingWriter(tmp_path / "a.jsonl", max_bytes=5, keep=2)
    for number in range(10):
        writer.write(b"%d" % number * 4)
    writer.close()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["000008.jsonl", "000009.jsonl"]


def test_rotation_by_age_and_a_line_larger_than_a_file(tmp_path: Path) -> None:
    now = [0.0]
    writer = RotatingWriter(tmp_path / "a.jsonl", max_bytes=10, max_age_s=60, clock=lambda: now[0])
    writer.write(b"x" * 100)
    now[0] = 59
    writer.write(b"1")
    now[0] = 119
    writer.write(b"2")
    now[0] = 120
    writer.write(b"3")
    writer.close()
    assert lines(tmp_path / "a" / "000002.jsonl") == ["1"]
    assert lines(tmp_path / "a.jsonl") == ["2", "3"]


def test_rotation_that_fails_goes_on_in_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file where the folder should be")
    writer = RotatingWriter(tmp_path / "a.jsonl", max_bytes=10)
    writer.write(b"1234567")
    with pytest.raises(SinkError):
        writer.write(b"8901234")
    (tmp_path / "a").unlink()
    writer.write(b"8901234")
    writer.write(b"5678901")
    writer.close()
    everything = [line for path in (*(tmp_path / "a").iterdir(), tmp_path / "a.jsonl") for line in lines(path)]
    assert sorted(everything) == ["1234567", "5678901", "8901234"]


@pytest.mark.parametrize("bad", [{"max_bytes": 0}, {"max_age_s": 0}, {"keep": -1}])
def test_rotation_refuses_numbers_out_of_range(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        RotatingWriter(tmp_path / "a.jsonl", **bad)


class Disk:
    """A writer that can be slow or full."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False
        self.closed = 0
        self.go = threading.Event()
        self.go.set()
        self.refused = 0

    def write(self, line: bytes) -> None:
        self.go.wait(30)
        if self.full:
            self.refused += 1
            raise SinkError("the disk is full")
        self.lines.append(line)

    def close(self) -> None:
        self.closed += 1


def until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert ready()


def test_spool_writes_everything_in_order(tmp_path: Path) -> None:
    spool = LineSpool(RotatingWriter(tmp_path / "a.jsonl"))
    for number in range(1000):
        spool.write(b"%d" % number)
    spool.close()
    spool.close()
    spool.write(b"too late")
    assert lines(tmp_path / "a.jsonl") == [str(number) for number in range(1000)]
    assert spool.lost == 1


def test_spool_with_a_disk_that_hangs_drops_the_oldest_and_counts() -> None:
    disk = Disk()
    disk.go.clear()
    spool = LineSpool(disk, limit=10)
    spool.write(b"0")
    until(lambda: len(spool) == 0)  # the thread has it, and hangs
    for number in range(1, 101):
        spool.write(b"%d" % number)
    assert len(spool) == 10
    assert spool.lost == 90
    disk.go.set()
    spool.close()
    assert disk.lines == [b"0", *(b"%d" % number for number in range(91, 101))]
    assert disk.closed == 1


def test_spool_with_a_full_disk_tries_again_and_keeps_the_order() -> None:
    disk = Disk()
    disk.full = True
    spool = LineSpool(disk, limit=100)
    for number in range(5):
        spool.write(b"%d" % number)
    until(lambda: disk.refused)
    assert spool.error == "the disk is full"
    disk.full = False
    until(lambda: len(disk.lines) == 5)
    spool.close()
    assert disk.lines == [b"0", b"1", b"2", b"3", b"4"]
    assert vars(spool)["error"] is None
    assert spool.lost == 0


def test_spool_that_is_closed_on_a_full_disk_ends_and_counts() -> None:
    disk = Disk()
    disk.full = True
    spool = LineSpool(disk)
    for number in range(5):
        spool.write(b"%d" % number)
    until(lambda: disk.refused)
    spool.close()
    assert disk.closed == 1
    assert spool.lost == 5
