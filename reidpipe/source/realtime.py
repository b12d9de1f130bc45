"""A recording played as if it were a live camera: by the wall clock, late pictures dropped, over when it is over."""

from __future__ import annotations

import threading
from functools import partial

from reidpipe.errors import SourceError
from reidpipe.source.mailbox import Mailbox
from reidpipe.source.wallclock import RunClock
from reidpipe.stages import Source, SourceInfo

__all__ = ["RealtimeSource"]

_LATE_S = 1.0
_JOIN_S = 0.5


class RealtimeSource:
    """Puts each picture into the mailbox when its time has come.

    Where the file cannot be decoded that fast, pictures come late; by more than a second, and the rest is shown so much
    later, as a camera would whose clock was set.

    Args:
        source: the recording; closed with this.
        clock: wall clock that the cameras of a run share.

    Attributes:
        box: the newest picture, and what happened.
        reconnects: 0: a recording has no connection.
        stalls: 0.
    """

    def __init__(self, source: Source, *, clock: RunClock) -> None:
        self._source = source
        self._clock = clock
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._begin = 0.0
        self.box = Mailbox(source.camera)
        self.reconnects = 0
        self.stalls = 0

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self._source.camera

    @property
    def info(self) -> SourceInfo:
        """What the recording says, and that it is played live."""
        info = self._source.info
        return SourceInfo(info.uri, info.width, info.height, info.fps, info.frame_count, True, info.warnings)

    def start(self) -> None:
        """Begin to play, in a thread of its own. More calls change nothing."""
        if self._thread is None:
            self._begin = self._clock.monotonic()
            self._thread = threading.Thread(target=self._run, name=f"realtime-{self.camera}", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop playing. May be called twice."""
        self._closed.set()
        self._source.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _run(self) -> None:
        reason = ""
        try:
            self._play()
        except SourceError as error:
            reason = str(error).removeprefix(f"{self.camera}: ")
        except Exception as error:  # one camera's trouble must not end its thread without a word
            reason = f"reading failed: {type(error).__name__}: {error}"
        self.box.wait_taken(_LATE_S, self._closed)
        self.box.change("ended", self._clock.now(), reason)

    def _play(self) -> None:
        first_s: float | None = None
        for frame in self._source.frames():
            first_s = frame.time_s if first_s is None else first_s
            due = self._begin + frame.time_s - first_s
            wait_s = due - self._clock.monotonic()
            if wait_s > 0 and self._closed.wait(wait_s):
                return
            if self._closed.is_set():
                return
            if wait_s < -_LATE_S:
                self._begin -= wait_s
                due -= wait_s
            self.box.change("up", self._clock.at(due))
            self.box.put(self._clock.at(due), partial(getattr, frame, "image"))
