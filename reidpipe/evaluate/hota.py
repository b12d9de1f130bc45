"""HOTA: detection and association in balance (Luiten et al. 2020, arXiv 2009.07736)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.evaluate.paired import EPS, PairedSequence

__all__ = ["Hota"]

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""The localisation thresholds that the figures are averaged over."""

Row = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hota:
    """Counts and sums for each of the 19 thresholds; float64 ``(19,)`` each.

    Attributes:
        tp: pairs of truth and result.
        fn: truth without a partner.
        fp: result without a partner.
        association: sum over the pairs of their association score A(c), eq. 8.
        recall: the same of its recall part.
        precision: the same of its precision part.
        overlap: sum over the pairs of their overlap.
    """

    tp: Row
    fn: Row
    fp: Row
    association: Row
    recall: Row
    precision: Row
    overlap: Row

    @classmethod
    def of(cls, sequence: PairedSequence) -> Hota:
        """Count one sequence."""
        truth_count, result_count = sequence.truth_count, sequence.result_count
        together, truth_sizes, result_sizes = _alignment(sequence)
        truth, result, overlap = _matched(sequence, together)
        hits = overlap[None, :] >= ALPHAS[:, None] - EPS
        tp = hits.sum(axis=1).astype(np.float64)
        # The pairs of ids that ever met, numbered: how often each met decides what a pair of boxes is worth.
        met, number = np.unique(truth * max(1, len(sequence.result_ids)) + result, return_inverse=True)
        truth_size = truth_sizes[met // max(1, len(sequence.result_ids))]
        result_size = result_sizes[met % max(1, len(sequence.result_ids))]
        count = np.stack([np.bincount(number[hit], minlength=len(met)) for hit in hits]).astype(np.float64)
        return cls(
            tp=tp,
            fn=truth_count - tp,
            fp=result_count - tp,
            association=(count * count / np.maximum(1, truth_size + result_size - count)).sum(axis=1),
            recall=(count * count / np.maximum(1, truth_size)).sum(axis=1),
            precision=(count * count / np.maximum(1, result_size)).sum(axis=1),
            overlap=(hits * overlap).sum(axis=1),
        )

    @classmethod
    def combined(cls, parts: Sequence[Hota]) -> Hota:
        """Several sequences together."""
        return cls(*(np.sum([getattr(part, name) for part in parts], axis=0) for name in cls.__slots__))

    def scores(self) -> dict[str, float]:
        """Percent, the mean over the thresholds."""
        det = self.tp / np.maximum(1, self.tp + self.fn + self.fp)
        ass = self.association / np.maximum(1, self.tp)
        rows = {
            "HOTA": np.sqrt(det * ass),
            "DetA": det,
            "AssA": ass,
            "DetRe": self.tp / np.maximum(1, self.tp + self.fn),
            "DetPr": self.tp / np.maximum(1, self.tp + self.fp),
            "AssRe": self.recall / np.maximum(1, self.tp),
            "AssPr": self.precision / np.maximum(1, self.tp),
            "LocA": np.maximum(1e-10, self.overlap) / np.maximum(1e-10, self.tp),
        }
        return {name: 100 * float(row.mean()) for name, row in rows.items()}


def _alignment(sequence: PairedSequence) -> tuple[Row, Row, Row]:
    """How well each pair of ids fits over the whole sequence, ``(G, T)``, and how often each id appears."""
    together = np.zeros((len(sequence.truth_ids), len(sequence.result_ids)))
    truth_sizes, result_sizes = np.zeros(together.shape[0]), np.zeros(together.shape[1])
    for truth, result, overlap in sequence.steps:
        either = overlap.sum(axis=0)[None, :] + overlap.sum(axis=1)[:, None] - overlap
        share = np.divide(overlap, either, out=np.zeros_like(overlap), where=either > EPS)
        together[truth[:, None], result[None, :]] += share
        truth_sizes[truth] += 1
        result_sizes[result] += 1
    either = truth_sizes[:, None] + result_sizes[None, :] - together
    return together / either, truth_sizes, result_sizes


def _matched(sequence: PairedSequence, together: Row) -> tuple[NDArray[np.int64], NDArray[np.int64], Row]:
    """The pairs of every picture: truth number, result number, overlap; one long array each."""
    from scipy.optimize import linear_sum_assignment

    none = np.zeros(0, np.int64)
    truths, results, shares = [none], [none], [np.zeros(0)]
    for truth, result, overlap in sequence.steps:
        if overlap.size == 0:
            continue
        rows, columns = linear_sum_assignment(-(together[truth[:, None], result[None, :]] * overlap))
        truths.append(truth[rows])
        results.append(result[columns])
        shares.append(overlap[rows, columns])
    return np.concatenate(truths), np.concatenate(results), np.concatenate(shares)
