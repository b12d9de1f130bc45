"""``reidpipe run``: cameras in, global identities out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reidpipe.errors import ConfigError

__all__ = ["run_command"]


def run_command(
    sources: Annotated[
        list[str],
        typer.Argument(help="Video files, image folders or MOTChallenge sequences; NAME=PATH names a camera."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("out"),
    force: Annotated[
        bool, typer.Option("--force", help="Replace the results of an earlier run in that folder.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, for instance track.max_age_s=2; may be repeated.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="Name of a shipped detector, or a path (.onnx, .xml, .pt).")
    ] = None,
    embedder: Annotated[str | None, typer.Option(help="Name of a shipped embedder, or a path (.onnx, .xml).")] = None,
    tracker: Annotated[str | None, typer.Option(help="Name of a tracker, for instance bytetrack or deepsort.")] = None,
    detections: Annotated[
        list[str] | None,
        typer.Option(
            help="Replay a MOTChallenge detection file instead of detecting: CAMERA=PATH, one for each camera."
        ),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="auto, onnxruntime, openvino or torch.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of one inference; default: the number of cores.")] = None,
    start: Annotated[float | None, typer.Option(help="Seconds to skip at the start of every file.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds to read of every file.")] = None,
    every: Annotated[
        int | None, typer.Option(help="Detect on every n-th picture; the tracker predicts between.")
    ] = None,
    save_video: Annotated[
        bool | None, typer.Option("--save-video/--no-save-video", help="Write an annotated video of every camera.")
    ] = None,
    trace: Annotated[float | None, typer.Option(help="Draw where people came from, for so many seconds.")] = None,
    thumbnails: Annotated[
        bool | None, typer.Option("--thumbnails/--no-thumbnails", help="Write a small picture of each identity.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
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
    chosen = {key: value for key, value in options.items() if value is not None}
    loaded = Config.load(config, overrides=settings or [], values=chosen)
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
