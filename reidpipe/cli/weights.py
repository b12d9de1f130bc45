"""``reidpipe weights``: which models there are, whether they are whole, and getting more."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List, verify and fetch models.")
Names = Annotated[list[str] | None, typer.Argument(help="Names of models; default: all.")]


@app.command("list")
def list_command() -> None:
    """Every model that is known by name: what it is, whether it is here, and its licence."""
    from rich.console import Console
    from rich.table import Table

    from reidpipe.weights import find_file, load_manifest

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "input", "MB", "here", "licence"):
        table.add_column(heading)
    for model in load_manifest().models:
        size = f"{model.input_size[0]}x{model.input_size[1]}"
        here = "yes" if find_file(model) else "no"
        table.add_row(model.name, model.kind, size, f"{model.size / 1e6:.1f}", here, model.licence)
    Console(width=None if typer.get_terminal_size().columns > 100 else 160).print(table)


@app.command()
def verify(names: Names = None) -> None:
    """Check the files that are here against their sha256; exit 2 when one is damaged."""
    from reidpipe.errors import WeightsError
    from reidpipe.weights import verify as check

    bad = 0
    for model, path, problem in check(names):
        state = problem or ("ok" if path else "not here")
        typer.echo(f"{model.name}: {state}" + (f" ({path})" if path and not problem else ""))
        bad += bool(problem)
    if bad:
        raise WeightsError(f"{bad} of the models cannot be used, see above")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of models, or OWNER/REPO/FILE of Hugging Face.")],
    sha256: Annotated[
        str | None, typer.Option(help="Of the file, for a model that the manifest does not know.")
    ] = None,
    trust_first_use: Annotated[
        bool,
        typer.Option("--trust-first-use", help="Take a hub file that nobody vouches for, and remember its sha256."),
    ] = False,
) -> None:
    """Download models by name, resume what was cut off, check their sha256."""
    from reidpipe.download import fetch as download

    for name in names:
        typer.echo(str(download(name, sha256=sha256, trust_first_use=trust_first_use)))
