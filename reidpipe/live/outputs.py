"""Where the results of a live run go; nothing here waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from reidpipe.associate.diary import Album
from reidpipe.config import Config
from reidpipe.errors import SinkError
from reidpipe.live.ending import Ending
from reidpipe.live.memory import Memory
from reidpipe.live.recorder import Recorder
from reidpipe.settings import LiveSettings
from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.files import to_json
from reidpipe.sinks.jsonl import frame_record
from reidpipe.sinks.remote import STDOUT, StdoutWriter, open_remote
from reidpipe.sinks.spool import Lines, LineSpool, RotatingWriter
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.types import FrameResult

__all__ = ["Outputs", "open_outputs"]

_MB = 1_000_000
_LINES_S, _LINES_BY_S = 2.0, 3.0
_VIDEO_S, _VIDEO_BY_S = 3.0, 3.0


class Outputs:
    """``frames.jsonl`` and ``events.jsonl``, rotated, and what identities.json will be made of.

    Args:
        folder: of the run.
        settings: of live runs.
        thumbnails: keep a picture of each track.
        recorder: gets every picture; closed with this.
        stream: gets every line of both files, as they come; closed with this. None: standard output when ``-`` is among
            the addresses that events are sent to.
        album: takes the pictures of tracks into the store, and knows when that cannot be written; None: no store.

    Raises:
        SinkError: a file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        settings: LiveSettings,
        *,
        thumbnails: bool,
        recorder: Recorder | None = None,
        stream: Lines | None = None,
        album: Album | None = None,
    ) -> None:
        self._recorder = recorder
        self._album = album
        if stream is None and STDOUT in settings.send:
            stream = StdoutWriter()
        with ExitStack() as stack:
            if recorder is not None:
                stack.callback(recorder.end)
            self._frames = stack.enter_context(closing(_spool(folder / "frames.jsonl", settings)))
            self._event_lines = stack.enter_context(closing(_spool(folder / "events.jsonl", settings)))
            self._remote = [
                stack.enter_context(closing(LineSpool(open_remote(address), name="send")))
                for address in settings.send
                if address != STDOUT
            ]
            self._stream = [] if stream is None else [stack.enter_context(closing(LineSpool(stream, name="stream")))]
            lines = _Tee(self._event_lines, *self._remote, *self._stream)
            self._frame_lines = _Tee(self._frames, *self._stream)
            self.events = EventsSink(folder / "events.jsonl", lines=lines)
            self.memory = Memory(settings.max_tracks, ThumbnailKeeper(folder) if thumbnails else None, album=album)
            stack.callback(self.memory.close)
            self._stack = stack.pop_all()

    @property
    def _spools(self) -> tuple[LineSpool, ...]:
        return (self._frames, self._event_lines, *self._remote, *self._stream)

    @property
    def lost_lines(self) -> int:
        """Lines that could not be written."""
        return sum(spool.lost for spool in self._spools)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why lines cannot be written or delivered now; empty when they can."""
        found = [spool.error for spool in self._spools]
        if self._recorder is not None:
            found.append(self._recorder.error)
        if self._album is not None:
            found.append(self._album.trouble)
        return tuple(dict.fromkeys(error for error in found if error is not None))

    @property
    def lost_pictures(self) -> int:
        """Pictures that were not recorded."""
        return 0 if self._recorder is None else self._recorder.lost

    def write(self, result: FrameResult, age_s: float) -> None:
        """Take one picture; ``age_s``: how long ago it was taken, seconds."""
        self._frame_lines.write(to_json(frame_record(result) | {"age_s": round(max(age_s, 0.0), 4)}))
        self.events.write(result)
        if self._recorder is not None:
            self._recorder.write(result)
        self.memory.links(result.links)
        try:
            self.memory.see(result)
        except SinkError:
            # No room for a thumbnail: the run goes on without this one; the spools tell of the disk.
            return

    def end_camera(self, camera: str) -> None:
        """A camera is taken out."""
        if self._recorder is not None:
            self._recorder.end_camera(camera)

    def end_pictures(self) -> None:
        """No picture comes any more; does not wait."""
        if self._recorder is not None:
            self._recorder.end()

    def close(self, ending: Ending) -> None:
        """Write what waits: lines for two seconds at most, video for three; less where the end of the run says so."""
        self.end_pictures()
        for spool in self._spools:
            spool.end(ending.seconds(_LINES_S, by=_LINES_BY_S))
        if self._recorder is not None and not self._recorder.close(ending.seconds(_VIDEO_S, by=_VIDEO_BY_S)):
            ending.leave_out("the index of recorded video (it plays all the same)")
        self._stack.close()


def open_outputs(
    folder: Path,
    config: Config,
    *,
    fps: Callable[[str], float],
    stream: Lines | None = None,
    album: Album | None = None,
) -> Outputs:
    """The outputs that a config asks for.

    Args:
        folder: of the run.
        config: the settings.
        fps: camera -> pictures per second now, for recorded video.
        stream: see ``Outputs``.
        album: see ``Outputs``.

    Raises:
        SinkError: a file cannot be made.
    """
    live, output = config.live, config.output
    recorder = None
    if live.record:
        recorder = Recorder(
            folder / "video",
            fps=fps,
            segment_s=live.record_s,
            quota_bytes=round(live.record_gb * 1e9),
            trace_s=output.trace_s,
            crf=output.crf,
            preset=output.preset,
        )
    return Outputs(folder, live, thumbnails=output.thumbnails, recorder=recorder, stream=stream, album=album)


class _Tee:
    """Gives each line to several spools."""

    def __init__(self, *spools: LineSpool) -> None:
        self._spools = spools

    def write(self, line: bytes) -> None:
        for spool in self._spools:
            spool.write(line)

    def close(self) -> None:
        for spool in self._spools:
            spool.close()


def _spool(path: Path, settings: LiveSettings) -> LineSpool:
    writer = RotatingWriter(
        path,
        max_bytes=max(1, round(settings.rotate_mb * _MB)),
        max_age_s=settings.rotate_s,
        keep=settings.keep_files,
    )
    return LineSpool(writer, name=f"write-{path.stem}")
