"""Which part of a recording is wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reidpipe.errors import ConfigError

__all__ = ["Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start_s`` (included) on for ``duration_s`` (end excluded), seconds since the first picture.

    Attributes:
        start_s: 0 or more.
        duration_s: more than 0, or None: to the end.

    Raises:
        ConfigError: out of range.
    """

    start_s: float = 0.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise ConfigError(f"start must be 0 s or more, got {self.start_s}")
        if self.duration_s is not None and not (math.isfinite(self.duration_s) and self.duration_s > 0):
            raise ConfigError(f"duration must be more than 0 s, got {self.duration_s}")

    @property
    def end_s(self) -> float:
        """Where it ends, infinite when it has no end."""
        return math.inf if self.duration_s is None else self.start_s + self.duration_s

    def count(self, total: int | None, fps: float) -> int | None:
        """How many of ``total`` pictures at ``fps`` are in it, about; None when that cannot be told."""
        if total is None:
            return None if self.duration_s is None or fps <= 0 else max(1, round(self.duration_s * fps))
        if fps <= 0 or (self.start_s == 0 and self.duration_s is None):
            return total
        last = total if self.duration_s is None else min(total, math.ceil(self.end_s * fps - 1e-6))
        return max(0, last - math.ceil(self.start_s * fps - 1e-6))
