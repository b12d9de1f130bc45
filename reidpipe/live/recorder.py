"""Annotated video of live cameras, in segments, within a quota; by a thread that nobody waits for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from reidpipe.errors import SinkError
from reidpipe.sinks.draw import Annotator
from reidpipe.sinks.files import camera_file
from reidpipe.sinks.video import VideoWriter
from reidpipe.types import FrameResult

__all__ = ["Recorder"]

_WAITING = 8  # pictures of one camera: half a second
_RETRY_S = 10.0
_CLOSE_S = 3.0
_GUESSED_FPS = 15.0


class _Segment:
    """One file that is being written."""

    def __init__(self, writer: VideoWriter, result: FrameResult, size: tuple[int, ...]) -> None:
        self.writer = writer
        self.since_s = result.frame.time_s
        self.size = size


class Recorder:
    """Writes ``<folder>/<camera>/<start in UTC>.mp4``.

    A segment ends when it is long enough or when the size of the picture changes. When all files together are larger
    than the quota, the oldest go. When a file cannot be written (a full disk) it is tried again after ten seconds; what
    comes meanwhile is counted in ``lost``.

    Args:
        folder: made.
        fps: camera -> pictures per second now, 0.0 when unknown.
        segment_s: length of a file, seconds.
        quota_bytes: of all files together.
        trace_s: length of the drawn trace, seconds.
        crf: x264 quality.
        preset: x264 speed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fps: Callable[[str], float],
        segment_s: float = 300.0,
        quota_bytes: int = 20_000_000_000,
        trace_s: float = 0.0,
        crf: int = 23,
        preset: str = "superfast",
    ) -> None:
        self._folder = folder
        self._fps = fps
        self._segment_s = segment_s
        self._quota_bytes = quota_bytes
        self._trace_s = trace_s
        self._crf = crf
        self._preset = preset
        self._queues: dict[str, deque[FrameResult]] = {}
        self._segments: dict[str, _Segment] = {}
        self._annotators: dict[str, Annotator] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._ended: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self.lost = 0
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def write(self, result: FrameResult) -> None:
        """Take a picture; never waits. When the thread is behind the oldest of that camera goes."""
        with self._changed:
            if self._closing:
                return
            self._ended.discard(result.frame.camera)
            queue = self._queues.setdefault(result.frame.camera, deque())
            if len(queue) >= _WAITING:
                queue.popleft()
                self.lost += 1
            queue.append(result)
            self._changed.notify()

    def end_camera(self, camera: str) -> None:
        """A camera is taken out: its file is finished and nothing is kept of it; does not wait."""
        with self._changed:
            self._ended.add(camera)
            self._changed.notify()

    def end(self) -> None:
        """Take nothing more and finish what is open; does not wait."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def close(self, within_s: float = _CLOSE_S) -> bool:
        """``end``, and wait; a file not finished by then is a ``.part``, and plays all the same.

        Args:
            within_s: longest wait, seconds.

        Returns:
            True when every file is finished.
        """
        self.end()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not any(self._queues.values()) and not self._closing and not self._ended:
                    self._changed.wait()
                waiting = [queue.popleft() for queue in self._queues.values() if queue]
                ended = {camera for camera in self._ended if not self._queues.get(camera)}
                self._ended -= ended
                for camera in ended:
                    self._queues.pop(camera, None)
            for result in waiting:
                self._record(result)
            for camera in ended:
                self._finish(camera)
                self._annotators.pop(camera, None)
                self._retry_at.pop(camera, None)
            if not waiting and not ended:  # but closing
                break
        for camera in list(self._segments):
            self._finish(camera)

    def _record(self, result: FrameResult) -> None:
        camera, time_s = result.frame.camera, result.frame.time_s
        if time.monotonic() < self._retry_at.get(camera, 0.0):
            self.lost += 1
            return
        try:
            segment = self._segment(result)
            segment.writer.write(self._annotators[camera].annotate(result), time_s)
            self.error = None
        except SinkError as error:
            self.error = str(error)
            self.lost += 1
            self._retry_at[camera] = time.monotonic() + _RETRY_S
            self._finish(camera)

    def _segment(self, result: FrameResult) -> _Segment:
        """The file for this picture; a new one when it is time."""
        camera, size = result.frame.camera, result.frame.image.shape
        segment = self._segments.get(camera)
        long = segment is not None and result.frame.time_s - segment.since_s >= self._segment_s
        if segment is not None and (long or segment.size != size):
            self._finish(camera)
            segment = None
        if segment is None:
            self._keep_quota()
            start = datetime.fromtimestamp(result.frame.time_s, UTC)
            fps = self._fps(camera) or _GUESSED_FPS
            path = camera_file(self._folder, camera, "") / f"{start:%Y%m%dT%H%M%S}.{start.microsecond // 1000:03d}Z.mp4"
            writer = VideoWriter(path, fps=fps, crf=self._crf, preset=self._preset)
            segment = self._segments[camera] = _Segment(writer, result, size)
            self._annotators[camera] = Annotator(trace_s=self._trace_s, fps=fps)
        return segment

    def _finish(self, camera: str) -> None:
        segment = self._segments.pop(camera, None)
        if segment is not None:
            try:
                segment.writer.close()
            except SinkError as error:
                self.error = str(error)

    def _keep_quota(self) -> None:
        """The oldest files go until there is room; those that are being written stay."""
        files = []
        for path in self._folder.glob("*/*.mp4"):
            try:
                status = path.stat()
            except OSError:
                continue
            files.append((path.name, path, status.st_size))
        total = sum(size for _, _, size in files)
        for _, path, size in sorted(files):
            if total <= self._quota_bytes:
                return
            try:
                path.unlink()
            except OSError:
                continue
            total -= size
