"""Files that are valid at any moment, and clear words when they cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from reidpipe.errors import SinkError
from reidpipe.sinks.files import LineWriter, camera_file, prepare_folder, replacing, write_bytes, write_json

FULL = "the disk is full"


class TightFile:
    """A file that takes so many bytes in all, a few at a time, and then says the disk is full."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def write(self, data: memoryview) -> int:
        if self._room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(7, self._room, len(data))
        self._file.write(data[:taken])
        self._room -= taken
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_files_lines_are_on_disk_when_written(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "sub" / "a.jsonl")
    writer.write(b"one")
    assert (tmp_path / "sub" / "a.jsonl").read_bytes() == b"one\n"
    writer.write(b"two")
    writer.close()
    writer.close()
    assert (tmp_path / "sub" / "a.jsonl").read_bytes() == b"one\ntwo\n"
    with pytest.raises(SinkError, match="closed"):
        writer.write(b"three")


def test_files_lines_survive_short_writes(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "a")
    writer._file = TightFile(writer._file, 10_000)  # type: ignore[assignment]
    writer.write(b"x" * 100)
    writer.close()
    assert (tmp_path / "a").read_bytes() == b"x" * 100 + b"\n"


def test_files_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "a")
    writer._file = TightFile(writer._file, 25)  # type: ignore[assignment]
    writer.write(b"0123456789")
    writer.write(b"0123456789")
    with pytest.raises(SinkError, match=FULL):
        writer.write(b"0123456789")
    writer.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789\n0123456789\n"


def test_files_ctrl_c_in_a_write_leaves_whole_lines(tmp_path: Path) -> None:
    class Interrupted(TightFile):
        def write(self, data: memoryview) -> int:
            super().write(data)
            raise KeyboardInterrupt

    writer = LineWriter(tmp_path / "a")
    writer.write(b"whole")
    writer._file = Interrupted(writer._file, 100)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        writer.write(b"half of it")
    writer.close()
    assert (tmp_path / "a").read_bytes() == b"whole\n"


def test_files_existing_ones_are_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(SinkError, match="exists already"):
        LineWriter(tmp_path / "a")
    LineWriter(tmp_path / "a", overwrite=True).close()
    assert (tmp_path / "a").read_bytes() == b""


def test_files_a_path_through_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(SinkError, match=r"cannot write .*b\.jsonl"):
        LineWriter(tmp_path / "a" / "b.jsonl")
    with pytest.raises(SinkError, match="cannot write"):
        write_bytes(tmp_path / "a" / "b", b"x")
    with pytest.raises(SinkError, match="cannot write"):
        prepare_folder(tmp_path / "a" / "out")


def _break_off(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError("stage")


def test_files_whole_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    write_json(target, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"a": float("nan")})
    assert target.read_text() == '{\n  "a": 1\n}\n'
    with pytest.raises(RuntimeError, match="stage"), replacing(target) as temporary:
        _break_off(temporary)
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_files_names_of_cameras_are_safe_and_never_shared(tmp_path: Path) -> None:
    names = ["lobby", "a/b", "a%2Fb", "a\\b", "..", ".", ".hidden", "Eingang Süd", "x:1", "tab\t"]
    files = [camera_file(tmp_path, name, ".mp4") for name in names]
    assert len(set(files)) == len(names)
    assert all(file.parent == tmp_path and not file.name.startswith(".") for file in files)
    assert camera_file(tmp_path, "Eingang Süd", ".txt").name == "Eingang Süd.txt"


def test_files_prepare_makes_the_folder(tmp_path: Path) -> None:
    out = prepare_folder(tmp_path / "a" / "b")
    assert out.is_dir()
    assert prepare_folder(out) == out


def test_files_prepare_refuses_what_is_not_empty_and_takes_only_its_own_away(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "cam.mp4").write_text("x")
    (tmp_path / "holiday.jpg").write_text("mine")
    with pytest.raises(SinkError, match="--force"):
        prepare_folder(tmp_path)
    prepare_folder(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(SinkError, match="is a file"):
        prepare_folder(tmp_path / "holiday.jpg", overwrite=True)


def test_files_prepare_never_removes_an_input(tmp_path: Path) -> None:
    (tmp_path / "video").mkdir()
    clip = tmp_path / "video" / "cam.mp4"
    clip.write_text("x")
    with pytest.raises(SinkError, match="lies among the results"):
        prepare_folder(tmp_path, overwrite=True, inputs=["rtsp://10.0.0.7/1", clip])
    assert clip.exists()
    elsewhere = tmp_path / "clip.mp4"
    elsewhere.write_text("x")
    prepare_folder(tmp_path, overwrite=True, inputs=[elsewhere])
    assert elsewhere.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_files_prepare_refuses_a_folder_without_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(SinkError, match="no permission"):
        prepare_folder(closed)


def test_files_prepare_says_when_the_system_forbids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(SinkError, match="no permission: choose another output folder"):
        prepare_folder(tmp_path / "out")
