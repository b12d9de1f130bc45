"""``reidpipe models``: the OSNets there are, and what they cost."""

from __future__ import annotations

from typing import Annotated

import typer

from reidpipe.cli.workbench import needs_torch

__all__ = ["models_command"]


def models_command(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or spec files; default: all that have a name.")
    ] = None,
    height: Annotated[int, typer.Option(help="Input height, pixels.")] = 256,
    width: Annotated[int, typer.Option(help="Input width, pixels.")] = 128,
) -> None:
    """Parameters and multiply-adds of architectures, counted on the nets themselves."""
    needs_torch()
    from rich.console import Console
    from rich.table import Table

    from reidpipe.reid.models import build_osnet, count_multiply_adds, count_parameters
    from reidpipe.reid.spec import SPECS

    table = Table(box=None, pad_edge=False)
    for heading in ("model", "parameters", f"multiply-adds at {height}x{width}"):
        table.add_column(heading, justify="left" if heading == "model" else "right", no_wrap=True)
    for name in names or SPECS:
        model = build_osnet(name)
        table.add_row(
            name, f"{count_parameters(model):,}", f"{count_multiply_adds(model, height=height, width=width):,}"
        )
    Console(width=120).print(table)
