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
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the run to search.")]
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
    out: Out = Path("out"),
    top: Top = 10,
    box: Box = None,
    person: Number = None,
    json: AsJson = False,
    sheet: Sheet = None,
    detector: Detector = None,
    embedder: SameEmbedder = None,
    backend: Backend = None,
    threads: Threads = None,
) -> None:
    """Find the person of a photo among the identities of a run, the likeliest first."""
    from reidpipe.find import choose_person, load_gallery, rank, write_sheet
    from reidpipe.find.models import detector_for, embedder_for
    from reidpipe.find.photo import open_photo

    place = None if box is None else _parse_box(box)
    open_photo(photo)  # before any model is loaded
    gallery = load_gallery(out)
    values = given({"runtime.backend": backend, "runtime.threads": threads})
    net = embedder_for(gallery, values, model=embedder)
    finder = None if place is not None else detector_for(values | given({"detect.model": detector}))
    chosen = choose_person(photo, finder, box=place, person=person)
    matches = rank(chosen.vector(net), gallery)
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
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(table)
    console.print(f"{len(matches)} of {count} identities" + (f"; sheet in {sheet}" if sheet else ""), soft_wrap=True)
