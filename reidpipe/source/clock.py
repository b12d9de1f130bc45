"""Presentation time stamps into seconds that always grow."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["PtsClock"]

_NUDGE_S = 1e-3
_JUMP_S = 1.0


class PtsClock:
    """Turns the time stamps of one stream into seconds since its first picture.

    Stamps are kept as they are (variable frame rate). Three faults are repaired, and counted:

    * a picture without stamp comes one average interval after the one before;
    * a stamp that does not grow, by less than a second, is put 1 ms after the one before;
    * a stamp that jumps back further (the recorder started its clock anew) continues one interval after the one before.

    Args:
        time_base: seconds per tick.
        origin: stamp of the first picture, None when it has none.
        fps: average frames per second, more than 0.
    """

    def __init__(self, time_base: Fraction, origin: int | None, fps: float) -> None:
        self._time_base = time_base
        self._origin = origin or 0
        self._interval_s = 1.0 / fps
        self._last_s: float | None = None
        self._shift_s = 0.0
        self.missing = 0
        self.not_growing = 0

    def seconds(self, ticks: int | None) -> float:
        """Time of the next picture in seconds; larger than any time given before."""
        last = self._last_s
        if ticks is None:
            self.missing += 1
            time_s = 0.0 if last is None else last + self._interval_s
        else:
            time_s = float((ticks - self._origin) * self._time_base) + self._shift_s
            if last is not None and time_s <= last:
                self.not_growing += 1
                behind = last - time_s
                if behind > _JUMP_S:
                    self._shift_s += behind + self._interval_s
                    time_s = last + self._interval_s
                else:
                    time_s = last + _NUDGE_S
        self._last_s = time_s
        return time_s
