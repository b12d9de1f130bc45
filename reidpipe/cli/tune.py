"""``reidpipe tune``: search a tracker's limits on annotated sequences."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reidpipe.cli.options import ConfigFile, Detector, Embedder, Settings, Threads, given
from reidpipe.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from reidpipe.tune import Outcome

__all__ = ["tune_command"]


class Objective(StrEnum):
    """What is to be as high as possible."""

    hota = "HOTA"
    idf1 = "IDF1"
    mota = "MOTA"


Sequences = Annotated[
    list[str],
    typer.Argument(help="MOTChallenge folders, videos or image folders whose truth is known; NAME=PATH names one."),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for study and result; one that is there is gone on with.")
]
Truth = Annotated[
    list[str] | None, typer.Option(help="NAME=PATH of a truth in MOTChallenge format, where it is not in gt/gt.txt.")
]
Replay = Annotated[
    list[str] | None, typer.Option(help="Replay a MOTChallenge detection file instead of detecting: NAME=PATH.")
]
Tracker = Annotated[str | None, typer.Option(help="Name of a tracker, for instance bytetrack or deepsort.")]
Limits = Annotated[
    list[str] | None,
    typer.Option("--limit", help="Search this limit: max_age_s, or with a range max_age_s=0.5:3; may be repeated."),
]
Goal = Annotated[Objective, typer.Option(help="What is to be as high as possible.", case_sensitive=False)]
Trials = Annotated[int, typer.Option(help="Settings to try in each search, those of earlier sessions counted.")]
Seconds = Annotated[float | None, typer.Option("--time", help="End this session after so many seconds.")]
HoldOut = Annotated[
    bool, typer.Option("--hold-out/--no-hold-out", help="Also search without each sequence, and measure there.")
]
Looks = Annotated[bool, typer.Option("--appearance/--no-appearance", help="Embed everybody, where there are pictures.")]
Refined = Annotated[bool, typer.Option("--refined", help="Measure what a file gets after its end, gaps filled.")]
Seed = Annotated[int, typer.Option(help="Of the search.")]


def tune_command(
    sequences: Sequences,
    out: Out = Path("tune"),
    truth: Truth = None,
    detections: Replay = None,
    config: ConfigFile = None,
    settings: Settings = None,
    tracker: Tracker = None,
    detector: Detector = None,
    embedder: Embedder = None,
    threads: Threads = None,
    limit: Limits = None,
    objective: Goal = Objective.hota,
    trials: Trials = 60,
    time: Seconds = None,
    hold_out: HoldOut = True,
    appearance: Looks = True,
    refined: Refined = False,
    seed: Seed = 0,
) -> None:
    """Search a tracker's limits on sequences whose truth is known; writes a config that ``run`` takes.

    Ctrl-C keeps what was found; the same command goes on. With several sequences each is also measured with limits that
    were found without it: that figure, not the fitted one, is what to expect elsewhere.
    """
    _needs_optuna()
    from reidpipe.cli.progress import stop_on_signals
    from reidpipe.config import Config
    from reidpipe.tune import load_sequence, search_space, sequence_name, tune

    models = {"detect.model": detector, "embed.model": embedder}
    options = {"track.name": tracker, "runtime.threads": threads, **models}
    loaded = Config.load(config, overrides=settings or [], values=given(options))
    search_space(loaded, chosen=limit or [])  # a mistyped limit must not wait for the detector
    truths, replays = _paths(truth, "--truth"), _paths(detections, "--detections")
    known = []
    for uri in sequences:
        paths = {"truth": truths.pop(sequence_name(uri), None), "detections": replays.pop(sequence_name(uri), None)}
        known.append(load_sequence(uri, config=loaded, folder=out, looks=appearance, **paths))
        typer.echo(f"{known[-1].name}: {len(known[-1].frames)} pictures, {known[-1].origin}", err=True)
    if truths or replays:
        raise ConfigError(f"--truth or --detections for {next(iter({**truths, **replays}))}, which is no sequence here")
    with stop_on_signals() as stop:
        outcome = tune(
            known,
            loaded,
            folder=out,
            objective=objective.value,
            limits=limit or [],
            trials=trials,
            time_s=time,
            hold_out=hold_out,
            refined=refined,
            seed=seed,
            stop=stop,
            tell=lambda line: typer.echo(line, err=True),
        )
    _show(outcome, out)


def _show(outcome: Outcome, out: Path) -> None:
    from rich.console import Console

    from reidpipe.evaluate.tables import mot_table

    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(mot_table(outcome.after, against=outcome.before, title="after (and against before)"))
    if outcome.held_out is not None:
        title = "each sequence with limits found without it (and against before)"
        console.print(mot_table(outcome.held_out, against=outcome.before, title=title))
    for name, (old, new) in outcome.changed.items():
        typer.echo(f"track.{name}: {old:g} -> {new:g}")
    typer.echo(outcome.verdict())
    if not outcome.complete:
        typer.echo("not all settings were tried: the same command goes on")
    typer.echo(f"use it: reidpipe run ... --config {out / 'config.yaml'}")


def _paths(pairs: list[str] | None, option: str) -> dict[str, Path]:
    """``NAME=PATH`` pairs."""
    found = [pair.partition("=") for pair in pairs or []]
    if any(not (name and path) for name, _, path in found):
        raise ConfigError(f"{option} takes NAME=PATH")
    return {name: Path(path) for name, _, path in found}


def _needs_optuna() -> None:
    from importlib.util import find_spec

    if find_spec("optuna") is None:
        raise MissingExtraError("optuna", extra="tune", why="reidpipe tune")
