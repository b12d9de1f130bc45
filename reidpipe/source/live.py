"""A live camera: its own thread, the newest picture wins, it is watched, and connected again when it goes away.

source = LiveSource("rtsp://10.0.0.7/stream", camera="gate")
source.start()
frame = source.box.take()        # the newest picture or None, never waits
for change in source.box.changes(): ...      # up, down, ended: when and why
source.close()
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from reidpipe.errors import ConfigError, ReidpipeError, SourceError
from reidpipe.source.backoff import Backoff
from reidpipe.source.credentials import scrub, with_credentials
from reidpipe.source.mailbox import Mailbox
from reidpipe.source.names import redact
from reidpipe.source.stream import Opener, RawPicture, Stream, StreamError, Transport, open_stream
from reidpipe.source.wallclock import FrameClock, RunClock
from reidpipe.stages import SourceInfo
from reidpipe.types import Frame

__all__ = ["LiveSource"]

_STALL_INTERVALS = 5.0
# We join in the middle: the first picture comes with the next key picture, which on thrifty cameras takes long.
_FIRST_PICTURE = 3.0  # times the time-out of the connection
_SLOWEST_S = 60.0  # a camera slower than a picture in twelve seconds is taken for stalled
_SMOOTH = 0.1
_LATE_S = 0.5
_VERY_LATE_S = 1.5
_JOIN_S = 0.5
_POLL_S = 0.5


class LiveSource:
    """An RTSP or HTTP camera or a webcam.

    Nothing is opened before ``start`` (or ``frames``), and a camera that is away is no error: it is tried again, for
    ever or ``max_retries`` times in a row. Size, rate and codec may be others after every connect.

    Args:
        uri: ``rtsp://...``, ``http://...``, or the number of a webcam.
        camera: name of the camera.
        transport: of RTSP: ``tcp`` loses nothing, ``udp`` waits for nothing.
        open_timeout_s: longest wait for a connection, seconds; three times as long for its first whole picture.
        stall_s: shortest silence that counts as a stall, seconds; at a low rate it takes five intervals.
        max_retries: attempts in a row before the camera is given up; None: for ever.
        credentials: YAML file with ``camera or host: user:password``, read at every connect.
        named_credentials: use what the file and the environment keep under the camera's name; False: only what is kept
            for the host, because whoever chose the name need not know the password.
        backoff: waits between attempts.
        clock: wall clock that the cameras of a run share.
        opener: opens the stream; for tests.

    Attributes:
        box: the newest picture, and what happened.
        reconnects: connects after the first one that gave pictures.
        stalls: times that pictures stopped without an error.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        uri: str,
        *,
        camera: str,
        transport: Transport = "tcp",
        open_timeout_s: float = 10.0,
        stall_s: float = 2.0,
        max_retries: int | None = None,
        credentials: str | Path | None = None,
        named_credentials: bool = True,
        backoff: Backoff | None = None,
        clock: RunClock | None = None,
        opener: Opener = open_stream,
    ) -> None:
        if not (0 < open_timeout_s < 3600 and 0 < stall_s < 3600):
            raise ConfigError(f"time-outs must be between 0 and 3600 s, got {open_timeout_s} and {stall_s}")
        if max_retries is not None and max_retries < 0:
            raise ConfigError(f"max_retries must be 0 or more, got {max_retries}")
        self._uri = uri
        self._camera = camera
        self._transport: Transport = transport
        self._open_timeout_s = open_timeout_s
        self._least_stall_s = stall_s
        self._max_retries = max_retries
        self._credentials, self._named_credentials = credentials, named_credentials
        self._backoff = backoff or Backoff()
        self._clock = clock or RunClock()
        self._frame_clock = FrameClock(self._clock)
        self._opener = opener
        self._secrets: tuple[str, ...] = ()
        self._info = SourceInfo(redact(uri), 0, 0, 0.0, None, live=True)
        self._interval_s = 0.0
        self._arrived: float | None = None
        self._connected = False
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.box = Mailbox(camera)
        self.reconnects = 0
        self.stalls = 0

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self._camera

    @property
    def info(self) -> SourceInfo:
        """Size and rate of the newest picture; zeros before the first one."""
        fps = 1.0 / self._interval_s if self._interval_s > 0 else self._info.fps
        return replace(self._info, fps=round(fps, 2))

    @property
    def stall_s(self) -> float:
        """Silence that counts as a stall now, seconds."""
        return min(max(self._least_stall_s, _STALL_INTERVALS * self._interval_s), _SLOWEST_S)

    def start(self) -> None:
        """Begin to read, in a thread of its own. More calls change nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"live-{self._camera}", daemon=True)
            self._thread.start()

    def frames(self) -> Iterator[Frame]:
        """The newest picture each time, until the camera is given up or closed.

        Raises:
            SourceError: given up after ``max_retries``.
        """
        self.start()
        while not self._closed.is_set():
            if self.box.wait(_POLL_S):
                frame = self.box.take()
                if frame is not None:
                    yield frame
                elif self.box.state == "ended":
                    reason = next((c.reason for c in self.box.changes() if c.state == "ended"), "")
                    if reason:
                        raise SourceError(reason, camera=self._camera)
                    return

    def close(self) -> None:
        """Stop reading. Returns within half a second; where FFmpeg waits longer, its thread ends by its time-out."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _run(self) -> None:
        """The camera's thread: connect, read, and again. Whatever breaks here stays here."""
        while not self._closed.is_set():
            reason = self._session()
            if self._closed.is_set():
                break
            now = self._clock.monotonic()
            self.box.change("down", self._clock.at(now if self._arrived is None else self._arrived), reason)
            if self._max_retries is not None and self._backoff.failures >= self._max_retries:
                self.box.change("ended", self._clock.at(now), f"{reason}; given up after {self._max_retries} retries")
                return
            self._closed.wait(self._backoff.next_s())
        self.box.change("ended", self._clock.now())

    def _session(self) -> str:
        """One connection, from open to end; returns why it ended."""
        try:
            address, self._secrets = with_credentials(
                self._uri, camera=self._camera, file=self._credentials, by_name=self._named_credentials
            )
            stream = self._opener(address, transport=self._transport, open_s=self._open_timeout_s, read_s=self.stall_s)
            with closing(stream):
                return self._read(stream)
        except StreamError as error:
            if str(error).startswith("no data"):
                self.stalls += 1
            return scrub(str(error), self._secrets)
        except ReidpipeError as error:
            return scrub(str(error).removeprefix(f"{self._camera}: "), self._secrets)
        except Exception as error:  # one camera's trouble, whatever it is, must not end its thread
            return scrub(f"reading failed: {type(error).__name__}: {error}", self._secrets)

    def _read(self, stream: Stream) -> str:
        self._frame_clock.restart()
        last = self._clock.monotonic()
        damaged = 0
        limit_s = max(_FIRST_PICTURE * self._open_timeout_s, self.stall_s)
        for picture in stream.pictures():
            if self._closed.is_set():
                return "closed"
            now = self._clock.monotonic()
            if picture is not None:
                self._take(stream, picture, now, now - last)
                last, limit_s = now, self.stall_s
                continue
            if stream.damaged > damaged:
                self.box.skip(damaged=True)
            damaged = stream.damaged
            if now - last > limit_s:
                self.stalls += 1
                return f"data, but no picture for {now - last:.1f} s"
        return "the stream ended"

    def _take(self, stream: Stream, picture: RawPicture, now: float, gap_s: float) -> None:
        if self.box.state != "up":
            self._up(stream)
        else:
            known = self._interval_s
            self._interval_s = gap_s if known == 0 else known + _SMOOTH * (min(gap_s, 10 * known) - known)
        self._arrived = now
        self._backoff.reset()
        time_s = self._frame_clock.seconds(picture.pts_s, now)
        if (picture.width, picture.height) != (self._info.width, self._info.height):
            self._info = replace(self._info, width=picture.width, height=picture.height)
        self.box.put(time_s, picture.make)
        late_s = self._clock.at(now) - time_s
        stream.hurry(2 if late_s > _VERY_LATE_S else 1 if late_s > _LATE_S else 0)

    def _up(self, stream: Stream) -> None:
        self.reconnects += self._connected
        self._connected = True
        self._info = replace(self._info, fps=stream.fps)
        self._interval_s = 1.0 / stream.fps if stream.fps > 0 else 0.0
        self.box.change("up", self._clock.now())
