"""From a similarity to the odds that two tracklets are one person, fitted to the footage at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "Sample", "fit_calibration"]

Wide = NDArray[np.float64]

MOST = 8.0
"""Largest log-odds that looks can give to a pair, either way: there are people in the same clothes."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How alike one person's tracklets are, and those of different people (cosine, camera bias removed).

    Both are normal distributions; a tracklet of few or poor crops is less like itself, in proportion to the root of its
    quality.

    Attributes:
        same_mean: mean similarity of two perfect tracklets of one person.
        same_std: its standard deviation.
        other_mean: mean similarity of two people.
        other_std: its standard deviation.
    """

    same_mean: float = 0.78
    same_std: float = 0.16
    other_mean: float = 0.0
    other_std: float = 0.16

    def log_odds(self, similarity: Wide, trust: Wide) -> Wide:
        """Natural log of p(similarity | same) / p(similarity | different), within +-``MOST``, growing with similarity.

        Args:
            similarity: any shape, cosines.
            trust: the same shape, 0..1: root of the product of both qualities.
        """
        mean = self.other_mean + (self.same_mean - self.other_mean) * trust
        # One width for both, or else the odds would turn round at very high or very low similarity.
        variance = 0.5 * (self.same_std**2 + self.other_std**2)
        slope = (mean - self.other_mean) / variance
        return np.asarray(np.clip(slope * (similarity - 0.5 * (mean + self.other_mean)), -MOST, MOST))

    def limit(self, prior: float, *, trust: float = 0.8) -> float:
        """The similarity at which same and different are equally likely, given the log-odds before looking."""
        mean = self.other_mean + (self.same_mean - self.other_mean) * trust
        variance = 0.5 * (self.same_std**2 + self.other_std**2)
        return 0.5 * (mean + self.other_mean) - prior * variance / max(mean - self.other_mean, 1e-6)


@dataclass(frozen=True, slots=True)
class Sample:
    """Pairs of tracklets, for fitting.

    Attributes:
        similarity: float64 ``(P,)`` cosines.
        trust: float64 ``(P,)`` as in ``Calibration.log_odds``.
        odds: float64 ``(P,)`` what is known besides looks: log-odds of same person; -inf for people seen together.
    """

    similarity: Wide
    trust: Wide
    odds: Wide


def fit_calibration(shipped: Calibration, sample: Sample, *, strength: float = 25.0, rounds: int = 12) -> Calibration:
    """The shipped calibration, moved towards what the footage shows.

    Expectation maximisation of a two-component mixture (Dempster et al., 1977) with the shipped values as prior worth
    ``strength`` pairs of each kind, so that little data changes little.

    Args:
        shipped: where to start.
        sample: pairs; those with ``odds`` of -inf are certainly different people.
        strength: weight of the prior, in pairs.
        rounds: of EM.
    """
    now = shipped
    s, q = sample.similarity, sample.trust
    if not len(s):
        return shipped
    for _ in range(rounds):
        with np.errstate(over="ignore"):
            same = 1.0 / (1.0 + np.exp(-(now.log_odds(s, q) + sample.odds)))
        other = 1.0 - same
        other_mean = (strength * shipped.other_mean + other @ s) / (strength + other.sum())
        other_var = (strength * shipped.other_std**2 + other @ (s - other_mean) ** 2) / (strength + other.sum())
        # s = other_mean + gap * q + noise: least squares for the gap, with the prior as ``strength`` pairs at q = 0.8.
        pull = strength * 0.64
        gap = (pull * (shipped.same_mean - shipped.other_mean) + same @ (q * (s - other_mean))) / (pull + same @ q**2)
        same_var = (strength * shipped.same_std**2 + same @ (s - other_mean - gap * q) ** 2) / (strength + same.sum())
        now = replace(
            now,
            same_mean=float(other_mean + max(gap, 0.1)),
            same_std=float(np.sqrt(same_var)),
            other_mean=float(other_mean),
            other_std=float(np.sqrt(other_var)),
        )
    return now
