"""``reidpipe train`` and ``search``: the OSNet workbench; needs the extra ``torch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reidpipe.errors import MissingExtraError

__all__ = ["needs_torch", "search_command", "train_command"]

Recipe = Annotated[Path, typer.Argument(help="YAML recipe, see configs/reid.")]


def train_command(
    recipe: Recipe,
    fresh: Annotated[bool, typer.Option("--fresh", help="Refuse to go on from a checkpoint that is there.")] = False,
) -> None:
    """Train an embedder by a recipe; goes on from its last checkpoint. Ctrl-C leaves one."""
    needs_torch()
    from reidpipe.reid.config import load_train_config
    from reidpipe.reid.trainer import train

    path = train(load_train_config(recipe), resume=not fresh, on_log=lambda row: typer.echo(str(dict(row)), err=True))
    typer.echo(str(path))


def search_command(recipe: Recipe) -> None:
    """Search for an architecture; prints the derived child, which ``train`` takes as it is."""
    needs_torch()
    from reidpipe.reid.search import load_search_config, search

    child = search(load_search_config(recipe), on_log=lambda row: typer.echo(str(dict(row)), err=True))
    typer.echo(str(child))


def needs_torch() -> None:
    """Say in one line what to install.

    Raises:
        MissingExtraError: torch is not there.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtraError("torch", extra="torch", why="the OSNet workbench")
