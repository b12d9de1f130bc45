"""Writing files so that what is on disk is valid at any moment, and saying clearly why it cannot be written."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reidpipe.errors import SinkError

__all__ = [
    "RUN_OUTPUTS",
    "LineWriter",
    "camera_file",
    "prepare_folder",
    "replacing",
    "sink_error",
    "to_json",
    "write_bytes",
    "write_json",
]

RUN_OUTPUTS = (
    "run.json",
    "frames.jsonl",
    "frames",
    "events.jsonl",
    "events",
    "identities.json",
    "identities.npz",
    "report.html",
    "config.yaml",
    "video",
    "mot",
    "thumbnails",
)
"""What a run writes into its folder: these names, and only these, are removed when a folder is used again."""

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space and run again",
    errno.EDQUOT: "the disk quota is used up: free some space and run again",
    errno.EACCES: "no permission: choose another output folder",
    errno.EPERM: "no permission: choose another output folder",
    errno.EROFS: "the file system is read-only: choose another output folder",
    errno.EEXIST: "it exists already: choose another output folder, or allow overwriting",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "the name is too long: give the camera a shorter one",
}
_FORBIDDEN = frozenset('<>:"/\\|?*%')


def sink_error(path: Path | str, error: BaseException) -> SinkError:
    """One line about why ``path`` cannot be written."""
    number = getattr(error, "errno", None)
    reason = _REASONS.get(number or 0) or getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
    return SinkError(f"cannot write {path}: {reason}")


@contextmanager
def _as_sink_error(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise sink_error(path, error) from error


def to_json(record: Mapping[str, Any]) -> bytes:
    """One line of JSON in UTF-8, without line end. NaN and infinity are refused: they are no JSON."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write to the path given; it takes the place of ``path`` when all went well, and is removed when not.

    Raises:
        SinkError: it cannot be written.
    """
    with _as_sink_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        try:
            yield temporary
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing; an older one stays until then.

    Raises:
        SinkError: it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a whole JSON file (indented, UTF-8) or nothing.

    Raises:
        SinkError: it cannot be written.
    """
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes(path, f"{text}\n".encode())


def camera_file(folder: Path, camera: str, suffix: str) -> Path:
    """The file of one camera: its name, with what file systems do not allow as ``%XX``. Two cameras never share one."""
    safe = "".join(f"%{ord(c):02X}" if c in _FORBIDDEN or ord(c) < 32 else c for c in camera)
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    return folder / f"{safe}{suffix}"


def prepare_folder(folder: Path | str, *, overwrite: bool = False, inputs: Iterable[Path | str] = ()) -> Path:
    """Make the output folder and check that it can be written, before any work is done.

    Args:
        folder: made with its parents; may exist when it is empty.
        overwrite: remove what an earlier run left in it (``RUN_OUTPUTS``); other files are not touched.
        inputs: what will be read; none of it may be among what would be removed.

    Raises:
        SinkError: it exists and holds something, or cannot be written, or removing would remove an input.
    """
    path = Path(folder)
    for one in inputs:
        inside = _below(path, Path(one))
        if inside is not None and inside.parts[:1] and inside.parts[0] in RUN_OUTPUTS:
            raise SinkError(f"the input {one} lies among the results in {path}: choose another output folder")
    with _as_sink_error(path):
        if path.exists() and not path.is_dir():
            raise SinkError(f"cannot write {path}: it is a file, not a folder")
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not overwrite:
            raise SinkError(f"the output folder {path} exists and is not empty: choose another one, or use --force")
        with tempfile.TemporaryFile(dir=path):
            pass
        for name in RUN_OUTPUTS:
            old = path / name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
    return path


def _below(folder: Path, path: Path) -> Path | None:
    """``path`` as seen from ``folder``; None when it is elsewhere."""
    try:
        return path.resolve().relative_to(folder.resolve())
    except (ValueError, OSError):
        return None


class LineWriter:
    """A text file that grows line by line. Its last line is always complete, even when the disk is full.

    Args:
        path: the file; its folder is made.
        overwrite: replace an existing file.
        append: go on in an existing file.

    Raises:
        SinkError: it exists (without ``overwrite`` or ``append``) or cannot be written.
    """

    def __init__(self, path: Path | str, *, overwrite: bool = False, append: bool = False) -> None:
        self.path = Path(path)
        with _as_sink_error(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a line is on its way to the disk when ``write`` returns.
            self._file = self.path.open("ab" if append else "wb" if overwrite else "xb", buffering=0)

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._file.closed

    def write(self, line: bytes) -> None:
        """Add one line, given without its end.

        Raises:
            SinkError: it cannot be written; the file ends with the line before.
        """
        if self._file.closed:
            raise SinkError(f"cannot write {self.path}: it is closed")
        with _as_sink_error(self.path):
            start = self._file.tell()
            try:
                self._write_all(memoryview(line + b"\n"))
            except BaseException:
                self._file.seek(start)
                self._file.truncate(start)
                raise

    def _write_all(self, data: memoryview) -> None:
        while data:
            data = data[self._file.write(data) or 0 :]

    def close(self) -> None:
        """Close the file. May be called twice."""
        with _as_sink_error(self.path):
            self._file.close()
