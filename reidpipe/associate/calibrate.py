"""From a similarity to the odds that two tracklets are one person, on the scale of the footage at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMMON_SPREAD", "Calibration", "Rate", "Scale", "wilson"]

Wide = NDArray[np.float64]

MOST = 8.0
"""Largest log-odds that looks can give to a pair, either way: there are people in the same clothes."""

ODD_ONES = 0.1
"""Share of pairs of one person that look like strangers: one is half hidden, or the track holds somebody else as well.
So looks alone never say "different" louder than this, and places and motion can still join the two."""

COMMON_SPREAD = 0.16
"""Standard deviation of the cosine between strangers on the common scale: an agreed unit."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How alike strangers are in this footage, and people to themselves.

    Attributes:
        mean: of the cosine between strangers.
        spread: its standard deviation.
        ease: how alike pictures of one person are, as a share of what the embedder is known for; 1: as there.
    """

    mean: float = 0.0
    spread: float = COMMON_SPREAD
    ease: float = 1.0

    @classmethod
    def of(cls, cosines: Wide, *, usual: float = COMMON_SPREAD, strength: float = 15.0) -> Scale:
        """From pairs of whom nearly all are strangers: the median, and the width of the lower half, which hardly holds
        pairs of one person. Few pairs change the ``usual`` spread of the embedder little (it counts as ``strength``
        pairs).
        """
        if not len(cosines):
            return cls(spread=usual)
        middle = float(np.median(cosines))
        width = middle - float(np.quantile(cosines, 0.16))
        share = len(cosines) / (len(cosines) + strength)
        return cls(share * middle, max(share * width + (1 - share) * usual, 0.02))

    def apply(self, cosines: Wide) -> Wide:
        """Cosines as they would be if those of strangers had mean 0 and the spread ``COMMON_SPREAD``."""
        return np.asarray((cosines - self.mean) * (COMMON_SPREAD / self.spread))


@dataclass(frozen=True, slots=True)
class Calibration:
    """A similarity on the common scale -> natural log-odds, before the prior.

    ``x = slope * (similarity - even)`` within +-``MOST``; the odds are ``(1 - ODD_ONES) e^x + ODD_ONES``.

    Attributes:
        slope: log-odds per unit of similarity.
        even: the similarity that speaks neither way.
    """

    slope: float
    even: float

    def log_odds(self, similarity: Wide) -> Wide:
        """Log-odds of same against different, any shape, within +-``MOST``."""
        plain = np.clip(self.slope * (similarity - self.even), -MOST, MOST)
        return np.asarray(np.log((1.0 - ODD_ONES) * np.exp(plain) + ODD_ONES))

    def eased(self, ease: float) -> Calibration:
        """The same where people are less alike to themselves (``Scale.ease``), and strangers as ever.

        Between two normal distributions of one width the even point moves with their distance, and so does the slope;
        the slopes fitted to real footage move about with its root.
        """
        return Calibration(self.slope * float(np.sqrt(ease)), self.even * ease)

    def limit(self, prior: float) -> float:
        """The similarity at which same and different are equally likely, given the log-odds before looking."""
        return self.even + self._plain(-prior) / self.slope

    def prior(self, limit: float) -> float:
        """The prior that puts the limit at a similarity: the inverse of ``limit``."""
        return -float(self.log_odds(np.array(limit)))

    def _plain(self, odds: float) -> float:
        """The inverse of the mixture with ``ODD_ONES``; below what looks can say, the least that they do say."""
        ratio = (np.exp(odds) - ODD_ONES) / (1.0 - ODD_ONES)
        return float(np.clip(np.log(max(ratio, 1e-9)), -MOST, MOST))


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with its uncertainty.

    Attributes:
        value: hits over trials; 0 when there was no trial.
        low: lower end of the 95 % interval.
        high: upper end.
        trials: how many.
    """

    value: float
    low: float
    high: float
    trials: int


def wilson(hits: int, trials: int) -> Rate:
    """The 95 % interval of a rate (Wilson, JASA 1927): honest for few trials and for rates near 0."""
    if trials == 0:
        return Rate(0.0, 0.0, 1.0, 0)
    z, p = 1.96, hits / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * float(np.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)))
    return Rate(p, max(0.0, centre - half), min(1.0, centre + half), trials)
