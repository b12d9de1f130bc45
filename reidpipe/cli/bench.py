"""``reidpipe bench``: where the time goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reidpipe.cli.options import ConfigFile, Detector, Duration, Embedder, Settings, given

__all__ = ["bench_command"]


def bench_command(
    sources: Annotated[list[str], typer.Argument(help="Video files, as for run; the samples are a good start.")],
    config: ConfigFile = None,
    settings: Settings = None,
    detector: Detector = None,
    embedder: Embedder = None,
    duration: Duration = None,
    rounds: Annotated[int, typer.Option(help="How often everything is measured; medians are printed.")] = 5,
    peer: Annotated[
        Path | None, typer.Option(help="YOLO model for ultralytics' track(persist=True), measured in the same rounds.")
    ] = None,
) -> None:
    """Milliseconds of each stage, and what a run costs beyond decoding or detecting alone."""
    from reidpipe.bench import bench
    from reidpipe.config import Config

    options = {"detect.model": detector, "embed.model": embedder, "source.duration_s": duration}
    loaded = Config.load(config, overrides=settings or [], values=given(options))
    result = bench(sources, config=loaded, rounds=rounds, peer=peer)
    typer.echo(f"{result.frames} pictures, {rounds} rounds, medians, milliseconds a picture")
    for name, value in result.parts_ms.items():
        typer.echo(f"  {name:<16}{value:8.2f}")
    typer.echo("inside the run with video (stages overlap)")
    for name, value in result.stages_ms.items():
        typer.echo(f"  {name:<16}{value:8.2f}")
    typer.echo(f"run / max(decode, detect)             {result.ratio:.3f}")
    typer.echo(f"run with video / max(decode, detect)  {result.video_ratio:.3f}")
    if result.peer_ratio is not None:
        typer.echo(f"run / ultralytics track               {result.peer_ratio:.3f}")
