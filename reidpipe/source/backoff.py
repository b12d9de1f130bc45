"""How long to wait before a camera is tried again."""

from __future__ import annotations

import random

from reidpipe.errors import ConfigError

__all__ = ["Backoff"]


class Backoff:
    """Waits that double, up to a limit, each moved at random so that cameras of one switch do not come back in step.

    Args:
        first_s: the first wait, seconds.
        longest_s: no wait is longer, seconds.
        jitter: a wait is drawn from ``[(1 - jitter) * w, w]``, 0..1.
        rng: where the chance comes from.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        *,
        first_s: float = 0.5,
        longest_s: float = 10.0,
        jitter: float = 0.5,
        rng: random.Random | None = None,
    ) -> None:
        if not 0 < first_s <= longest_s < float("inf"):
            raise ConfigError(f"waits before a retry must be above 0 and growing, got {first_s} and {longest_s} s")
        if not 0 <= jitter <= 1:
            raise ConfigError(f"jitter of a retry must be between 0 and 1, got {jitter}")
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter
        self._rng = rng or random.Random()
        self.failures = 0

    def next_s(self) -> float:
        """Count one more failure and say how long to wait, seconds."""
        # 2 ** 64 is far beyond any limit: the exponent must not grow with the weeks.
        wait_s = min(self._first_s * 2.0 ** min(self.failures, 64), self._longest_s)
        self.failures += 1
        return wait_s * (1.0 - self._jitter * self._rng.random())

    def reset(self) -> None:
        """It worked: begin anew."""
        self.failures = 0
