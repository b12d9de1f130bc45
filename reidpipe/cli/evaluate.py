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
    from reidpipe.evaluate.retrieval import RetrievalScores

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Measure results against truth.")


class Metric(StrEnum):
    """How vectors are compared."""

    cosine = "cosine"
    euclidean = "euclidean"


class Split(StrEnum):
    """All people, or the mean over ten halves."""

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
    confusions: Annotated[
        Path | None, typer.Option(help="Write an HTML page of the people that were split or merged, with pictures.")
    ] = None,
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
    if confusions is not None:
        _confusions(truth, result, confusions, min_visibility=min_visibility)


@app.command()
def retrieval(
    models: Annotated[
        list[str], typer.Argument(help="Embedders: names of the manifest, files, or ARCHITECTURE=CHECKPOINT.pth.")
    ],
    data: Annotated[list[str], typer.Option(help="SET=FOLDER, for instance viper=data/viper; may be repeated.")],
    metric: Annotated[Metric, typer.Option(help="How vectors are compared.")] = Metric.cosine,
    split: Annotated[Split, typer.Option(help="VIPeR, GRID, PRID: all people, or the mean of ten halves.")] = Split.all,
    rerank: Annotated[bool, typer.Option("--rerank", help="k-reciprocal re-ranking.")] = False,
    rank_lists: Annotated[
        Path | None, typer.Option(help="Folder for pictures: a query, then what was found, right in green.")
    ] = None,
    lists: Annotated[int, typer.Option(min=1, help="Pictures for each model and set.")] = 20,
    height: Annotated[int, typer.Option(help="Input height of checkpoints, pixels; models in files say theirs.")] = 256,
    width: Annotated[int, typer.Option(help="Input width of checkpoints, pixels.")] = 128,
    backend: Annotated[str, typer.Option(help="auto, onnxruntime, openvino, tflite or torch.")] = "auto",
    precision: Annotated[str, typer.Option(help="f32; bf16 or f16 let OpenVINO compute in less.")] = "f32",
    threads: Annotated[int, typer.Option(min=1, help="Of one inference.")] = 2,
    as_json: AsJson = False,
) -> None:
    """CMC and mAP of embedders on re-identification sets, each by its own protocol; a cross-domain table of several."""
    from rich.console import Console

    from reidpipe.errors import ConfigError
    from reidpipe.evaluate.protocols import EmbedFiles, Protocol, embedder_of_files, evaluate_retrieval
    from reidpipe.evaluate.tables import retrieval_table

    def opened(model: str) -> EmbedFiles:
        architecture, equals, checkpoint = model.partition("=")
        if equals:
            from reidpipe.cli.workbench import needs_torch

            needs_torch()
            from reidpipe.reid.embed import checkpoint_embedder

            return checkpoint_embedder(architecture, Path(checkpoint), height=height, width=width)
        from reidpipe.embed.osnet import OSNetEmbedder

        return embedder_of_files(OSNetEmbedder(model, backend=backend, precision=precision, threads=threads))

    pairs = [entry.partition("=") for entry in data]
    if any(not (name and folder) for name, _, folder in pairs):
        raise ConfigError("--data takes SET=FOLDER, for instance viper=data/viper")
    folders = {name: Path(folder) for name, _, folder in pairs}
    protocol = Protocol(metric=metric.value, split=split.value, rerank=rerank)
    embedders = {model: opened(model) for model in models}  # a wrong name is told before anything is computed
    found = {}
    for number, (model, embed) in enumerate(embedders.items()):
        pictures = None if rank_lists is None else rank_lists / f"{number}_{Path(model).stem}"
        found[model] = evaluate_retrieval(embed, folders, protocol=protocol, rank_lists=pictures, lists=lists)
    if as_json:
        typer.echo(json.dumps({model: _retrieval_json(scores) for model, scores in found.items()}, indent=2))
        return
    Console(width=None if sys.stdout.isatty() else 200).print(retrieval_table(found))


def _retrieval_json(scores: Mapping[str, RetrievalScores]) -> dict[str, dict[str, float]]:
    """Fractions, as everywhere in JSON."""
    return {
        name: {"queries": one.queries, **{f"rank{k}": one.rank(k) for k in (1, 5, 10, 20)}, "mAP": one.mean_ap}
        for name, one in scores.items()
    }


def _confusions(truth: Path, result: Path, page: Path, *, min_visibility: float) -> None:
    """The page, and its summary in a few lines on standard error."""
    from reidpipe.evaluate.confusions import find_confusions, write_confusions
    from reidpipe.evaluate.mtmc import camera_files

    found = find_confusions(camera_files(truth), camera_files(result), min_visibility=min_visibility)
    write_confusions(page, found, run=result.parent)
    scores = found.scores
    typer.echo(
        f"pieces: pairwise F1 {100 * scores.pair_f1:.1f}, purity {100 * scores.purity:.1f},"
        f" completeness {100 * scores.completeness:.1f}",
        err=True,
    )
    for person, parts in sorted(found.split.items()):
        ids = ", ".join(f"{part.global_id} ({part.total} boxes)" for part in parts)
        typer.echo(f"person {person} has {len(parts)} ids: {ids}", err=True)
    for global_id, parts in sorted(found.merged.items()):
        people = ", ".join(f"{part.person} ({part.total} boxes)" for part in parts)
        typer.echo(f"id {global_id} is {len(parts)} people: {people}", err=True)


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
