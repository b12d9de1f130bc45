"""``reidpipe config``: the settings, with their units and ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Show the settings.")


@app.callback()
def root() -> None:
    """Show the settings."""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, for instance track.max_age_s=2; may be repeated.")
    ] = None,
) -> None:
    """Print the resolved settings as YAML that ``--config`` takes; every field with its unit and range."""
    from reidpipe.config import Config

    typer.echo(Config.load(config, overrides=settings or []).to_yaml(), nl=False)
