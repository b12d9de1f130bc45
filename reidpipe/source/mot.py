"""A sequence of the MOTChallenge as a camera: ``seqinfo.ini`` with a folder of images, or with a video beside it.

Picture ``index`` i is MOT frame ``i + 1``.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from reidpipe.errors import SourceError
from reidpipe.source.file import FileSource
from reidpipe.source.folder import FolderSource

__all__ = ["has_pictures", "is_mot_folder", "open_mot", "read_seqinfo"]

_VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


def is_mot_folder(folder: Path) -> bool:
    """True for a folder that has a ``seqinfo.ini``."""
    return (folder / "seqinfo.ini").is_file()


def open_mot(
    folder: str | Path,
    *,
    camera: str | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    threads: int = 1,
) -> FileSource | FolderSource:
    """Open a MOTChallenge sequence.

    The images are those of ``imDir`` at ``frameRate``. Where that folder is absent, the video that ``video=`` names, or
    the only video in the folder, is taken, with its own time stamps.

    Args:
        folder: has a ``seqinfo.ini``.
        camera: name of the camera; by default the folder's name.
        start_s: skip to this time, seconds.
        duration_s: stop after so many seconds; None: to the end.
        threads: of the video decoder.

    Raises:
        SourceError: no pictures, or a ``seqinfo.ini`` that cannot be read.
    """
    path = Path(folder)
    name = camera or path.resolve().name
    section = read_seqinfo(path, camera=name)
    images = path / section.get("imDir", "img1")
    if images.is_dir():
        fps = _rate(section.get("frameRate"), path, name)
        return FolderSource(images, camera=name, fps=fps, start_s=start_s, duration_s=duration_s, numbered=True)
    video = _video(path, section.get("video"), name)
    return FileSource(video, camera=name, start_s=start_s, duration_s=duration_s, threads=threads)


def has_pictures(folder: Path) -> bool:
    """True for a MOTChallenge sequence that comes with its images or a video; many come with text alone."""
    named = read_seqinfo(folder, camera=folder.name).get("imDir", "img1")
    return (folder / named).is_dir() or any(path.suffix.lower() in _VIDEO_SUFFIXES for path in folder.iterdir())


def read_seqinfo(folder: Path, *, camera: str) -> dict[str, str]:
    """The ``[Sequence]`` section of a ``seqinfo.ini``, names as they are written.

    Raises:
        SourceError: it cannot be read.
    """
    # No interpolation: a % in a name is only a %.
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string((folder / "seqinfo.ini").read_text(encoding="utf-8-sig"))
        return dict(parser["Sequence"])
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError) as error:
        raise SourceError(
            f"{folder / 'seqinfo.ini'} cannot be read: it needs a [Sequence] section", camera=camera
        ) from error


def _rate(text: str | None, folder: Path, camera: str) -> float | None:
    if text is None:
        return None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0 < fps < 10_000:
        raise SourceError(f"{folder / 'seqinfo.ini'}: frameRate={text} is no frame rate", camera=camera)
    return fps


def _video(folder: Path, named: str | None, camera: str) -> Path:
    if named is not None:
        return folder / named
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in _VIDEO_SUFFIXES)
    if len(videos) != 1:
        found = "no image folder and no video" if not videos else "no image folder and several videos"
        raise SourceError(f"{found} in the MOT sequence {folder}: name one with video= in seqinfo.ini", camera=camera)
    return videos[0]
