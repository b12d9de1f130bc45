"""A video file opened through PyAV: its video stream, its pictures, and what was wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import av
from av.stream import Disposition

from reidpipe.errors import SourceError

__all__ = ["VideoFile"]

# FFmpeg draws text files as pictures of a terminal; nobody films that way.
_NOT_VIDEO = frozenset({"ansi", "bintext", "xbin", "idf"})
# A playlist that calls itself a video must not make us open addresses.
_OPTIONS = {"protocol_whitelist": "file,crypto,data"}


class VideoFile:
    """An open video file. Use it as a context manager; read ``pictures()`` once.

    Args:
        path: the file.
        camera: named in errors.
        threads: of the decoder; 1 decodes in the calling thread, 0 lets FFmpeg choose.

    Attributes:
        stream: PyAV's video stream.
        packets: how many packets of the stream were read so far.
        damaged: how many packets or pictures were damaged so far.

    Raises:
        SourceError: missing, a folder, not readable, not a video, audio only.
    """

    def __init__(self, path: str, *, camera: str, threads: int = 1) -> None:
        self._path = path
        self._camera = camera
        self.packets = 0
        self.damaged = 0
        self._container = self._open()
        try:
            self.stream = self._video_stream()
            self.stream.codec_context.thread_count = threads
            self.stream.thread_type = "NONE" if threads == 1 else "AUTO"
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._container.close()

    def _open(self) -> Any:
        path, camera = self._path, self._camera
        try:
            file = Path(path)
            if file.is_dir():
                raise SourceError(f"{path} is a folder: give a video file or a folder of images", camera=camera)
            if not file.exists():
                raise SourceError(f"no such file: {path}", camera=camera)
            if file.is_file() and file.stat().st_size == 0:
                raise SourceError(f"{path} is empty (0 bytes)", camera=camera)
            return av.open(path, options=dict(_OPTIONS))
        except PermissionError as error:
            raise SourceError(f"no permission to read {path}", camera=camera) from error
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{path} is not a video that can be read: {_reason(error)}", camera=camera) from error

    def _video_stream(self) -> Any:
        for stream in self._container.streams.video:
            if _films(stream):
                return stream
        raise SourceError(f"{self._path} holds no video stream (audio or text only)", camera=self._camera)

    def tick(self, item: Any) -> int | None:
        """Time stamp of a picture or packet, in ticks of the stream; None when it has none.

        AVI stores no presentation times; what FFmpeg calls ``pts`` there is out of order, its ``dts`` is not.
        """
        tick = item.pts if self.stamps_presentation else item.dts
        return None if tick is None else int(tick)

    @property
    def stamps_presentation(self) -> bool:
        """False for AVI, which stores times of decoding; the last pictures then come without."""
        return str(self._container.format.name) != "avi"

    @property
    def duration_s(self) -> float | None:
        """How long the video stream says it is, seconds; None when it does not say."""
        stream = self.stream
        if stream.duration is not None and stream.time_base:
            return float(stream.duration * stream.time_base)
        text = stream.metadata.get("DURATION", "")  # Matroska: "00:01:02.500000000"
        try:
            hours, minutes, seconds = text.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None

    @property
    def fps(self) -> float:
        """Average pictures per second, 0.0 when the file does not say."""
        return float(self.stream.average_rate or self.stream.guessed_rate or 0)

    @property
    def coded_fps(self) -> float:
        """Pictures per second by the codec's own header, for bare streams without time stamps; 0.0 when it has none.

        FFmpeg calls the average of such a stream 25 whatever it is.
        """
        return float(self.stream.guessed_rate or 0)

    @property
    def expected(self) -> int | None:
        """How many pictures there should be, about; None when unknown."""
        if self.stream.frames > 0:
            return int(self.stream.frames)
        duration_s = self.duration_s
        if duration_s is None and self._container.duration:
            duration_s = self._container.duration / av.time_base
        return None if duration_s is None or self.fps == 0 else max(1, round(duration_s * self.fps))

    def seek(self, tick: int) -> bool:
        """Go to the key picture at or before ``tick``; False when the format cannot."""
        try:
            self._container.seek(tick, stream=self.stream, backward=True)
        except (av.FFmpegError, OSError):
            return False
        return True

    def ticks_until(self, tick: int) -> list[int]:
        """Time stamps of the pictures from the beginning to a little after ``tick``, sorted: packets only, no decoding.

        Empty when the packets carry none.
        """
        ticks = []
        for packet in self._container.demux(self.stream):
            own = self.tick(packet)
            if packet.size == 0 or own is None:
                continue
            if not packet.is_discard:
                ticks.append(own)
            if packet.dts is not None and packet.dts > tick:
                break  # presentation is never before decoding, so nothing earlier can follow
        return sorted(ticks)

    def pictures(self) -> Iterator[Any]:
        """Every picture that can be decoded, in order of presentation, as PyAV frames.

        What is damaged is left out and counted in ``damaged``; a file that breaks off just ends.
        """
        held: Any = None
        for packet in self._demux():
            if held is not None:
                yield from self._decode(held)
                held = None
            if packet.is_corrupt:
                # In the middle it may still help; the last one of a file that was cut off never does, and how much of
                # it would be shown depends on the number of threads.
                held = packet
                self.damaged += 1
            else:
                yield from self._decode(packet)
        yield from self._decode(None)

    def _demux(self) -> Iterator[Any]:
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                self.damaged += 1
                return
            if packet is None:
                return
            if packet.size:
                self.packets += 1
                yield packet

    def _decode(self, packet: Any) -> Iterator[Any]:
        """Pictures that a packet brings; None drains the decoder, which may fail once for each thread."""
        context = self.stream.codec_context
        tries = 1 if packet is not None else 1 + max(1, context.thread_count)
        for _ in range(tries):
            try:
                frames = context.decode(packet)
            except EOFError:
                return
            except (av.FFmpegError, OSError):
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += bool(frame.is_corrupt)
                yield frame
            return


def _films(stream: Any) -> bool:
    """A stream of pictures: no cover of a song, no text drawn as a terminal."""
    context = stream.codec_context
    return (
        context is not None and context.name not in _NOT_VIDEO and not (stream.disposition & Disposition.attached_pic)
    )


def _reason(error: BaseException) -> str:
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
