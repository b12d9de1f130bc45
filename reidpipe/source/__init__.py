"""Where pictures come from: video files, folders of images, MOTChallenge sequences, live cameras; merged by time.

open_source("lobby.mp4")  ->  FileSource      frames() gives every picture, in seconds, BGR
open_sources(["lobby.mp4", "gate=cam7.mp4"])  ->  a list, each with its own name
CameraMerger(sources)     ->  groups of pictures in order of time, at most one per camera
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reidpipe.errors import ConfigError
from reidpipe.source.names import CameraUri, camera_names, is_live, name_cameras, redact, split_name
from reidpipe.stages import Source

__all__ = [
    "CameraUri",
    "camera_names",
    "is_live",
    "name_cameras",
    "open_source",
    "open_sources",
    "redact",
    "split_name",
]


def open_source(
    uri: str | Path,
    *,
    camera: str | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    fps: float | None = None,
    threads: int = 1,
) -> Source:
    """Open one camera; what it is decides how.

    Args:
        uri: a video file, a folder of images, a MOTChallenge folder, a live camera (``rtsp://``, ``http://``, or
            the number of a webcam: see ``LiveSource``, nothing is opened yet); ``name=uri`` names the camera.
        camera: name of the camera; by default from ``uri``.
        start_s: skip to this time, seconds since the first picture.
        duration_s: stop after so many seconds; None: to the end.
        fps: pictures per second of a folder of images, which has no rate of its own.
        threads: of the video decoder; 1 decodes in the reading thread, 0 lets FFmpeg choose.

    Raises:
        SourceError: missing, or nothing in it that can be decoded.
        ConfigError: a number is out of range.
    """
    name, address = split_name(str(uri))
    name = camera or name or camera_names([address])[0]
    if is_live(address):
        from reidpipe.source.live import LiveSource

        return LiveSource(address, camera=name)
    path = Path(address)
    if not path.is_dir():
        from reidpipe.source.file import FileSource

        return FileSource(address, camera=name, start_s=start_s, duration_s=duration_s, threads=threads)
    from reidpipe.source.mot import is_mot_folder, open_mot

    if is_mot_folder(path):
        return open_mot(path, camera=name, start_s=start_s, duration_s=duration_s, threads=threads)
    from reidpipe.source.folder import FolderSource

    return FolderSource(path, camera=name, fps=fps, start_s=start_s, duration_s=duration_s)


def open_sources(
    uris: Sequence[str],
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    fps: float | None = None,
    threads: int = 1,
) -> list[Source]:
    """Open several cameras with unique names, in the order given; see ``open_source``.

    Raises:
        ConfigError: none given, a name given twice, a number out of range.
        SourceError: one cannot be opened; those already open are closed.
    """
    if not uris:
        raise ConfigError("no source given: name a video file, a folder of images, a MOTChallenge folder, a camera")
    opened: list[Source] = []
    try:
        for name, address in name_cameras(uris):
            source = open_source(address, camera=name, start_s=start_s, duration_s=duration_s, fps=fps, threads=threads)
            opened.append(source)
    except BaseException:
        for source in opened:
            source.close()
        raise
    return opened
