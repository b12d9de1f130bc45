"""A video file as a camera: every picture, in seconds, upright, BGR."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source.clock import PtsClock
from reidpipe.source.container import VideoFile
from reidpipe.source.orientation import Orientation
from reidpipe.source.span import Span
from reidpipe.stages import SourceInfo
from reidpipe.types import Frame, Image

__all__ = ["FileSource"]

_GUESSED_FPS = 25.0
_TICK_S = 1e-6
_EARLY_S = 1.0  # a file that ends this much before it says it does was cut off


class FileSource:
    """A recorded video. Opened and checked when made; ``frames()`` may be called again and gives the same bits.

    Args:
        uri: path of the file.
        camera: name of the camera; by default the file's stem.
        start_s: skip to this time, seconds since the first picture. ``index`` and ``time_s`` stay those of the file.
        duration_s: stop after so many seconds; None: to the end.
        threads: of the decoder; 1 decodes in the calling thread, 0 lets FFmpeg choose. Changes no bit of a picture.

    Raises:
        SourceError: missing, empty, not a video, no picture in it, ``start_s`` after the end.
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        uri: str | Path,
        *,
        camera: str | None = None,
        start_s: float = 0.0,
        duration_s: float | None = None,
        threads: int = 1,
    ) -> None:
        if threads < 0:
            raise ConfigError(f"decoder threads must be 0 or more, got {threads}")
        self._path = str(uri)
        self._camera = camera or Path(uri).stem
        self._span = Span(start_s, duration_s)
        self._threads = threads
        self._warnings: dict[str, str] = {}
        self._closed = False
        self._info = self._probe()

    @property
    def camera(self) -> str:
        """Name of the camera."""
        return self._camera

    @property
    def info(self) -> SourceInfo:
        """Size, rate and number of pictures; gains warnings while the file is read."""
        return replace(self._info, warnings=tuple(self._warnings.values()))

    def close(self) -> None:
        """Stop ``frames()`` at its next picture. May be called twice."""
        self._closed = True

    def _probe(self) -> SourceInfo:
        """Decode the first picture: what cannot be decoded must fail before the run starts."""
        with VideoFile(self._path, camera=self._camera) as video:
            first = next(video.pictures(), None)
            if first is None:
                raise SourceError(f"{self._path} holds no picture that can be decoded", camera=self._camera)
            self._origin = video.tick(first)
            rate = video.fps if self._origin is not None else video.coded_fps
            self._fps = rate or _GUESSED_FPS
            if not rate:
                self._warnings["fps"] = f"the file names no frame rate: {_GUESSED_FPS:g} fps taken"
            width, height = self._orientation(first).size(first.width, first.height)
            duration_s, expected = video.duration_s, video.expected
        start_s = self._span.start_s
        if duration_s is not None and start_s > 0 and start_s >= duration_s:
            raise self._starts_late(f"{duration_s:.2f} s long")
        return SourceInfo(self._path, width, height, self._fps, self._span.count(expected, self._fps))

    def _starts_late(self, length: str) -> SourceError:
        return SourceError(
            f"start {self._span.start_s:g} s is after the end of {self._path} ({length})", camera=self._camera
        )

    def _orientation(self, picture: Any) -> Orientation:
        data = picture.side_data.get("DISPLAYMATRIX")
        if data is None:
            return Orientation()
        orientation = Orientation.from_display_matrix(bytes(data))
        if not orientation.exact:
            self._warnings["angle"] = (
                "the file asks for a turn that is no multiple of 90 degrees: the nearest one taken"
            )
        return orientation

    def frames(self) -> Iterator[Frame]:
        """Every picture from ``start_s`` on, images uint8 ``(H, W, 3)`` BGR, upright.

        A damaged or truncated file gives what can be decoded; ``info.warnings`` then says so.

        Raises:
            SourceError: the file is gone, or has no picture at or after ``start_s``.
        """
        given = 0
        for frame in self._from_key_picture() if self._span.start_s > 0 else self._from_beginning():
            if self._closed:
                return
            given += 1
            yield frame
        if given == 0:
            raise self._starts_late("no picture after it")

    def _from_beginning(self) -> Iterator[Frame]:
        with VideoFile(self._path, camera=self._camera, threads=self._threads) as video:
            yield from self._convert(video, video.pictures(), first_index=0)

    def _from_key_picture(self) -> Iterator[Frame]:
        """Seek, and number the pictures as if all had been decoded; where that cannot be done, decode them all."""
        with VideoFile(self._path, camera=self._camera) as video:
            tick = math.ceil(self._span.start_s / video.stream.time_base - 1e-6) + (self._origin or 0)
            ticks = video.ticks_until(tick) if self._origin is not None else []
        wanted = bisect_left(ticks, tick)
        if wanted < len(ticks):
            with VideoFile(self._path, camera=self._camera, threads=self._threads) as video:
                pictures = _from_tick(video, ticks[wanted])
                first = next(pictures, None) if video.seek(ticks[wanted]) else None
                if first is not None:
                    index = wanted - bisect_left(ticks, self._origin or 0)
                    yield from self._convert(video, chain([first], pictures), first_index=index)
                    return
        yield from self._from_beginning()

    def _convert(self, video: VideoFile, pictures: Iterator[Any], *, first_index: int) -> Iterator[Frame]:
        clock = PtsClock(video.stream.time_base, self._origin, self._fps)
        convert = _Converter()
        time_s = 0.0
        for index, picture in enumerate(pictures, first_index):
            time_s = clock.seconds(video.tick(picture))
            if time_s >= self._span.end_s:
                break
            if time_s >= self._span.start_s - _TICK_S:
                yield Frame(self._camera, index, time_s, convert(picture, self._orientation(picture)))
        else:
            self._note_end(video, time_s, whole=first_index == 0)
        self._note_clock(clock, stamped=video.stamps_presentation)
        if video.damaged:
            self._warnings["damaged"] = f"the file is damaged: {video.damaged} pictures could not be decoded fully"

    def _note_end(self, video: VideoFile, last_s: float, *, whole: bool) -> None:
        """The file came to its end: was that where it said it would be?"""
        promised, duration_s = video.stream.frames, video.duration_s
        if whole and 0 < video.packets < promised:
            text = f"{promised} pictures are promised, {video.packets} are there"
        elif duration_s is not None and last_s + 1.0 / self._fps < duration_s - _EARLY_S:
            text = f"{duration_s:.1f} s are promised, the last picture is at {last_s:.1f} s"
        else:
            return
        self._warnings["truncated"] = f"the file ends early, it may be truncated: {text}"

    def _note_clock(self, clock: PtsClock, *, stamped: bool) -> None:
        if clock.missing and stamped:
            self._warnings["missing"] = (
                f"{clock.missing} pictures have no time stamp: spaced by the average rate of {self._fps:g} fps"
            )
        if clock.not_growing:
            self._warnings["growth"] = f"{clock.not_growing} time stamps did not grow and were moved"


def _from_tick(video: VideoFile, tick: int) -> Iterator[Any]:
    """Pictures from the one at exactly ``tick`` on; none when it does not come up."""
    pictures = video.pictures()
    for picture in pictures:
        own = video.tick(picture)
        if own is None or own > tick:
            return
        if own == tick:
            yield picture
            yield from pictures


class _Converter:
    """PyAV frame -> uint8 ``(H, W, 3)`` BGR. Keeps FFmpeg's scaler, which is costly to make, between pictures."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: Any, orientation: Orientation) -> Image:
        # One thread: threads are shared out per stage, and 0.6 ms a 1080p picture needs no more. The array is a view of
        # FFmpeg's own buffer unless its lines are padded.
        bgr: Any = self._reformatter.reformat(picture, format="bgr24", threads=1).to_ndarray()
        return np.ascontiguousarray(orientation.apply(bgr))
