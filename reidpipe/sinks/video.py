"""Annotated video: one H.264 MP4 for each camera that plays in a browser, at the pace of the original."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from reidpipe.errors import ConfigError, SinkError
from reidpipe.sinks.files import camera_file, sink_error
from reidpipe.sinks.mp4 import cut_to_whole_fragments, put_index_first
from reidpipe.types import FrameResult, Image

__all__ = ["VideoSink", "VideoWriter"]

_TICKS = 90_000  # per second: a multiple of every usual frame rate
_KEY_EVERY_S = 2.0
# FFmpeg would keep 256 kB to itself: hours of a quiet scene.
_FRAGMENTED = {"movflags": "+frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
# OpenCV's BGR to YUV is BT.601, 16..235: say so, or players guess by the size of the picture.
_BT601 = 6


class VideoWriter:
    """Writes one H.264 (yuv420p) MP4, picture by picture, with the times given (variable rate is kept).

    While it is written the file is ``<name>.part``, in fragments of two seconds: even after a power cut it plays up to
    the last one. ``close`` turns it into a plain MP4 with the index in front. Odd sizes get one row or column more; a
    picture of another size than the first is fitted into that size.

    Args:
        path: the file to be.
        fps: average pictures per second: length of the last picture and distance of key pictures.
        crf: x264 quality 0..51, smaller is better.
        preset: x264 speed.
        threads: of the encoder; 0 lets x264 choose.
        overwrite: replace an existing file.

    Raises:
        SinkError: the file exists or cannot be written.
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        fps: float = 25.0,
        crf: int = 23,
        preset: str = "superfast",
        threads: int = 1,
        overwrite: bool = False,
    ) -> None:
        if not 0 <= crf <= 51 or threads < 0:
            raise ConfigError(f"crf must be 0 to 51 and threads 0 or more, got {crf} and {threads}")
        self.path = Path(path)
        self.warning: str | None = None
        self._part = self.path.with_name(f"{self.path.name}.part")
        self._fps = fps if fps > 0 else 25.0
        self._options = {"crf": str(crf), "preset": preset}
        self._threads = threads
        self._container: Any = None
        self._stream: Any = None
        self._first_s = 0.0
        self._last_pts = -1
        self._failed = False
        if self.path.exists() and not overwrite:
            raise sink_error(self.path, FileExistsError(17, "exists"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.write_bytes(b"")
        except OSError as error:
            raise sink_error(self.path, error) from error

    def write(self, image: Image, time_s: float) -> None:
        """Add one picture.

        Args:
            image: uint8 ``(H, W, 3)`` BGR.
            time_s: when it is shown, seconds; the first one becomes time 0.

        Raises:
            SinkError: it cannot be written (disk full); what was written before can be closed and plays.
        """
        if self._failed:
            raise SinkError(f"cannot write {self.path}: an earlier write failed")
        try:
            if self._container is None:
                self._open(image, time_s)
            frame = _to_frame(image, self._stream.width, self._stream.height)
            # Strictly growing, whatever the rounding of two near times gives.
            self._last_pts = max(round((time_s - self._first_s) * _TICKS), self._last_pts + 1)
            frame.pts, frame.time_base = self._last_pts, Fraction(1, _TICKS)
            self._mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            self._failed = True
            raise sink_error(self.path, error) from error

    def _open(self, image: Image, time_s: float) -> None:
        height, width = image.shape[:2]
        container: Any = av.open(str(self._part), "w", format="mp4", options=dict(_FRAGMENTED))
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options=self._options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, _TICKS)
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        context.gop_size = max(1, round(_KEY_EVERY_S * self._fps))
        context.thread_count = self._threads
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = 1
        self._first_s = time_s
        self._stream = stream
        self._container = container  # last: whoever finds it may use the rest

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = round(_TICKS / self._fps)
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file; without any picture there is none. May be called twice.

        Raises:
            SinkError: the rest could not be written; the file then holds what could, and plays.
        """
        container, self._container = self._container, None
        if container is None:
            self._part.unlink(missing_ok=True)
            return
        failure: BaseException | None = None
        try:
            if not self._failed:
                for packet in self._stream.encode(None):
                    packet.duration = round(_TICKS / self._fps)
                    container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            failure = error
        try:
            container.close()
        except (av.FFmpegError, OSError) as error:
            failure = failure or error
        self._finish(broken=self._failed or failure is not None)
        if failure is not None and not self._failed:
            self._failed = True
            raise sink_error(self.path, failure) from failure

    def _finish(self, *, broken: bool) -> None:
        try:
            if broken and cut_to_whole_fragments(self._part) == 0:
                self._part.unlink()
                return
            try:
                put_index_first(self._part, self.path)
                self._part.unlink()
            except (av.FFmpegError, SinkError) as error:
                # No room for a second copy: the fragmented file is complete and plays too.
                self._part.replace(self.path)
                self.warning = f"{self.path.name} stays in fragments, it could not be rewritten: {error}"
        except OSError as error:
            raise sink_error(self.path, error) from error


class VideoSink:
    """Writes ``<folder>/<camera>.mp4`` for every camera.

    Args:
        folder: where the files go; made.
        fps: camera -> average pictures per second.
        annotate: camera -> a function that draws a result into a picture, for instance ``Annotator(...).annotate``;
            called once for each camera. None: the plain picture.
        crf: x264 quality 0..51, smaller is better.
        preset: x264 speed.
        threads: of each encoder; 0 lets x264 choose.
        overwrite: replace existing files.

    Raises:
        SinkError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        fps: Mapping[str, float],
        annotate: Callable[[str], Callable[[FrameResult], Image]] | None = None,
        crf: int = 23,
        preset: str = "superfast",
        threads: int = 1,
        overwrite: bool = False,
    ) -> None:
        self._folder = Path(folder)
        self._fps = dict(fps)
        self._annotate = annotate
        self._settings: dict[str, Any] = {"crf": crf, "preset": preset, "threads": threads, "overwrite": overwrite}
        self._writers: dict[str, VideoWriter] = {}
        self._draw: dict[str, Callable[[FrameResult], Image]] = {}
        self._warnings: dict[str, str] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise sink_error(self._folder, error) from error

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know about the files."""
        return tuple(self._warnings.values())

    def write(self, result: FrameResult) -> None:
        """Draw and add one picture. Two cameras may be written from two threads.

        Raises:
            SinkError: it cannot be written.
        """
        camera = result.frame.camera
        if camera not in self._writers:
            path = camera_file(self._folder, camera, ".mp4")
            self._writers[camera] = VideoWriter(path, fps=self._fps.get(camera, 0.0), **self._settings)
            self._draw[camera] = _plain if self._annotate is None else self._annotate(camera)
        self._writers[camera].write(self._draw[camera](result), result.frame.time_s)

    def close_camera(self, camera: str) -> None:
        """Finish one camera's file; its next picture would begin it anew."""
        writer = self._writers.get(camera)
        if writer is not None:
            writer.close()
            if writer.warning is not None:
                self._warnings[camera] = writer.warning

    def close(self) -> None:
        """Finish every file, also when one of them fails. May be called twice.

        Raises:
            SinkError: the first failure.
        """
        failure: SinkError | None = None
        for camera in list(self._writers):
            try:
                self.close_camera(camera)
            except SinkError as error:
                failure = failure or error
        self._writers.clear()
        if failure is not None:
            raise failure


def _plain(result: FrameResult) -> Image:
    return result.frame.image


def _to_frame(image: Image, width: int, height: int) -> Any:
    """BGR to a PyAV frame, yuv420p of even size; OpenCV does this three times faster than FFmpeg's scaler."""
    have_height, have_width = image.shape[:2]
    if (have_width + have_width % 2, have_height + have_height % 2) != (width, height):
        image = _fit(image, width, height)
    bottom, right = height - image.shape[0], width - image.shape[1]
    if bottom or right:
        image = np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p")


def _fit(image: Image, width: int, height: int) -> Image:
    """Scale into ``width x height``, shape kept, black around it."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (min(width, max(1, round(image.shape[1] * scale))), min(height, max(1, round(image.shape[0] * scale))))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return canvas
