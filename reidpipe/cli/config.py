"""``reidpipe config``: the settings, with their units and ranges."""

from __future__ import annotations

import typer

from reidpipe.cli.options import ConfigFile, Settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Show the settings.")


@app.callback()
def root() -> None:
    """Show the settings."""


@app.command()
def show(config: ConfigFile = None, settings: Settings = None) -> None:
    """Print the resolved settings as YAML that ``--config`` takes; every field with its unit and range."""
    from reidpipe.config import Config

    typer.echo(Config.load(config, overrides=settings or []).to_yaml(), nl=False)
