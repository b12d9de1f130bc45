"""CLEAR MOT: misses, false alarms and identity switches (Bernardin, Stiefelhagen 2008)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.evaluate.paired import EPS, PairedSequence

__all__ = ["Clear"]

MIN_OVERLAP = 0.5
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Clear:
    """Counts at overlap 0.5.

    Attributes:
        tp: pairs of truth and result.
        fn: truth without a partner.
        fp: result without a partner.
        switches: times that a person goes on under another id than before.
        fragments: times that a person is found again after a gap.
        mostly_tracked: people found in more than 80 % of their pictures.
        partly_tracked: people found in 20 to 80 % of their pictures.
        mostly_lost: the others.
        overlap: sum over the pairs of their overlap.
    """

    tp: int
    fn: int
    fp: int
    switches: int
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    overlap: float

    @classmethod
    def of(cls, sequence: PairedSequence) -> Clear:
        """Count one sequence."""
        people = len(sequence.truth_ids)
        if sequence.result_count == 0:
            return cls(0, sequence.truth_count, 0, 0, 0, 0, 0, people, 0.0)
        present, found, starts = (np.zeros(people, np.int64) for _ in range(3))
        owner, last = np.full(people, NOBODY), np.full(people, NOBODY)  # ever; in the picture before
        switches, overlap_sum = 0, 0.0
        for truth, result, overlap in sequence.steps:
            present[truth] += 1
            if overlap.size == 0:
                continue
            rows, columns = _match(overlap, keep=result[None, :] == last[truth][:, None])
            who, by = truth[rows], result[columns]
            switches += int(((owner[who] != NOBODY) & (owner[who] != by)).sum())
            starts[who] += last[who] == NOBODY
            found[who] += 1
            owner[who] = by
            last[:] = NOBODY
            last[who] = by
            overlap_sum += float(overlap[rows, columns].sum())
        share = found / np.maximum(1, present)
        most, some = int((share > 0.8).sum()), int((share >= 0.2).sum())
        tp = int(found.sum())
        return cls(
            tp=tp,
            fn=sequence.truth_count - tp,
            fp=sequence.result_count - tp,
            switches=switches,
            fragments=int((starts[starts > 0] - 1).sum()),
            mostly_tracked=most,
            partly_tracked=some - most,
            mostly_lost=people - some,
            overlap=overlap_sum,
        )

    @classmethod
    def combined(cls, parts: Sequence[Clear]) -> Clear:
        """Several sequences together."""
        return cls(*(sum(getattr(part, name) for part in parts) for name in cls.__slots__))

    def scores(self) -> dict[str, float]:
        """Percent, and counts."""
        truth = max(1, self.tp + self.fn)
        return {
            "MOTA": 100 * (self.tp - self.fp - self.switches) / truth,
            "MOTP": 100 * self.overlap / max(1, self.tp),
            "MODA": 100 * (self.tp - self.fp) / truth,
            "CLR_TP": self.tp,
            "CLR_FN": self.fn,
            "CLR_FP": self.fp,
            "IDSW": self.switches,
            "MT": self.mostly_tracked,
            "PT": self.partly_tracked,
            "ML": self.mostly_lost,
            "Frag": self.fragments,
        }


def _match(overlap: NDArray[np.float64], *, keep: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of one picture: as many old pairs as possible, then as much overlap as possible."""
    from scipy.optimize import linear_sum_assignment

    score = 1000.0 * keep + overlap
    score[overlap < MIN_OVERLAP - EPS] = 0
    rows, columns = linear_sum_assignment(-score)
    good = score[rows, columns] > EPS
    return rows[good], columns[good]
