"""``reidpipe train`` and ``search``: the OSNet workbench; needs the extra ``torch``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from reidpipe.errors import ConfigError, MissingExtraError

__all__ = ["needs_torch", "search_command", "train_command"]

Recipe = Annotated[Path, typer.Argument(help="YAML recipe, see configs/reid.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE, for instance budget.images=20000; may be repeated.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        "-s",
        help="Train on this set, not on the recipe's: NAME, NAME=FOLDER or NAME=FOLDER:PART; may be repeated.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def train_command(
    recipe: Recipe,
    sources: Sources = None,
    combineall: Annotated[
        bool, typer.Option("--combineall", help="Train on the train and the test people of every set.")
    ] = False,
    tests: Annotated[
        list[str] | None,
        typer.Option("--test", "-t", help="Score the result on SET=FOLDER, for instance viper=data/viper."),
    ] = None,
    overrides: Overrides = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log to OUTPUT/tensorboard as well.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Refuse to go on from a checkpoint that is there.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train an embedder by a recipe; goes on from its last checkpoint. Ctrl-C leaves one."""
    needs_torch()
    from reidpipe.cli.training import console_training
    from reidpipe.reid.config import combine_all, load_train_config
    from reidpipe.reid.trainer import train

    folders = _folders(tests or ())
    config = load_train_config(recipe, overrides=overrides or (), sources=sources or ())
    config = combine_all(config) if combineall else config
    with ExitStack() as stack:
        shown = stack.enter_context(console_training(quiet=quiet))
        reports = [shown.log]
        if tensorboard:
            from reidpipe.reid.tensorboard import TensorboardLog

            board = TensorboardLog(config.output / "tensorboard")
            stack.callback(board.close)
            reports.append(board)

        def log(row: Mapping[str, Any]) -> None:
            for report in reports:
                report(row)

        path = train(config, resume=not fresh, on_progress=shown.prepare, on_log=log)
    typer.echo(str(path))
    if folders:
        last = config.stages[-1]
        _score(str(config.model), path, folders, height=last.height, width=last.width)


def search_command(recipe: Recipe, sources: Sources = None, overrides: Overrides = None, quiet: Quiet = False) -> None:
    """Search for an architecture, or go on with it; prints the derived child, which ``train`` takes as it is."""
    needs_torch()
    from reidpipe.cli.training import console_training
    from reidpipe.reid.search import load_search_config, search

    config = load_search_config(recipe, overrides=overrides or (), sources=sources or ())
    with console_training(quiet=quiet) as shown:
        child = search(config, on_log=shown.log)
    for block, norm in zip(
        ("conv2.0", "conv2.1", "conv3.0", "conv3.1", "conv4.0", "conv4.1"), child.norms, strict=True
    ):
        typer.echo(f"{block}: {norm}")
    typer.echo(str(config.output / "child.yaml"))


def _folders(tests: Sequence[str]) -> dict[str, Path]:
    pairs = [entry.partition("=") for entry in tests]
    if any(not (name and folder) for name, _, folder in pairs):
        raise ConfigError("--test takes SET=FOLDER, for instance viper=data/viper")
    return {name: Path(folder) for name, _, folder in pairs}


def _score(architecture: str, weights: Path, folders: Mapping[str, Path], *, height: int, width: int) -> None:
    """The cross-domain line of what was trained."""
    from rich.console import Console

    from reidpipe.evaluate.protocols import evaluate_retrieval
    from reidpipe.evaluate.tables import retrieval_table
    from reidpipe.reid.embed import checkpoint_embedder

    embed = checkpoint_embedder(architecture, weights, height=height, width=width)
    Console().print(retrieval_table({weights.name: evaluate_retrieval(embed, folders)}))


def needs_torch() -> None:
    """Say in one line what to install.

    Raises:
        MissingExtraError: torch is not there.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise MissingExtraError("torch", extra="torch", why="the OSNet workbench")
