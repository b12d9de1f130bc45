"""``reidpipe report``: the HTML report of a run, once more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report_command"]

Folder = Annotated[Path, typer.Argument(help="Folder that reidpipe run wrote.")]


def report_command(folder: Folder = Path("out")) -> None:
    """Build report.html of a run again: one file, to be opened in a browser, that needs no network."""
    from reidpipe.report import build_report

    typer.echo(build_report(folder))
