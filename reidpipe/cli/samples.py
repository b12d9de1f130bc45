"""``reidpipe samples``: the synthetic sample cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Make the sample cameras.")


@app.callback()
def root() -> None:
    """Make the sample cameras."""


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="Where to write cam1.mp4, cam2.mp4 and their truth.")] = Path(
        "samples"
    ),
) -> None:
    """Draw the two synthetic sample cameras with their exact truth; the same bytes every time."""
    from reidpipe.synth.samples import make_samples

    for path in make_samples(folder):
        typer.echo(str(path))
