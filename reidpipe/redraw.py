"""The videos of a run once more, from what it wrote: after Ctrl-C, after ``--no-save-video``, or with heads blurred."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reidpipe.config import Config
from reidpipe.drawing import draw_videos
from reidpipe.errors import ConfigError
from reidpipe.progress import Progress, Silent
from reidpipe.report.results import read_people, read_run
from reidpipe.sinks.jsonl import read_frames
from reidpipe.source import is_live, open_sources

__all__ = ["redraw"]


def redraw(
    folder: str | Path,
    *,
    changes: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> tuple[str, ...]:
    """Read the recorded cameras of a run again and write ``video/<camera>.mp4`` with what ``frames.jsonl`` says.

    Nobody is detected, tracked or identified anew: it takes the time of decoding, drawing and encoding.

    Args:
        folder: that ``reidpipe run`` wrote, complete or interrupted. Earlier videos in it are replaced.
        changes: fields of ``OutputSettings`` that differ from those of the run, for instance ``{"blur": "heads"}``.
        progress: told about every picture.
        stop: when set, every file is finished where it is.

    Returns:
        Warnings about the files, one line each.

    Raises:
        ConfigError: no run is there, its cameras were live, or a setting is wrong.
        SourceError: a recording is no longer where it was, or does not give its pictures again.
        SinkError: a video cannot be written.
    """
    folder = Path(folder)
    record = read_run(folder)
    cameras = {source["camera"]: str(source["uri"]) for source in record["sources"]}
    live = next((source["camera"] for source in record["sources"] if source["live"] or is_live(source["uri"])), None)
    if live is not None:
        raise ConfigError(f"{live} was a live camera: its pictures are gone; --save-video records them as they come")
    said = {(stage, key): value for stage in ("output", "source") for key, value in record["config"][stage].items()}
    said |= {("output", key): value for key, value in (changes or {}).items()}
    config = Config.load(values={f"{stage}.{key}": value for (stage, key), value in said.items()})
    frames = Counter(result.frame.camera for result in read_frames(folder / "frames.jsonl"))
    if not frames:
        raise ConfigError(f"{folder} holds no picture to draw: the run ended before the first")
    people = read_people(folder)[0] if (folder / "identities.json").is_file() else ()
    names = {person.global_id: person.name for person in people if person.name}
    with ExitStack() as stack:
        named = [f"{camera}={uri}" for camera, uri in cameras.items() if frames[camera]]
        sources = open_sources(named, start_s=config.source.start_s, duration_s=config.source.duration_s)
        for source in sources:
            stack.callback(source.close)
        return draw_videos(
            sources,
            folder,
            config.output,
            frames=frames,
            progress=progress or Silent(),
            stop=stop or threading.Event(),
            names=names,
            overwrite=True,
        )
