"""From a similarity to the odds that two tracklets are one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How similar one person's tracklets are, and those of different people (cosine, camera bias removed).

    Attributes:
        same_mean: mean similarity of two tracklets of one person.
        other_mean: mean similarity of two people.
        std: standard deviation of both.
    """

    same_mean: float = 0.58
    other_mean: float = 0.0
    std: float = 0.17

    def log_odds(self, similarity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Natural log of p(similarity | same) / p(similarity | different): two normals of one width."""
        slope = (self.same_mean - self.other_mean) / self.std**2
        return np.asarray(slope * (similarity - 0.5 * (self.same_mean + self.other_mean)))

    def limit(self, prior: float) -> float:
        """The similarity at which both are equally likely, given the log-odds before looking."""
        slope = (self.same_mean - self.other_mean) / self.std**2
        return 0.5 * (self.same_mean + self.other_mean) - prior / slope
