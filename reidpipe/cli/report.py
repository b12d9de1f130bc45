"""``reidpipe report``: the HTML report of a run, once more."""

from __future__ import annotations

from pathlib import Path

import typer

from reidpipe.cli.options import RunFolder

__all__ = ["report_command"]


def report_command(folder: RunFolder = Path("out")) -> None:
    """Build report.html of a run again: one file, to be opened in a browser, that needs no network."""
    from reidpipe.report import build_report

    typer.echo(build_report(folder))
