"""How old results are: percentiles over weeks in a few numbers."""

from __future__ import annotations

import math

__all__ = ["Ages"]

_STEPS = 20  # per factor of ten: 12 % from one to the next
_LEAST_S = 1e-3
_DECADES = 6


class Ages:
    """A histogram of ages, 1 ms to 1000 s, in steps of 12 %. Constant memory."""

    def __init__(self) -> None:
        self._counts = [0] * (_STEPS * _DECADES + 1)
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def add(self, age_s: float) -> None:
        """Count one, seconds."""
        step = math.ceil(_STEPS * math.log10(max(age_s, _LEAST_S) / _LEAST_S))
        self._counts[min(step, len(self._counts) - 1)] += 1
        self._total += 1

    def percentile(self, share: float) -> float | None:
        """The age that so much (0..1) of all are not above, seconds; None without any."""
        wanted, seen = share * self._total, 0
        for step, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return float(_LEAST_S * 10 ** (step / _STEPS))
        return None
