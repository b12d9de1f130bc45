"""Puts the commands together, and turns errors into one line.

Only typer is imported here and at the top of the command files: ``--help`` must not wait for OpenCV or onnxruntime.
"""

from __future__ import annotations

import os
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from reidpipe import __version__
from reidpipe.cli import (
    bench,
    config,
    draw,
    evaluate,
    explain,
    export,
    find,
    models,
    report,
    run,
    samples,
    store,
    tune,
    weights,
    workbench,
)
from reidpipe.cli.options import EXIT_INTERRUPTED
from reidpipe.errors import ReidpipeError, StageError

__all__ = ["app"]

EXIT_ERROR = 2


class Commands(TyperGroup):
    """The root group: one line for what went wrong, the traceback only for bugs."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ReidpipeError as error:
            if isinstance(error, StageError) or os.environ.get("REIDPIPE_DEBUG"):
                traceback.print_exception(error.__cause__ or error)
            typer.echo(f"reidpipe: {error}", err=True)
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            typer.echo("reidpipe: interrupted", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from error


app = typer.Typer(
    cls=Commands,
    name="reidpipe",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Follows people across cameras: detect, track, re-identify. On a CPU, without calibration.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reidpipe {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Follows people across cameras: detect, track, re-identify. On a CPU, without calibration."""


app.command("run")(run.run_command)
app.command("draw")(draw.draw_command)
app.command("report")(report.report_command)
app.command("find")(find.find_command)
app.add_typer(bench.app, name="bench")
app.command("tune")(tune.tune_command)
app.command("train")(workbench.train_command)
app.command("search")(workbench.search_command)
app.command("export")(export.export_command)
app.command("explain")(explain.explain_command)
app.command("models")(models.models_command)
app.add_typer(weights.app, name="weights")
app.add_typer(config.app, name="config")
app.add_typer(store.app, name="store")
app.add_typer(samples.app, name="samples")
app.add_typer(evaluate.app, name="evaluate")
