"""``reidpipe explain``: what an OSNet looks at, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reidpipe.cli.workbench import needs_torch

__all__ = ["explain_command"]


def explain_command(
    architecture: Annotated[str, typer.Argument(help="Name such as osnet_x0_25, or a spec file.")],
    weights: Annotated[str, typer.Argument(help="State dict (.pth), or the name of a checkpoint of the manifest.")],
    images: Annotated[Path, typer.Argument(help="Folder with crops of people, of any depth.")],
    output: Annotated[Path, typer.Argument(help="Folder for the PNG files.")],
    block: Annotated[str, typer.Option(help="Block whose gates are clustered: conv2.0 to conv4.1.")] = "conv4.1",
    clusters: Annotated[int, typer.Option(min=1, help="Clusters of gate vectors.")] = 15,
    count: Annotated[int, typer.Option(min=1, help="Images taken from the folder at most.")] = 1000,
    per_sheet: Annotated[int, typer.Option(min=1, help="Images shown for a cluster.")] = 30,
    maps: Annotated[int, typer.Option(min=1, help="Images shown with their activation map.")] = 16,
    height: Annotated[int, typer.Option(help="Input height, pixels.")] = 256,
    width: Annotated[int, typer.Option(help="Input width, pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Of the choice of images and of k-means.")] = 0,
) -> None:
    """Clusters of gate vectors, activation maps and gate statistics, as PNG."""
    needs_torch()
    from reidpipe.reid.checkpoint import load_weights
    from reidpipe.reid.explain import choose_images, explain
    from reidpipe.reid.models import build_osnet
    from reidpipe.weights import resolve

    model = build_osnet(architecture)
    load_weights(model, resolve(weights, kind="checkpoint").path)
    found = explain(
        model,
        choose_images(images, count=count, seed=seed),
        output,
        block=block,
        clusters=clusters,
        height=height,
        width=width,
        per_sheet=per_sheet,
        maps=maps,
        seed=seed,
    )
    for name, means in zip(found.blocks, found.stream_means.tolist(), strict=True):
        typer.echo(f"{name}: mean gate by stream {', '.join(f'{value:.3f}' for value in means)}")
    for file in found.files:
        typer.echo(str(file))
