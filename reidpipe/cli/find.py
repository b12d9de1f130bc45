"""``reidpipe find``: a photo of somebody in, where and when that person was out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reidpipe.cli.options import Backend, Detector, Threads, given
from reidpipe.errors import ConfigError

if TYPE_CHECKING:
    from reidpipe.find import Gallery, Match, Photo

__all__ = ["find_command"]

PhotoFile = Annotated[Path, typer.Argument(help="Picture that shows the person.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the run to search; default: out.")]
StoreFile = Annotated[Path | None, typer.Option("--store", help="Store to search, instead of a run's folder.")]
Pictures = Annotated[
    Path | None, typer.Option(help="With --store: write the pictures into this folder; --json says their paths.")
]
Top = Annotated[int, typer.Option(min=1, help="How many identities to show.")]
Box = Annotated[str | None, typer.Option(help="The person is here: x1,y1,x2,y2 in pixels. Nobody is searched for.")]
Number = Annotated[int | None, typer.Option("--person", help="Which one, from left to right, where several are seen.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Sheet = Annotated[Path | None, typer.Option(help="Also draw the answer as one picture (.png, .jpg, .webp).")]
SameEmbedder = Annotated[
    str | None, typer.Option("--embedder", help="Where the run's embedder lies now; it must be the same model.")
]


def find_command(
    photo: PhotoFile,
    out: Out = None,
    store: StoreFile = None,
    top: Top = 10,
    box: Box = None,
    person: Number = None,
    json: AsJson = False,
    sheet: Sheet = None,
    pictures: Pictures = None,
    detector: Detector = None,
    embedder: SameEmbedder = None,
    backend: Backend = None,
    threads: Threads = None,
) -> None:
    """Find the person of a photo among the identities of a run or of a store, the likeliest first."""
    from reidpipe.associate.likeness import likeness_of
    from reidpipe.find import choose_person, load_gallery, load_store, rank, with_pictures, write_sheet
    from reidpipe.find.models import detector_for, embedder_for
    from reidpipe.find.photo import open_photo

    place = None if box is None else _parse_box(box)
    open_photo(photo)  # before any model is loaded
    if store is not None and out is not None:
        raise ConfigError("give --out or --store, not both")
    gallery = load_gallery(out or Path("out")) if store is None else load_store(store)
    values = given({"runtime.backend": backend, "runtime.threads": threads})
    net = embedder_for(gallery, values, model=embedder)
    finder = None if place is not None else detector_for(values | given({"detect.model": detector}))
    chosen = choose_person(photo, finder, box=place, person=person)
    matches = rank(chosen.vector(net), gallery, likeness=likeness_of(embedder or gallery.model))
    if store is not None:
        matches[:top] = _saved(with_pictures(matches[:top], gallery, store), pictures)
    if sheet is not None:
        write_sheet(sheet, chosen, matches[:top])
    if json:
        _print_json(chosen, gallery, matches, top)
    else:
        _print_table(matches[:top], len(matches), sheet)


def _parse_box(text: str) -> tuple[float, float, float, float]:
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--box takes x1,y1,x2,y2 in pixels, got {text!r}") from error
    return x1, y1, x2, y2


def _saved(matches: list[Match], folder: Path | None) -> list[Match]:
    """The matches with their pictures as files, where a folder is given."""
    if folder is None:
        return matches
    from dataclasses import replace

    from reidpipe.sinks.files import write_bytes

    saved = []
    for match in matches:
        who = match.candidate
        if isinstance(who.thumbnail, bytes):
            path = folder / f"{who.global_id}.jpg"
            write_bytes(path, who.thumbnail)
            match = replace(match, candidate=replace(who, thumbnail=path))
        saved.append(match)
    return saved


def _print_json(photo: Photo, gallery: Gallery, matches: list[Match], top: int) -> None:
    import json

    from reidpipe.find.answer import answer_record

    typer.echo(json.dumps(answer_record(photo, gallery, matches, top=top), ensure_ascii=False, indent=2))


def _print_table(matches: list[Match], count: int, sheet: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from reidpipe.find.answer import describe

    table = Table(box=None, pad_edge=False)
    for heading in ("", "person", "similarity", "probability", "where and when", "picture"):
        table.add_column(heading, justify="right" if heading in ("", "similarity", "probability") else "left")
    for number, match in enumerate(matches, 1):
        table.add_row(str(number), *describe(match))
    width = None if typer.get_terminal_size().columns > 100 else 160
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    console.print(table)
    console.print(f"{len(matches)} of {count} identities" + (f"; sheet in {sheet}" if sheet else ""), soft_wrap=True)
