"""The second pass over the pictures: each camera's video with the final global ids, several cameras side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from reidpipe.errors import SourceError
from reidpipe.progress import Progress
from reidpipe.settings import OutputSettings
from reidpipe.sinks.blur import blurred
from reidpipe.sinks.draw import Annotator
from reidpipe.sinks.jsonl import read_frames
from reidpipe.sinks.video import VideoSink
from reidpipe.stages import Source
from reidpipe.types import FrameResult

__all__ = ["draw_videos"]


def draw_videos(
    sources: Sequence[Source],
    folder: Path,
    settings: OutputSettings,
    *,
    frames: dict[str, int],
    progress: Progress,
    stop: threading.Event,
    names: Mapping[int, str] | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Read every source once more and write ``video/<camera>.mp4`` with what ``frames.jsonl`` says.

    Args:
        sources: the cameras; those that gave pictures before give the same again.
        folder: of the run, with ``frames.jsonl``.
        settings: how to draw and encode.
        frames: camera -> pictures that are in ``frames.jsonl``.
        progress: told about every picture.
        stop: when set, every file is finished where it is.
        names: global id -> name, for those who have one.
        overwrite: replace videos that are there; each stays until the new one is finished.

    Returns:
        Warnings about the files, one line each.

    Raises:
        SinkError: a file cannot be written; the others are finished first.
        SourceError: a source does not give its pictures again.
    """
    shown = [source for source in sources if frames[source.camera]]
    progress.phase("draw", {source.camera: frames[source.camera] for source in shown})
    rates = {source.camera: source.info.fps or 25.0 for source in shown}
    sink = VideoSink(
        folder / "video",
        fps=rates,
        annotate=lambda camera: Annotator(trace_s=settings.trace_s, fps=rates[camera], names=names).annotate,
        crf=settings.crf,
        preset=settings.preset,
        overwrite=overwrite,
    )

    def draw(source: Source) -> None:
        for result in _with_pictures(source, folder / "frames.jsonl"):
            if stop.is_set() or failed.is_set():
                break
            sink.write(blurred(result, settings.blur))
            progress.frame(source.camera, people=len(result.tracks))
        sink.close_camera(source.camera)

    failed = threading.Event()
    try:
        _side_by_side(draw, shown, failed)
    finally:
        sink.close()
    return sink.warnings


def _side_by_side(draw: Callable[[Source], None], sources: Sequence[Source], failed: threading.Event) -> None:
    """Draw every camera in a thread of its own; when one fails, tell the others and wait for them."""
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="draw") as workers:
        jobs = [workers.submit(draw, source) for source in sources]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            failed.set()
            wait(jobs)
            raise


def _with_pictures(source: Source, path: Path) -> Iterator[FrameResult]:
    """The results of one camera, each with its picture."""
    pictures = source.frames()
    for result in read_frames(path, camera=source.camera):
        picture = next((frame for frame in pictures if frame.index == result.frame.index), None)
        if picture is None:
            raise SourceError(f"picture {result.frame.index} was there before and is gone now", camera=source.camera)
        yield replace(result, frame=picture)
