"""``reidpipe evaluate``: how good a result is."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure results against truth.")


@app.callback()
def root() -> None:
    """Measure results against truth."""
