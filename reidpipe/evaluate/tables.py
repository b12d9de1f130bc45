"""Scores as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reidpipe.evaluate.mot import MotReport, Scores

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["COLUMNS", "mot_table"]

COLUMNS = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "IDF1", "IDP", "IDR", "IDSW", "CLR_FP", "CLR_FN", "Frag", "MT", "ML")
COUNTS = {"IDSW", "CLR_FP", "CLR_FN", "Frag", "MT", "ML"}


def mot_table(
    report: MotReport, *, against: MotReport | None = None, title: str = "", combined: str = "COMBINED"
) -> Table:
    """One line for each sequence and one for all.

    Args:
        report: what to show.
        against: another result on the same truth: every figure is followed by its difference from that one.
        title: above the table.
        combined: name of the last line.
    """
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    table.add_column("sequence")
    for name in COLUMNS:
        table.add_column(name.removeprefix("CLR_"), justify="right", no_wrap=True)
    for sequence, scores in report.sequences.items():
        other = against.sequences.get(sequence) if against else None
        table.add_row(sequence, *(_cell(name, scores, other) for name in COLUMNS))
    table.add_section()
    table.add_row(combined, *(_cell(name, report.combined, against.combined if against else None) for name in COLUMNS))
    return table


def _cell(name: str, scores: Scores, other: Scores | None) -> str:
    digits = 0 if name in COUNTS else 1
    text = f"{scores[name]:.{digits}f}"
    return text if other is None else f"{text} ({scores[name] - other[name]:+.{digits}f})"
