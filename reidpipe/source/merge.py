"""Several cameras as one stream of pictures in order of time.

Each camera decodes ahead in its own thread into a short queue. What is delivered depends on the time stamps only, never
on which thread was faster, so two runs are the same bit for bit.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from reidpipe.errors import ConfigError, SourceError
from reidpipe.stages import Source
from reidpipe.types import Frame

__all__ = ["CameraMerger"]

_WAKE_S = 0.5  # a wait without limit cannot be interrupted by Ctrl-C on Windows
_JOIN_S = 2.0  # decoding one picture takes milliseconds; who is stuck longer is left behind (daemon threads)
_GUESSED_FPS = 25.0


class _Lane:
    """A bounded queue between one decoder thread and the merger. After ``end`` or ``stop`` nobody ever waits."""

    def __init__(self, size: int) -> None:
        self._frames: deque[Frame] = deque()
        self._size = size
        self._changed = threading.Condition()
        self._ended = False
        self._stopped = False

    def put(self, frame: Frame) -> bool:
        """Wait for room; False when nobody wants more."""
        with self._changed:
            while len(self._frames) >= self._size and not self._stopped:
                self._changed.wait(_WAKE_S)
            if not self._stopped:
                self._frames.append(frame)
                self._changed.notify_all()
            return not self._stopped

    def get(self) -> Frame | None:
        """Wait for a picture; None after the last one."""
        with self._changed:
            while not self._frames and not self._ended and not self._stopped:
                self._changed.wait(_WAKE_S)
            if not self._frames or self._stopped:
                return None
            self._changed.notify_all()
            return self._frames.popleft()

    def end(self) -> None:
        """Nothing more will be put."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more is wanted: let go of what is there."""
        with self._changed:
            self._stopped = True
            self._frames.clear()
            self._changed.notify_all()


class _Camera:
    """One source, its thread and the next picture it has."""

    def __init__(self, source: Source, lane: _Lane) -> None:
        self.source = source
        self.lane = lane
        self.head: Frame | None = None
        self.failure: SourceError | None = None
        self.thread = threading.Thread(target=self._decode, name=f"decode-{source.camera}", daemon=True)

    def _decode(self) -> None:
        try:
            frames = self.source.frames()
            try:
                for frame in frames:
                    if not self.lane.put(frame):
                        return
            finally:
                close = getattr(frames, "close", None)
                if close is not None:
                    close()
        except SourceError as error:
            self.failure = error
        except Exception as error:  # whatever breaks here must end this camera only
            failure = SourceError(f"reading failed: {type(error).__name__}: {error}", camera=self.source.camera)
            failure.__cause__ = error
            self.failure = failure
        finally:
            self.lane.end()

    def advance(self) -> None:
        self.head = self.lane.get()


class CameraMerger:
    """Iterates over groups of pictures, at most one per camera, in order of time.

    A group starts with the earliest picture that is left, at ``t``, and takes the next picture of every other camera
    when that is not later than ``t`` plus half of the smallest frame interval: cameras in step come together, so that a
    detector can take them in one call. Inside a group the order is that of ``sources``. A camera that ends, or fails,
    leaves the others running; ``failures`` tells which failed.

    Use it as a context manager, or call ``close``: both stop the threads at once, even in the middle.

    Args:
        sources: the cameras; names must differ. They are not closed by the merger's ``close``.
        queue_size: how many decoded pictures each camera may be ahead.
        on_failure: called in the consumer's thread, once per camera that fails, before the next group.

    Raises:
        ConfigError: no source, or two of the same name.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        queue_size: int = 4,
        on_failure: Callable[[SourceError], None] | None = None,
    ) -> None:
        names = [source.camera for source in sources]
        if not names:
            raise ConfigError("no source given")
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two sources are called {twice!r}: give each its own name")
        if queue_size < 1:
            raise ConfigError(f"queue_size must be 1 or more, got {queue_size}")
        self._cameras = [_Camera(source, _Lane(queue_size)) for source in sources]
        self._window_s = 0.5 / max(source.info.fps or _GUESSED_FPS for source in sources)
        self._on_failure = on_failure
        self._failures: dict[str, SourceError] = {}
        self._started = False

    @property
    def failures(self) -> dict[str, SourceError]:
        """Camera -> what ended it before its time. Grows while groups are read."""
        return dict(self._failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[list[Frame]]:
        """The groups. Can be read once.

        Raises:
            SourceError: every camera failed; the error of the first one.
        """
        if self._started:
            raise RuntimeError("a CameraMerger can be read once: make a new one")
        self._started = True
        try:
            yield from self._groups()
        finally:
            self.close()

    def _groups(self) -> Iterator[list[Frame]]:
        for camera in self._cameras:
            camera.thread.start()
        running = self._advance(self._cameras)
        while running:
            earliest = min(camera.head.time_s for camera in running if camera.head is not None)
            group, taken = [], []
            for camera in running:
                if camera.head is not None and camera.head.time_s <= earliest + self._window_s:
                    group.append(camera.head)
                    taken.append(camera)
            yield group
            self._advance(taken)
            running = [camera for camera in running if camera.head is not None]
        if len(self._failures) == len(self._cameras):
            raise self._failures[self._cameras[0].source.camera]

    def _advance(self, cameras: list[_Camera]) -> list[_Camera]:
        """Fetch the next picture of each; returns those that have one and notes those that failed."""
        for camera in cameras:
            camera.advance()
            name = camera.source.camera
            if camera.head is None and camera.failure is not None and name not in self._failures:
                self._failures[name] = camera.failure
                if self._on_failure is not None:
                    self._on_failure(camera.failure)
        return [camera for camera in cameras if camera.head is not None]

    def close(self) -> None:
        """Stop every thread. Returns when they have ended, or after 2 s at most. May be called twice."""
        for camera in self._cameras:
            camera.lane.stop()
        deadline = time.monotonic() + _JOIN_S
        for camera in self._cameras:
            if camera.thread.is_alive():
                camera.thread.join(max(0.0, deadline - time.monotonic()))
