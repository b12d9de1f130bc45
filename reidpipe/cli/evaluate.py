"""``reidpipe evaluate``: how good a result is."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reidpipe.evaluate.mot import MotReport

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure results against truth.")


class Metric(StrEnum):
    """How vectors are compared."""

    cosine = "cosine"
    euclidean = "euclidean"


class Split(StrEnum):
    """VIPeR: all people, or the mean over ten halves."""

    all = "all"
    ten = "ten"


Truth = Annotated[Path, typer.Argument(help="Truth: a MOTChallenge file, or a folder of them.")]
Result = Annotated[Path, typer.Argument(help="Result: a MOTChallenge file, or a folder of them.")]
Against = Annotated[Path | None, typer.Option(help="A second result, to compare with.")]
Visibility = Annotated[float, typer.Option(help="Leave out truth that can be seen less than this, 0..1.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def mot(
    truth: Truth,
    result: Result,
    against: Against = None,
    min_visibility: Visibility = 0.0,
    crowded: Annotated[bool, typer.Option(help="MOT20 rules: more classes are ignored.")] = False,
    as_json: AsJson = False,
) -> None:
    """HOTA, CLEAR and identity scores of single cameras, each and combined."""
    from reidpipe.evaluate.mot import evaluate_mot

    reports = {
        str(path): evaluate_mot(truth, path, min_visibility=min_visibility, crowded=crowded)
        for path in (result, against)
        if path is not None
    }
    _print(reports, as_json=as_json)


@app.command()
def mtmc(
    truth: Annotated[Path, typer.Argument(help="Folder with the truth of each camera, CAMERA.txt.")],
    result: Annotated[Path, typer.Argument(help="Folder with the result of each camera, for instance out/mot.")],
    against: Against = None,
    min_visibility: Visibility = 0.0,
    as_json: AsJson = False,
) -> None:
    """The same over several cameras jointly: one person is one id everywhere."""
    from reidpipe.evaluate.mtmc import camera_files, evaluate_mtmc

    reports = {
        str(path): evaluate_mtmc(camera_files(truth), camera_files(path), min_visibility=min_visibility)
        for path in (result, against)
        if path is not None
    }
    _print(reports, as_json=as_json)


@app.command()
def retrieval(
    models: Annotated[list[str], typer.Argument(help="Embedders: names of the manifest, or files.")],
    data: Annotated[list[str], typer.Option(help="SET=FOLDER, for instance viper=data/viper; may be repeated.")],
    metric: Annotated[Metric, typer.Option(help="How vectors are compared.")] = Metric.cosine,
    viper_split: Annotated[Split, typer.Option(help="VIPeR: all people, or ten halves.")] = Split.all,
    rerank: Annotated[bool, typer.Option("--rerank", help="k-reciprocal re-ranking.")] = False,
) -> None:
    """CMC and mAP of embedders on re-identification sets, each by its own protocol."""
    from rich.console import Console

    from reidpipe.embed.osnet import OSNetEmbedder
    from reidpipe.errors import ConfigError
    from reidpipe.evaluate.protocols import embedder_of_files, evaluate_retrieval, retrieval_table

    pairs = [entry.partition("=") for entry in data]
    if any(not (name and folder) for name, _, folder in pairs):
        raise ConfigError("--data takes SET=FOLDER, for instance viper=data/viper")
    folders = {name: Path(folder) for name, _, folder in pairs}
    for model in models:
        embed = embedder_of_files(OSNetEmbedder(model))
        scores = evaluate_retrieval(embed, folders, metric=metric.value, viper_split=viper_split.value, rerank=rerank)
        Console().print(retrieval_table(scores, title=model))


def _print(found: Mapping[str, MotReport], *, as_json: bool) -> None:
    """Tables side by side, or JSON: result -> camera or sequence -> score."""
    from rich.console import Console

    from reidpipe.evaluate.tables import mot_table

    if as_json:
        scores = {name: {**report.sequences, "COMBINED": report.combined} for name, report in found.items()}
        typer.echo(json.dumps(scores, indent=2))
        return
    (first, report), *others = found.items()
    console = Console(width=None if sys.stdout.isatty() else 200)
    for name, other in others:
        console.print(mot_table(report, against=other, title=f"{first} against {name}"))
    if not others:
        console.print(mot_table(report, title=first))
