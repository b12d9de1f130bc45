"""``reidpipe bench``: where the time goes, of files and of live cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from reidpipe.cli.options import ConfigFile, Detector, Duration, Embedder, Settings, given

__all__ = ["app"]

_DEFAULT = "files"


class _FilesFirst(TyperGroup):
    """``bench a.mp4`` is ``bench files a.mp4``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command in where there is none."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FilesFirst, no_args_is_help=True, help="Where the time goes: of files (the default), or of a live camera."
)


@app.command(_DEFAULT)
def files_command(
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


@app.command("live")
def live_command(
    source: Annotated[str, typer.Argument(help="Video file that the camera shows, for instance one of the samples.")],
    config: ConfigFile = None,
    settings: Settings = None,
    detector: Detector = None,
    embedder: Embedder = None,
    fps: Annotated[int, typer.Option(help="Pictures per second of the camera.")] = 15,
    duration: Annotated[float, typer.Option(help="How long, seconds; the first five are not counted.")] = 60.0,
) -> None:
    """Age of a JSON line, from what a camera sees: one camera of a real RTSP server on this machine (GStreamer's)."""
    from reidpipe.config import Config
    from reidpipe.live.latency import measure_latency

    options = {"detect.model": detector, "embed.model": embedder}
    loaded = Config.load(config, overrides=settings or [], values=given(options))
    result = measure_latency(source, config=loaded, fps=fps, seconds=duration)
    typer.echo(f"{result.pictures} of {result.shown} pictures at {fps} fps, load level {result.level}")
    typer.echo(f"glass to JSON  p50 {1000 * result.p50_s:.0f} ms  p99 {1000 * result.p99_s:.0f} ms")
    total_s = sum(result.stages_s.values())
    for name, seconds in result.stages_s.items():
        typer.echo(f"  {name:<10}{1000 * seconds:8.1f} ms{100 * seconds / total_s:6.1f} %")
