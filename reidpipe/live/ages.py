"""How old results are: percentiles over weeks in a few numbers."""

from __future__ import annotations

import math

__all__ = ["Ages", "RecentAges"]

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

    def merged(self, other: Ages) -> Ages:
        """Both together, a new one."""
        both = Ages()
        both._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        both._total = sum(both._counts)
        return both

    def percentile(self, share: float) -> float | None:
        """The age that so much (0..1) of all are not above, seconds; None without any."""
        wanted, seen = share * self._total, 0
        for step, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return float(_LEAST_S * 10 ** (step / _STEPS))
        return None


class RecentAges:
    """The ages of the last one to two spans of time.

    Args:
        span_s: seconds.
    """

    def __init__(self, span_s: float = 60.0) -> None:
        self._span_s = span_s
        self._since: float | None = None
        self._before = Ages()
        self._now = Ages()

    def add(self, age_s: float, now: float) -> None:
        """Count one, seconds; ``now`` in monotonic seconds."""
        if self._since is None:
            self._since = now
        elif now - self._since >= self._span_s:
            self._before, self._now, self._since = self._now, Ages(), now
        self._now.add(age_s)

    def percentile(self, share: float) -> float | None:
        """See ``Ages``; None without any."""
        return self._before.merged(self._now).percentile(share)
