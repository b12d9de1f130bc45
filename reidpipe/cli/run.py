"""``reidpipe run``: cameras in, global identities out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reidpipe.cli.options import Backend, ConfigFile, Detector, Duration, Embedder, Settings, Start, Threads, given
from reidpipe.errors import ConfigError

__all__ = ["run_command"]

Sources = Annotated[
    list[str], typer.Argument(help="Video files, image folders or MOTChallenge sequences; NAME=PATH names a camera.")
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
    bool | None, typer.Option("--save-video/--no-save-video", help="Write an annotated video of every camera.")
]
Trace = Annotated[float | None, typer.Option(help="Draw where people came from, for so many seconds.")]
Thumbnails = Annotated[
    bool | None, typer.Option("--thumbnails/--no-thumbnails", help="Write a small picture of each identity.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]


def run_command(
    sources: Sources,
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
    quiet: Quiet = False,
) -> None:
    """Follow people through recorded cameras and write who was where, when."""
    from reidpipe.cli.progress import console_progress, print_summary, stop_on_signals
    from reidpipe.config import Config
    from reidpipe.recorded import run

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
        **_replay(detections or []),
    }
    loaded = Config.load(config, overrides=settings or [], values=given(options))
    with stop_on_signals() as stop, console_progress(quiet=quiet) as progress:
        result = run(sources, out, config=loaded, force=force, progress=progress, stop=stop)
    print_summary(result, quiet=quiet)
    if result.status == "interrupted":
        raise typer.Exit(130)


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
