"""IDF1: how much of the truth one id covers from end to end (Ristani et al. 2016, arXiv 1609.01775)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reidpipe.evaluate.paired import PairedSequence

__all__ = ["Identity"]

MIN_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Identity:
    """Counts at overlap 0.5 under the best one-to-one pairing of truth ids with result ids.

    Attributes:
        tp: boxes where the paired ids meet.
        fn: the other boxes of the truth.
        fp: the other boxes of the result.
    """

    tp: int
    fn: int
    fp: int

    @classmethod
    def of(cls, sequence: PairedSequence) -> Identity:
        """Count one sequence."""
        from scipy.optimize import linear_sum_assignment

        meetings = np.zeros((len(sequence.truth_ids), len(sequence.result_ids)), np.int64)
        for truth, result, overlap in sequence.steps:
            rows, columns = np.nonzero(overlap >= MIN_OVERLAP)
            np.add.at(meetings, (truth[rows], result[columns]), 1)
        # An id without a partner meets nobody, so fewest errors (the paper's cost) is the same as most meetings.
        rows, columns = linear_sum_assignment(-meetings)
        tp = int(meetings[rows, columns].sum())
        return cls(tp, sequence.truth_count - tp, sequence.result_count - tp)

    @classmethod
    def combined(cls, parts: Sequence[Identity]) -> Identity:
        """Several sequences together; ids of different sequences are different people."""
        return cls(sum(p.tp for p in parts), sum(p.fn for p in parts), sum(p.fp for p in parts))

    def scores(self) -> dict[str, float]:
        """Percent, and counts."""
        return {
            "IDF1": 100 * self.tp / max(1.0, self.tp + 0.5 * self.fp + 0.5 * self.fn),
            "IDR": 100 * self.tp / max(1, self.tp + self.fn),
            "IDP": 100 * self.tp / max(1, self.tp + self.fp),
            "IDTP": self.tp,
            "IDFN": self.fn,
            "IDFP": self.fp,
        }
