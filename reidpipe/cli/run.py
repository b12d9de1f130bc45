"""``reidpipe run``: cameras in, global identities out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reidpipe.cli.options import (
    EXIT_INTERRUPTED,
    Backend,
    ConfigFile,
    Detector,
    Duration,
    Embedder,
    Quiet,
    Settings,
    Start,
    Threads,
    Trace,
    days,
    given,
)
from reidpipe.errors import ConfigError

if TYPE_CHECKING:
    from reidpipe.config import Config
    from reidpipe.recorded import RunResult

__all__ = ["run_command"]


class LogForm(StrEnum):
    """How lines on stderr are written."""

    TEXT = "text"
    JSON = "json"


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="Video files, image folders, MOTChallenge sequences, or live cameras (rtsp://, http://, webcam number); "
        "NAME=PATH names a camera."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the results of an earlier run in that folder.")]
Tracker = Annotated[str | None, typer.Option(help="Name of a tracker, for instance bytetrack or deepsort.")]
Replay = Annotated[
    list[str] | None,
    typer.Option(help="Replay a MOTChallenge detection file instead of detecting: CAMERA=PATH, one for each camera."),
]
Every = Annotated[int | None, typer.Option(help="Detect on every n-th picture; the tracker predicts between.")]
Video = Annotated[
    bool | None,
    typer.Option(
        "--save-video/--no-save-video",
        help="Write an annotated video of every camera; live: in segments, off unless asked for.",
    ),
]
Thumbnails = Annotated[
    bool | None, typer.Option("--thumbnails/--no-thumbnails", help="Write a small picture of each identity.")
]
Report = Annotated[
    bool | None, typer.Option("--report/--no-report", help="Write report.html, to be opened in a browser.")
]
Blur = Annotated[
    str | None, typer.Option(help="Make heads or people unrecognisable in every picture that is written or shown.")
]
Realtime = Annotated[bool, typer.Option("--realtime", help="Play recordings as if they were live cameras.")]
Retries = Annotated[
    int | None, typer.Option("--max-retries", help="Live: give a camera up after so many failed connections in a row.")
]
Credentials = Annotated[
    Path | None, typer.Option(help="Live: YAML file with 'camera or host: user:password' in each line.")
]
Send = Annotated[
    list[str] | None,
    typer.Option(
        help="Live: also send events to https://host/hook or mqtt://host:1883/topic; - writes these and the lines of "
        "frames.jsonl to standard output; may be repeated."
    ),
]
Serve = Annotated[
    str | None, typer.Option(help="Live: HOST:PORT of a status page with metrics, for instance 127.0.0.1:8000.")
]
Refine = Annotated[
    bool | None, typer.Option("--refine/--no-refine", help="Files: smooth the boxes and fill short gaps afterwards.")
]
StoreFile = Annotated[
    Path | None, typer.Option("--store", help="File that keeps people from run to run: who is known keeps the number.")
]
Retain = Annotated[
    str | None, typer.Option(help="Delete from the store whoever was not seen for so long: 30d, 12h, 2w.")
]
Offset = Annotated[
    list[str] | None,
    typer.Option(help="CAMERA=SECONDS to add to its clock, for instance cam2=1.8s; may be repeated."),
]
LogLines = Annotated[
    LogForm, typer.Option("--log", help="text, or json: one JSON object a line on stderr for each thing that happens.")
]


def run_command(
    sources: Sources = None,
    out: Out = Path("out"),
    force: Force = False,
    config: ConfigFile = None,
    settings: Settings = None,
    detector: Detector = None,
    embedder: Embedder = None,
    tracker: Tracker = None,
    detections: Replay = None,
    backend: Backend = None,
    threads: Threads = None,
    start: Start = None,
    duration: Duration = None,
    every: Every = None,
    save_video: Video = None,
    trace: Trace = None,
    thumbnails: Thumbnails = None,
    report: Report = None,
    blur: Blur = None,
    realtime: Realtime = False,
    max_retries: Retries = None,
    credentials: Credentials = None,
    serve: Serve = None,
    send: Send = None,
    refine: Refine = None,
    offset: Offset = None,
    store: StoreFile = None,
    retain: Retain = None,
    log: LogLines = LogForm.TEXT,
    quiet: Quiet = False,
) -> None:
    """Follow people through recorded or live cameras and write who was where, when."""
    from reidpipe.config import Config

    options = {
        "runtime.backend": backend,
        "runtime.threads": threads,
        "source.start_s": start,
        "source.duration_s": duration,
        "source.every": every,
        "detect.model": detector,
        "embed.model": embedder,
        "track.name": tracker,
        "output.video": save_video,
        "output.trace_s": trace,
        "output.thumbnails": thumbnails,
        "output.report": report,
        "refine.enabled": refine,
        "output.blur": blur,
        **_store(store, retain),
        **_live(max_retries, credentials, serve, send, record=save_video),
        **_replay(detections or []),
        **_clocks(offset or []),
    }
    loaded = Config.load(config, overrides=settings or [], values=given(options))
    _follow(sources or [], loaded, out, force=force, realtime=realtime, quiet=quiet, as_json=log is LogForm.JSON)


def _follow(
    sources: list[str], config: Config, out: Path, *, force: bool, realtime: bool, quiet: bool, as_json: bool
) -> None:
    """Run, show how it goes, say what came out."""
    from reidpipe.cli.progress import console_progress, print_summary, stop_on_signals

    live = _is_live(sources, realtime=realtime, roster=config.live.cameras)
    run = _live_run(realtime=realtime) if live else _recorded_run()
    with stop_on_signals(as_json=as_json) as stop, console_progress(quiet=quiet, as_json=as_json) as progress:
        result = run(sources, out, config=config, force=force, progress=progress, stop=stop)
    print_summary(result, quiet=quiet, as_json=as_json)
    code = EXIT_INTERRUPTED if result.status == "interrupted" else 0
    if live and stop.is_set():
        _leave(code)
    if code:
        raise typer.Exit(code)


def _is_live(sources: list[str], *, realtime: bool, roster: str | None) -> bool:
    """True when any source is live, or is to be played as if it were, or a file names cameras."""
    from reidpipe.source.names import is_live, split_name

    return realtime or roster is not None or any(is_live(split_name(source)[1]) for source in sources)


def _live_run(*, realtime: bool) -> Callable[..., RunResult]:
    from reidpipe.live import run_live
    from reidpipe.live.trim import settle_allocator

    settle_allocator()
    return partial(run_live, realtime=realtime, cut=partial(os._exit, EXIT_INTERRUPTED))


def _recorded_run() -> Callable[..., RunResult]:
    from reidpipe.recorded import run

    return run


def _leave(code: int) -> None:
    """End the process now: to take nets, decoders and threads apart takes seconds on a busy machine."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _store(path: Path | None, retain: str | None) -> dict[str, Any]:
    """Options of the store as settings."""
    return {
        "store.path": None if path is None else str(path),
        "store.retain_days": None if retain is None else days(retain),
    }


def _live(
    max_retries: int | None, credentials: Path | None, serve: str | None, send: list[str] | None, *, record: bool | None
) -> dict[str, Any]:
    """Options of live runs as settings. Recording for weeks must be asked for."""
    return {
        "live.max_retries": max_retries,
        "live.record": record or None,
        "live.serve": serve,
        "live.send": send,
        "live.credentials": None if credentials is None else str(credentials),
    }


def _clocks(pairs: list[str]) -> dict[str, Any]:
    """``CAMERA=SECONDS`` pairs as a setting of the association."""
    offsets = {}
    for pair in pairs:
        camera, _, text = pair.rpartition("=")
        try:
            offsets[camera] = float(text.strip().removesuffix("s"))
        except ValueError:
            camera = ""
        if not camera:
            raise ConfigError(f"--offset takes CAMERA=SECONDS, for instance cam2=1.8s, got {pair!r}")
    return {"associate.offsets": offsets} if offsets else {}


def _replay(pairs: list[str]) -> dict[str, Any]:
    """``CAMERA=PATH`` pairs as settings of the replay detector."""
    if not pairs:
        return {}
    files = {}
    for pair in pairs:
        camera, equals, path = pair.partition("=")
        if not (camera and equals and path):
            raise ConfigError(f"--detections takes CAMERA=PATH, got {pair!r}")
        files[camera] = path
    return {"detect.name": "replay", "detect.files": files}
