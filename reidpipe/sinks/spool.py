"""Lines for weeks: files that are rotated, and a thread that writes them, so that nobody waits for a slow disk.

writer = RotatingWriter(folder / "frames.jsonl", max_bytes=64_000_000, keep=100)
spool = LineSpool(writer, limit=10_000)
spool.write(b'{"a": 1}')        # never waits, never raises
spool.close()
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from reidpipe.errors import ConfigError, SinkError
from reidpipe.sinks.files import LineWriter, sink_error

__all__ = ["LineSpool", "Lines", "RotatingWriter"]

_RETRY_S = 1.0
_CLOSE_S = 2.0


class Lines(Protocol):
    """Takes lines, given without their ends."""

    def write(self, line: bytes) -> None:
        """Add one line."""
        ...

    def close(self) -> None:
        """Finish. May be called twice."""
        ...


class RotatingWriter:
    """``name.jsonl`` that is moved to ``name/000001.jsonl`` when it is large or old, and begun anew.

    Every file ends with a complete line. Of the files that were moved the oldest go.

    Args:
        path: the file that is written.
        max_bytes: size from which it is moved.
        max_age_s: age from which it is moved, seconds.
        keep: files that were moved and are kept; 0: all.
        clock: seconds; does not jump.

    Raises:
        SinkError: it exists or cannot be written.
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        max_bytes: int = 64_000_000,
        max_age_s: float = float("inf"),
        keep: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_bytes < 1 or max_age_s <= 0 or keep < 0:
            raise ConfigError(f"rotation needs a size and an age above 0, got {max_bytes} bytes and {max_age_s} s")
        self.path = Path(path)
        self.rotated = 0
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._keep = keep
        self._clock = clock
        self._over = False
        self._begin()

    def _begin(self) -> None:
        self._lines = LineWriter(self.path)
        self._bytes = 0
        self._since = self._clock()

    def write(self, line: bytes) -> None:
        """Add one line.

        Raises:
            SinkError: it cannot be written; the file ends with the line before.
        """
        if self._lines.closed and not self._over:
            self._reopen()
        old = self._clock() - self._since >= self._max_age_s
        if self._bytes and (old or self._bytes + len(line) + 1 > self._max_bytes):
            self._rotate()
        self._lines.write(line)
        self._bytes += len(line) + 1

    def _rotate(self) -> None:
        folder = self.path.with_suffix("")
        try:
            folder.mkdir(exist_ok=True)
            target = folder / f"{self.rotated + 1:06d}{self.path.suffix}"
            self._lines.close()
            self.path.rename(target)
            self.rotated += 1
            if self._keep and self.rotated > self._keep:
                (folder / f"{self.rotated - self._keep:06d}{self.path.suffix}").unlink(missing_ok=True)
        except OSError as error:
            raise sink_error(folder, error) from error
        finally:
            if self._lines.closed:
                self._reopen()

    def _reopen(self) -> None:
        if self.path.exists():  # it could not be moved: go on in it
            self._lines = LineWriter(self.path, append=True)
            self._bytes = 0
        else:
            self._begin()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._over = True
        self._lines.close()


class LineSpool:
    """Between a run that must not wait and a writer that may: a bounded queue and a thread.

    Lines are written in order. When the writer fails (a full disk) the line is tried again every second; when the queue
    is full the oldest line goes, and is counted.

    Args:
        writer: where the lines go; closed with this.
        limit: most lines that wait.
        name: of the thread.
    """

    def __init__(self, writer: Lines, *, limit: int = 10_000, name: str = "spool") -> None:
        if limit < 1:
            raise ConfigError(f"a spool needs room for at least one line, got {limit}")
        self._writer = writer
        self._limit = limit
        self._queue: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._deadline = 0.0
        self.lost = 0
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Lines that wait."""
        return len(self._queue)

    def write(self, line: bytes) -> None:
        """Take a line; never waits and never raises."""
        with self._changed:
            if self._closing:
                self.lost += 1
                return
            if len(self._queue) >= self._limit:
                self._queue.popleft()
                self.lost += 1
            self._queue.append(line)
            self._changed.notify()

    def end(self, within_s: float = _CLOSE_S) -> None:
        """Take nothing more and write what waits; does not wait itself. Several spools can end at the same time."""
        with self._changed:
            if not self._closing:
                self._closing = True
                self._deadline = time.monotonic() + within_s
            self._changed.notify()

    def close(self) -> None:
        """``end``, for two seconds or as ``end`` said; what is left then is lost and counted. May be called twice."""
        self.end()
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        with self._changed:
            self.lost += len(self._queue)
            self._queue.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    break
                line = self._queue.popleft()
            if not self._put(line):
                with self._changed:
                    if len(self._queue) >= self._limit or self._closing:
                        self.lost += 1
                    else:
                        self._queue.appendleft(line)
                    if self._closing:
                        break
                    self._changed.wait_for(lambda: self._closing, _RETRY_S)
        self._finish()

    def _put(self, line: bytes) -> bool:
        try:
            self._writer.write(line)
        except SinkError as error:
            self.error = str(error)
            return False
        self.error = None
        return True

    def _finish(self) -> None:
        try:
            self._writer.close()
        except SinkError as error:
            self.error = str(error)
