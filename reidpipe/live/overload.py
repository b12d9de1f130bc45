"""Too much to do: first fewer detections, then fewer embeddings, then fewer pictures; the same for every camera.

All gaps are seconds between two of the same camera, so that a camera of 30 pictures a second is not favoured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reidpipe.errors import ConfigError

__all__ = ["LADDER", "Governor", "Level"]


class Level(NamedTuple):
    """How much is done.

    Attributes:
        detect_gap_s: least time between detections; the tracker predicts between.
        embed_gap_s: least time between pictures that are embedded.
        frame_gap_s: least time between pictures that are taken at all.
    """

    detect_gap_s: float = 0.0
    embed_gap_s: float = 0.0
    frame_gap_s: float = 0.0


LADDER = (
    Level(),
    Level(detect_gap_s=0.1),
    Level(detect_gap_s=0.2),
    Level(detect_gap_s=0.4),
    Level(detect_gap_s=0.4, embed_gap_s=0.5),
    Level(detect_gap_s=0.4, embed_gap_s=1.0),
    Level(detect_gap_s=0.4, embed_gap_s=2.0),
    Level(detect_gap_s=0.4, embed_gap_s=2.0, frame_gap_s=0.2),
    Level(detect_gap_s=0.5, embed_gap_s=2.0, frame_gap_s=0.5),
    Level(detect_gap_s=1.0, embed_gap_s=4.0, frame_gap_s=1.0),
    Level(detect_gap_s=2.0, embed_gap_s=8.0, frame_gap_s=2.0),
)


class Governor:
    """Watches how busy the run is, and chooses the level.

    Busy over ``high`` in two windows in a row: one level further. Busy under ``low`` for ``patience`` windows: one
    level back. When that soon proves wrong, the next attempt waits twice as long.

    Args:
        ladder: the levels, from everything to least.
        window_s: how long is measured before each decision, seconds.
        high: share of the time, 0..1.
        low: share of the time, 0..1.
        patience: windows.
        most_patience: the patience never grows beyond this, windows.
    """

    def __init__(
        self,
        ladder: Sequence[Level] = LADDER,
        *,
        window_s: float = 1.0,
        high: float = 0.95,
        low: float = 0.6,
        patience: int = 5,
        most_patience: int = 320,
    ) -> None:
        if not (ladder and window_s > 0 and 0 <= low < high <= 1 and 1 <= patience <= most_patience):
            raise ConfigError("a governor needs levels, a window above 0, low below high, and a patience of 1 or more")
        self._ladder = tuple(ladder)
        self._window_s = window_s
        self._high = high
        self._low = low
        self._patience = self._first_patience = patience
        self._most_patience = most_patience
        self._since: float | None = None
        self._worked_s = 0.0
        self._over = 0
        self._under = 0
        self._stepped_back_at: float | None = None
        self.number = 0
        self.busy = 0.0

    @property
    def level(self) -> Level:
        """What is done now."""
        return self._ladder[self.number]

    def worked(self, seconds: float, now: float) -> bool:
        """A step took so long, or nothing was to do (0 seconds).

        Args:
            seconds: of work since the last call.
            now: monotonic seconds.

        Returns:
            True when the level changed.
        """
        if self._since is None:
            self._since = now - seconds
        self._worked_s += seconds
        length = now - self._since
        if length < self._window_s:
            return False
        self.busy = min(self._worked_s / length, 1.0)
        self._since, self._worked_s = now, 0.0
        return self._decide(now)

    def _decide(self, now: float) -> bool:
        self._over = self._over + 1 if self.busy > self._high else 0
        self._under = self._under + 1 if self.busy < self._low else 0
        if self._over >= 2 and self.number + 1 < len(self._ladder):
            # Work of two windows at least was measured at this level.
            self._over = 0
            self.number += 1
            if self._stepped_back_at is not None:
                soon = now - self._stepped_back_at < 2 * self._patience * self._window_s
                self._patience = min(2 * self._patience, self._most_patience) if soon else self._first_patience
                self._stepped_back_at = None
            return True
        if self._under >= self._patience and self.number > 0:
            self._under = 0
            self.number -= 1
            self._stepped_back_at = now
            return True
        return False
