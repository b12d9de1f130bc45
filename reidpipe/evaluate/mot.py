"""Single-camera tracking scores, equal to TrackEval's: HOTA, CLEAR and identity, by sequence and combined."""

from __future__ import annotations

import configparser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidpipe.errors import ConfigError
from reidpipe.evaluate.clear import Clear
from reidpipe.evaluate.hota import Hota
from reidpipe.evaluate.identity import Identity
from reidpipe.evaluate.mot_text import read_mot
from reidpipe.evaluate.paired import PairedSequence

__all__ = ["MotReport", "Scores", "count_sequence", "evaluate_mot", "report_on"]

Scores = Mapping[str, float]
"""Metric -> value: percent, except the counts (``CLR_TP``, ``IDSW``, ``MT``, ``IDTP``, ``Dets``...)."""

SUFFIXES = (".txt", ".txt.gz")


@dataclass(frozen=True, slots=True)
class Counted:
    """Everything counted in one sequence (or several together)."""

    hota: Hota
    clear: Clear
    identity: Identity
    sizes: tuple[int, int, int, int]

    def scores(self) -> dict[str, float]:
        """All figures, in TrackEval's names."""
        sizes = dict(zip(("Dets", "GT_Dets", "IDs", "GT_IDs"), self.sizes, strict=True))
        return {**self.hota.scores(), **self.clear.scores(), **self.identity.scores(), **sizes}


@dataclass(frozen=True, slots=True)
class MotReport:
    """Scores of a result.

    Attributes:
        sequences: sequence -> scores, in the order of the truth.
        combined: all sequences together (counts added up, not a mean of percentages).
    """

    sequences: Mapping[str, Scores]
    combined: Scores

    def to_json(self) -> dict[str, Any]:
        """A plain dict: sequence -> metric -> value, and ``COMBINED``."""
        return {**{name: dict(scores) for name, scores in self.sequences.items()}, "COMBINED": dict(self.combined)}


def evaluate_mot(truth: Path, result: Path, *, min_visibility: float = 0.0, crowded: bool = False) -> MotReport:
    """Score a result against the truth, as MOTChallenge does.

    Args:
        truth: a ``gt.txt``; or a folder of them: ``<sequence>/gt/gt.txt`` or ``<sequence>.txt``.
        result: one file if ``truth`` is one; else a folder with ``<sequence>.txt`` for every sequence of the truth.
            ``.txt.gz`` is read too, and the name in a sequence's ``seqinfo.ini`` counts as its name.
        min_visibility: people of the truth that are less visible than this are neither asked for nor punished, 0..1
            (only where the truth tells the visibility).
        crowded: MOT20's rule: vehicles are distractors too.

    Returns:
        Scores by sequence and combined: percent, except counts.

    Raises:
        ConfigError: a file is missing or is no MOTChallenge table, or an id appears twice in a picture.
    """
    counted = {}
    for name, truth_file, result_file in _files(truth, result):
        rows = read_mot(truth_file), read_mot(result_file)
        try:
            pairs = PairedSequence.of(*rows, min_visibility=min_visibility, crowded=crowded)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
        counted[name] = count_sequence(pairs)
    return report_on(counted)


def count_sequence(sequence: PairedSequence) -> Counted:
    """Count everything in one sequence."""
    sizes = (sequence.result_count, sequence.truth_count, len(sequence.result_ids), len(sequence.truth_ids))
    return Counted(Hota.of(sequence), Clear.of(sequence), Identity.of(sequence), sizes)


def report_on(counted: Mapping[str, Counted]) -> MotReport:
    """Scores of what was counted, by sequence and combined."""
    return MotReport({name: c.scores() for name, c in counted.items()}, combine(list(counted.values())).scores())


def combine(parts: Sequence[Counted]) -> Counted:
    """Add up several sequences."""
    totals = [sum(column) for column in zip(*(part.sizes for part in parts), strict=True)]
    return Counted(
        Hota.combined([part.hota for part in parts]),
        Clear.combined([part.clear for part in parts]),
        Identity.combined([part.identity for part in parts]),
        (totals[0], totals[1], totals[2], totals[3]),
    )


def _files(truth: Path, result: Path) -> list[tuple[str, Path, Path]]:
    if truth.is_file():
        return [(result.name.split(".txt")[0], truth, result)]
    found = [(folder.name, folder / "gt" / "gt.txt", _name(folder)) for folder in sorted(truth.glob("*/"))]
    found = [entry for entry in found if entry[1].is_file()]
    if not found:
        flat = sorted(path for path in truth.glob("*.txt*") if path.name.endswith(SUFFIXES))
        found = [(path.name.split(".txt")[0], path, path.name.split(".txt")[0]) for path in flat]
    if not found:
        raise ConfigError(f"{truth}: holds no truth: expected <sequence>/gt/gt.txt or <sequence>.txt")
    return [_with_result(result, truth_file, names=(name, other)) for name, truth_file, other in found]


def _with_result(result: Path, truth_file: Path, *, names: tuple[str, str]) -> tuple[str, Path, Path]:
    for name in names:
        for suffix in SUFFIXES:
            path = result / f"{name}{suffix}"
            if path.is_file():
                return name, truth_file, path
    raise ConfigError(f"{result}: holds no result for {names[0]}: expected {names[0]}.txt")


def _name(folder: Path) -> str:
    """The sequence's name in its ``seqinfo.ini``, else the folder's."""
    parser = configparser.ConfigParser()
    parser.read(folder / "seqinfo.ini")
    return parser.get("Sequence", "name", fallback=folder.name)
