"""``reidpipe train``, ``search``, ``export``: the OSNet workbench; needs the extra ``torch`` (``export`` for ONNX)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reidpipe.errors import MissingExtraError

__all__ = ["export_command", "search_command", "train_command"]

Recipe = Annotated[Path, typer.Argument(help="YAML recipe, see configs/reid.")]


def train_command(
    recipe: Recipe,
    fresh: Annotated[bool, typer.Option("--fresh", help="Refuse to go on from a checkpoint that is there.")] = False,
) -> None:
    """Train an embedder by a recipe; goes on from its last checkpoint. Ctrl-C leaves one."""
    _needs_torch()
    from reidpipe.reid.config import load_train_config
    from reidpipe.reid.trainer import train

    path = train(load_train_config(recipe), resume=not fresh, on_log=lambda row: typer.echo(str(dict(row)), err=True))
    typer.echo(str(path))


def search_command(recipe: Recipe) -> None:
    """Search for an architecture; prints the derived child, which ``train`` takes as it is."""
    _needs_torch()
    from reidpipe.reid.search import load_search_config, search

    child = search(load_search_config(recipe), on_log=lambda row: typer.echo(str(dict(row)), err=True))
    typer.echo(str(child))


def export_command(
    architecture: Annotated[str, typer.Argument(help="Name such as osnet_x0_25, or a spec file.")],
    weights: Annotated[Path, typer.Argument(help="State dict (.pth).")],
    output: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    height: Annotated[int, typer.Option(help="Input height, pixels.")] = 256,
    width: Annotated[int, typer.Option(help="Input width, pixels.")] = 128,
    licence: Annotated[str, typer.Option(help="Licence line for the metadata.")] = "",
) -> None:
    """Write an embedder as ONNX; refused when it does not agree with torch at batch 1, 2, 7 and 32."""
    _needs_torch()
    from reidpipe.reid.export import export_checkpoint

    typer.echo(str(export_checkpoint(architecture, weights, output, height=height, width=width, licence=licence)))


def _needs_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtraError("torch", extra="torch", why="the OSNet workbench")
