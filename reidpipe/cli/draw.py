"""``reidpipe draw``: the videos of a run, once more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reidpipe.cli.options import EXIT_INTERRUPTED, Quiet, RunFolder, Trace, given

__all__ = ["draw_command"]

Blur = Annotated[
    str | None, typer.Option(help="nobody, heads or people: make them unrecognisable; as the run, unless given.")
]


def draw_command(folder: RunFolder = Path("out"), blur: Blur = None, trace: Trace = None, quiet: Quiet = False) -> None:
    """Draw the videos of a recorded run again: after Ctrl-C, after --no-save-video, or with heads blurred."""
    from reidpipe.cli.progress import console_progress, stop_on_signals
    from reidpipe.redraw import redraw

    changes = given({"blur": blur, "trace_s": trace})
    with stop_on_signals() as stop, console_progress(quiet=quiet) as progress:
        for warning in redraw(folder, changes=changes, progress=progress, stop=stop):
            progress.note(f"warning: {warning}")
    if not quiet:
        typer.echo(folder / "video")
    if stop.is_set():
        raise typer.Exit(EXIT_INTERRUPTED)
