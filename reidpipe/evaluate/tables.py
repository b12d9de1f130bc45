"""Scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reidpipe.evaluate.mot import MotReport, Scores
from reidpipe.evaluate.retrieval import RetrievalScores

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["COLUMNS", "mot_table", "retrieval_table"]

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


def retrieval_table(found: Mapping[str, Mapping[str, RetrievalScores]]) -> Table:
    """Retrieval scores in percent, by model and data set.

    One model: a line for each set with rank-1, -5, -10 and mAP. Several: the cross-domain table, a line for each model
    with `rank-1 / mAP` on each set.

    Args:
        found: Model to data set to scores.
    """
    from rich.table import Table

    if len(found) == 1:
        ((title, scores),) = found.items()
        table = Table(title=title, title_justify="left")
        for column in ("data set", "queries", "rank-1", "rank-5", "rank-10", "mAP"):
            table.add_column(column, justify="left" if column == "data set" else "right")
        for name, one in scores.items():
            percent = (one.rank(1), one.rank(5), one.rank(10), one.mean_ap)
            table.add_row(name, str(one.queries), *(f"{100 * value:.1f}" for value in percent))
        return table
    table = Table(title="rank-1 / mAP", title_justify="left")
    table.add_column("model", overflow="fold")
    names = list(dict.fromkeys(name for scores in found.values() for name in scores))
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for model, scores in found.items():
        cells = (f"{100 * scores[name].rank(1):.1f} / {100 * scores[name].mean_ap:.1f}" for name in names)
        table.add_row(model, *cells)
    return table
