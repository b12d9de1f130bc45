"""``reidpipe store``: who is kept from run to run, put right, forgotten, moved."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reidpipe.cli.options import days
from reidpipe.errors import ConfigError

if TYPE_CHECKING:
    from reidpipe.associate.store import Store
    from reidpipe.types import TrackKey

__all__ = ["app"]

app = typer.Typer(
    help="People kept by `reidpipe run --store FILE`: look, put right, forget, move.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="The store.", metavar="STORE")]
Id = Annotated[int, typer.Argument(help="Number of the person.", metavar="ID")]
Ids = Annotated[list[int], typer.Argument(help="Numbers of the people.", metavar="ID...")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Sheet = Annotated[Path | None, typer.Option(help="Draw the pictures kept as one picture (.png, .jpg, .webp).")]
Tracks = Annotated[
    list[str], typer.Option("--track", help="RUN:CAMERA:TRACK as `store show` lists it; may be repeated.")
]
NewName = Annotated[str | None, typer.Argument(help="The name; left out: the name is taken away.", metavar="NAME")]
Text = Annotated[Path, typer.Argument(help="The JSON file.", metavar="FILE.json")]
Age = Annotated[str, typer.Argument(help="What was seen in this time stays: 30d, 12h, 2w.", metavar="AGE")]
Pictures = Annotated[bool, typer.Option("--thumbnails/--no-thumbnails", help="The pictures, too.")]


@app.command("list")
def list_command(store: File, json: AsJson = False) -> None:
    """Everybody who is known."""
    with _opened(store, readonly=True) as opened:
        people = opened.people()
        if json:
            _print_json(
                {
                    "schema": "reidpipe.people/1",
                    "embedder": opened.embedder,
                    "sha256": opened.sha256,
                    "people": [
                        {
                            "global_id": p.global_id,
                            "name": p.name,
                            "cameras": p.cameras,
                            "tracklets": p.tracklets,
                            "since_s": p.since_s,
                            "seen_s": p.seen_s,
                        }
                        for p in people
                    ],
                }
            )
            return
        rows = [
            (str(p.global_id), p.name or "", ", ".join(p.cameras), str(p.tracklets), _date(p.since_s), _date(p.seen_s))
            for p in people
        ]
        _print_table(("id", "name", "cameras", "tracklets", "since", "last seen"), rows, right={0, 3})
        size = store.stat().st_size / 1e6
        pictures = "with pictures" if opened.thumbnails else "without pictures"
        typer.echo(f"{len(people)} people, {size:.1f} MB {pictures}, embedder {opened.embedder}")


@app.command("show")
def show_command(store: File, person: Id, json: AsJson = False, sheet: Sheet = None) -> None:
    """Where and when somebody was seen, track by track."""
    with _opened(store, readonly=True) as opened, opened.file.snapshot():
        one = next((p for p in opened.people() if p.global_id == person), None)
        if one is None:
            raise ConfigError(f"the store {store} has no identity {person}")
        runs = {run.number: run for run in opened.runs()}
        kept = opened.kept(people=[person])
        records = [
            {
                "track": _reference(k.run, k.tracklet.key),
                "run": k.run,
                "cameras_of_run": runs[k.run].note,
                "first_s": k.tracklet.first_s,
                "last_s": k.tracklet.last_s,
                "live": runs[k.run].live,
                "kept_s": k.kept_s,
                "crops": k.tracklet.count,
                "quality": round(k.tracklet.quality, 3),
            }
            for k in kept
        ]
        if sheet is not None:
            _draw(opened, person, sheet)
        if json:
            _print_json({"global_id": person, "name": one.name, "tracklets": records})
            return
        from reidpipe.report.clock import Clock

        rows = []
        for k, record in zip(kept, records, strict=True):
            clock = Clock.of(k.tracklet.first_s, k.tracklet.last_s)
            when = clock.span(k.tracklet.first_s, k.tracklet.last_s)
            rows.append(
                (str(record["track"]), when, _date(k.kept_s), str(k.tracklet.count), f"{k.tracklet.quality:.2f}")
            )
        typer.echo(f"identity {person}" + (f", {one.name}" if one.name else ""))
        _print_table(("run:camera:track", "when", "written", "crops", "quality"), rows, right={3, 4})
        if sheet is not None:
            typer.echo(f"pictures in {sheet}")


@app.command("rename")
def rename_command(store: File, person: Id, name: NewName = None) -> None:
    """Give somebody a name, to be shown in results and reports."""
    text = " ".join((name or "").split())
    if len(text) > 100:
        raise ConfigError("a name has at most 100 letters")
    with _opened(store) as opened:
        opened.rename(person, text or None)
    typer.echo(f"identity {person} is called {text}" if text else f"identity {person} has no name")


@app.command("merge")
def merge_command(store: File, keep: Id, others: Ids) -> None:
    """Several identities are one person: the first number stays, the others go."""
    with _opened(store) as opened:
        opened.require((keep, *others))
        for other in dict.fromkeys(others):
            opened.merge(keep, other, now_s=time.time())
    typer.echo(f"{_listed(others)} became identity {keep}")


@app.command("split")
def split_command(store: File, person: Id, track: Tracks) -> None:
    """Some tracks of an identity are somebody else: they get a new number."""
    wanted = [_parse(text) for text in track]
    with _opened(store) as opened:
        own = {(k.run, k.tracklet.key) for k in opened.kept(people=[person])}
        if not own:
            raise ConfigError(f"the store {store} has no identity {person}")
        for one in wanted:
            if one not in own:
                raise ConfigError(f"identity {person} has no track {_reference(*one)}: see `reidpipe store show`")
        if own <= set(wanted):
            raise ConfigError(f"these are all tracks of identity {person}: leave one")
        new = opened.split(wanted, now_s=time.time())
    typer.echo(f"{len(set(wanted))} tracks of identity {person} are identity {new} now")


@app.command("forget")
def forget_command(store: File, people: Ids, yes: Yes = False) -> None:
    """Delete people for good: vectors, pictures, times and names leave the disk. The audit keeps the number only."""
    from reidpipe.associate.store_care import forget

    with _opened(store) as opened:
        opened.require(people)
        _confirm(f"Forget {_listed(people)} for good?", yes=yes)
        count = forget(opened, people, now_s=time.time())
    typer.echo(f"{_listed(people)} forgotten: {count} tracklets deleted, the file was written anew")


@app.command("retain")
def retain_command(store: File, keep: Age) -> None:
    """Delete for good what was not seen lately, and whoever has nothing left."""
    from reidpipe.associate.store_care import expire

    with _opened(store) as opened:
        people, tracklets = expire(opened, days=days(keep), now_s=time.time())
    typer.echo(f"{people} people and {tracklets} tracklets were older than {keep} and are forgotten")


@app.command("strip")
def strip_command(store: File, yes: Yes = False) -> None:
    """Delete all pictures for good and take none from now on: numbers only."""
    from reidpipe.associate.store_care import strip

    with _opened(store) as opened:
        _confirm(f"Delete all pictures in {store} for good?", yes=yes)
        count = strip(opened, now_s=time.time())
    typer.echo(f"{count} pictures deleted")


@app.command("export")
def export_command(store: File, file: Text, thumbnails: Pictures = True) -> None:
    """Write everybody as JSON, to be read or imported elsewhere."""
    from reidpipe.associate.store_text import export_store

    with _opened(store, readonly=True) as opened:
        count = export_store(opened, file, pictures=thumbnails)
    typer.echo(f"{count} people written to {file}")


@app.command("import")
def import_command(store: File, file: Text) -> None:
    """Add what an export holds; the store is made when there is none. Numbers stay, where none of them is taken."""
    from reidpipe.associate.store_text import import_store, store_like

    with store_like(store, file) as opened:
        number = import_store(opened, file)
    typer.echo(f"{len(number)} people added to {store}")
    if any(old != new for old, new in number.items()):
        typer.echo(
            "numbers were taken, so these are new: " + ", ".join(f"{old} -> {new}" for old, new in number.items())
        )


@app.command("check")
def check_command(store: File) -> None:
    """Look through the whole file; exit 2 when something is wrong."""
    from reidpipe.associate.store_care import check

    with _opened(store, readonly=True) as opened:
        problems = list(check(opened))
        people, runs = opened.people(), opened.runs()
    if problems:
        for problem in problems[:20]:
            typer.echo(problem)
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{store} is damaged: {count}. Restore it from a copy")
    tracklets = sum(person.tracklets for person in people)
    typer.echo(f"{store} is whole: {len(people)} people, {tracklets} tracklets of {len(runs)} runs")


@app.command("compact")
def compact_command(store: File) -> None:
    """Write the file anew: smaller, and without traces of what was deleted."""
    from reidpipe.associate.store_care import compact

    before = store.stat().st_size if store.exists() else 0
    with _opened(store) as opened:
        compact(opened)
    typer.echo(f"{store}: {before / 1e6:.1f} MB before, {store.stat().st_size / 1e6:.1f} MB now")


@app.command("log")
def log_command(store: File) -> None:
    """What was done to identities, and when: merged, split, forgotten. It holds numbers only."""
    with _opened(store, readonly=True) as opened:
        rows = [
            (_date(act.at_s), act.action, str(act.person or ""), str(act.other or ""), str(act.tracklets))
            for _, act in opened.audit()
        ]
    _print_table(("when", "what", "identity", "became", "tracklets"), rows, right={2, 3, 4})


def _opened(path: Path, *, readonly: bool = False) -> Store:
    from reidpipe.associate.store import Store

    return Store.open(path, readonly=readonly)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("this cannot be undone: add --yes")
    typer.confirm(question, abort=True)


def _reference(run: int, key: TrackKey) -> str:
    return f"{run}:{key.camera}:{key.track_id}"


def _parse(text: str) -> tuple[int, TrackKey]:
    """``RUN:CAMERA:TRACK``; a camera's name may hold colons."""
    from reidpipe.types import TrackKey

    run, _, rest = text.partition(":")
    camera, _, track = rest.rpartition(":")
    try:
        return int(run), TrackKey(camera, int(track))
    except ValueError as error:
        raise ConfigError(f"--track takes RUN:CAMERA:TRACK, for instance 1:gate:17; got {text!r}") from error


def _draw(store: Store, person: int, sheet: Path) -> None:
    from reidpipe.find.sheet import write_tiles

    pictures = store.pictures(person)
    if not pictures:
        raise ConfigError(f"the store {store.path} keeps no picture of identity {person}")
    write_tiles(sheet, [(jpeg, [_reference(run, key)]) for (run, key), (_, jpeg) in pictures.items()])


def _listed(people: Sequence[int]) -> str:
    numbers = ", ".join(map(str, dict.fromkeys(people)))
    return f"identities {numbers}" if len(set(people)) > 1 else f"identity {numbers}"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _print_json(record: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(record, ensure_ascii=False, indent=2))


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left")
    for row in rows:
        table.add_row(*row)
    width = None if typer.get_terminal_size().columns > 100 else 160
    Console(highlight=False, markup=False, emoji=False, width=width).print(table)
