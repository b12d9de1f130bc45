"""A live stream opened through PyAV: pictures as they come, time-outs that interrupt, errors without addresses."""

from __future__ import annotations

import errno
import math
import platform
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import VideoReformatter

from reidpipe.types import Image

__all__ = [
    "LiveStream",
    "Opener",
    "RawPicture",
    "Stream",
    "StreamError",
    "Transport",
    "open_container",
    "open_stream",
]

Transport: TypeAlias = Literal["tcp", "udp"]
Hurry: TypeAlias = Literal[0, 1, 2]

_MICROSECONDS = 1_000_000
_ANALYZE_S = 1
_REORDER_S = 0.3
_OFTEN_S = 1.2
_NETWORK = "rtp,rtsp,rtsps,srtp,udp,tcp,tls,http,https,httpproxy,crypto,data,rtmp,rtmps,srt"
# These carry no times of the camera: what FFmpeg calls pts is a count of pictures at a guessed rate.
_UNTIMED = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "image2pipe", "jpeg_pipe", "png_pipe"})
_ERRORS = (av.FFmpegError, OSError, ValueError, RuntimeError)
_SKIP: dict[int, str] = {0: "DEFAULT", 1: "NONREF", 2: "NONKEY"}


class StreamError(Exception):
    """A stream cannot be opened or read on: one line, made here, never FFmpeg's (which quotes the address)."""


class RawPicture(NamedTuple):
    """A decoded picture, not converted yet.

    Attributes:
        pts_s: the camera's time stamp, seconds; None when it gives none.
        make: converts to uint8 ``(H, W, 3)`` BGR.
        width: pixels.
        height: pixels.
    """

    pts_s: float | None
    make: Callable[[], Image]
    width: int
    height: int


class Stream(Protocol):
    """What a live source needs of an open stream; the tests have one of their own."""

    @property
    def fps(self) -> float:
        """As the stream says, 0.0 when it does not."""
        ...

    @property
    def damaged(self) -> int:
        """Packets or pictures that could not be decoded so far."""
        ...

    def pictures(self) -> Iterator[RawPicture | None]:
        """Pictures as they come; None for a packet that gave none. Ends or raises ``StreamError`` with the stream."""
        ...

    def hurry(self, level: Hurry) -> None:
        """We are behind: 1 leaves out pictures no other one needs, 2 all up to the next key picture."""
        ...

    def close(self) -> None:
        """Give it back. May be called twice."""
        ...


class Opener(Protocol):
    """Opens a stream, or raises ``StreamError``."""

    def __call__(self, address: str, *, transport: Transport, open_s: float, read_s: float) -> Stream:
        """See ``open_stream``."""
        ...


def open_stream(address: str, *, transport: Transport, open_s: float, read_s: float) -> Stream:
    """Open an address or a webcam, see ``open_container``.

    Raises:
        StreamError: it cannot be opened in time.
    """
    container = open_container(address, transport=transport, open_s=open_s, read_s=read_s)
    try:
        return LiveStream(container, read_s=read_s)
    except BaseException:
        container.close()
        raise


def open_container(address: str, *, transport: Transport, open_s: float, read_s: float) -> Any:
    """What PyAV opens, for a ``LiveStream``.

    Args:
        address: ``rtsp://...``, ``http://...`` and so on with credentials, or the number of a webcam.
        transport: of RTSP.
        open_s: longest wait until the stream is understood, seconds.
        read_s: longest wait for data, seconds.

    Raises:
        StreamError: it cannot be opened in time.
    """
    file, form, options = _how(address, transport, open_s)
    try:
        return av.open(file, format=form, options=options, timeout=(open_s, read_s), metadata_errors="replace")
    except _ERRORS as error:
        raise StreamError(_explain(error, open_s)) from None  # the cause holds the address


def _how(address: str, transport: Transport, open_s: float) -> tuple[str, str | None, dict[str, str]]:
    """File name, format and options for FFmpeg."""
    if address.isdigit():
        return _webcam(int(address))
    scheme = address.partition("://")[0].lower()
    options = {
        "protocol_whitelist": _NETWORK,
        "analyzeduration": str(_ANALYZE_S * _MICROSECONDS),
        "fpsprobesize": "2",  # we measure the rate ourselves
        "fflags": "nobuffer",
    }
    timeout = str(round(open_s * _MICROSECONDS))
    if scheme in ("rtsp", "rtsps"):
        options |= {
            "rtsp_transport": transport,
            "timeout": timeout,
            "allowed_media_types": "video",
            "max_delay": str(round(_REORDER_S * _MICROSECONDS)),
        }
        if transport == "udp":
            options["buffer_size"] = str(1 << 21)  # a key picture arrives in one burst
        return address, "rtsp", options
    options["rw_timeout"] = timeout
    return address, None, options


def _webcam(number: int) -> tuple[str, str | None, dict[str, str]]:
    if platform.system() == "Linux":
        return f"/dev/video{number}", "v4l2", {}
    if platform.system() == "Darwin":
        return str(number), "avfoundation", {"framerate": "30"}
    raise StreamError("webcams by number are not supported on this system: give an rtsp:// or http:// address")


def _explain(error: BaseException, wait_s: float) -> str:
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"no answer within {wait_s:g} s"
    known: dict[type[BaseException], str] = {
        av.error.HTTPUnauthorizedError: "the camera refuses user name or password (401)",
        av.error.HTTPForbiddenError: "the camera refuses access (403)",
        av.error.HTTPNotFoundError: "the camera has no such stream (404)",
        ConnectionRefusedError: "connection refused: nothing listens at this address",
        av.error.EOFError: "the stream ended",
        av.error.InvalidDataError: "what comes is not a video stream",
    }
    for kind, text in known.items():
        if isinstance(error, kind):
            return text
    if getattr(error, "errno", None) == errno.EIO:  # what FFmpeg says of unknown names and of broken connections
        return "the address cannot be reached, or the connection broke"
    said = getattr(error, "strerror", None)  # FFmpeg's text for the number: without address
    return f"{said or type(error).__name__}".splitlines()[0]


class LiveStream:
    """An open container of PyAV; used by one thread.

    Args:
        container: what ``av.open`` gave.
        read_s: its read time-out, seconds, for messages.

    Raises:
        StreamError: there is no video in it.
    """

    def __init__(self, container: Any, *, read_s: float) -> None:
        self._container = container
        self._read_s = read_s
        self.damaged = 0
        self._hurry: Hurry = 0
        self._until_key = False
        self._skipped = 0
        self._key_s = math.inf  # time of the last key picture, and between the last two
        self._key_gap_s = math.inf
        films = [stream for stream in container.streams.video if stream.codec_context is not None]
        if not films:
            raise StreamError("the stream holds no video that can be decoded")
        self._stream: Any = films[0]
        context = self._stream.codec_context
        context.thread_count = 1  # frame threads would hold pictures back
        context.flags |= Flags.low_delay
        self._context = context
        self._intra_only = bool(context.codec.intra_only)
        self._timed = not (set(container.format.name.split(",")) & _UNTIMED)
        self._reformatter = VideoReformatter()

    @property
    def fps(self) -> float:
        """As the stream says, 0.0 when it does not or when nobody can believe it."""
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        return rate if self._timed and 0 < rate <= 240 else 0.0

    def pictures(self) -> Iterator[RawPicture | None]:
        """Pictures as they come; None for a packet that gave none.

        Raises:
            StreamError: it ended, or nothing came for so long.
        """
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except _ERRORS as error:
                raise StreamError(self._why(error)) from None
            if packet is None or packet.size == 0:
                raise StreamError("the stream ended")
            decoded = self._decode(packet)
            if not decoded:
                yield None
            for picture in decoded:
                yield self._raw(picture)

    def _why(self, error: BaseException) -> str:
        if isinstance(error, av.error.ExitError | TimeoutError):
            return f"no data for {self._read_s:g} s"
        return _explain(error, self._read_s)

    def _decode(self, packet: Any) -> list[Any]:
        """Pictures that a packet brings; none when it is left out to catch up, or damaged."""
        self._note_key(packet)
        if self._intra_only:
            # Each stands alone: every second or fourth is enough until we have caught up.
            self._skipped = (self._skipped + 1) % (1, 2, 4)[self._hurry]
            if self._skipped:
                return []
        elif self._until_key and self._hurry < 2:
            if not packet.is_keyframe:
                return []
            self._until_key = False
            self._context.skip_frame = _SKIP[self._hurry]
        try:
            decoded = list(self._context.decode(packet))
        except (*_ERRORS, EOFError):
            self.damaged += 1
            return []
        self.damaged += sum(bool(picture.is_corrupt) for picture in decoded)
        return decoded

    def _note_key(self, packet: Any) -> None:
        if packet.is_keyframe and packet.dts is not None and packet.time_base:
            now_s = float(packet.dts * packet.time_base)
            self._key_gap_s = now_s - self._key_s if now_s > self._key_s else math.inf
            self._key_s = now_s

    def _raw(self, picture: Any) -> RawPicture:
        pts_s = None
        if self._timed and picture.pts is not None and picture.time_base:
            pts_s = float(picture.pts * picture.time_base)
        return RawPicture(pts_s, lambda: self._convert(picture), int(picture.width), int(picture.height))

    def _convert(self, picture: Any) -> Image:
        try:
            bgr = self._reformatter.reformat(picture, format="bgr24", threads=1).to_ndarray()
        except av.FFmpegError as error:
            raise ValueError(_explain(error, 0.0)) from None
        return np.ascontiguousarray(bgr)

    def hurry(self, level: Hurry) -> None:
        """Skip without decoding: see ``Stream``. Key pictures alone will do only where they come often."""
        if level == 2 and self._key_gap_s > _OFTEN_S:
            level = 1
        if level == self._hurry:
            return
        # After pictures that others refer to were left out, only a key picture is whole again.
        self._until_key = self._until_key or self._hurry == 2
        self._hurry = level
        if not self._intra_only and (not self._until_key or level == 2):
            self._context.skip_frame = _SKIP[level]

    def close(self) -> None:
        """Close the container. May be called twice."""
        self._container.close()
