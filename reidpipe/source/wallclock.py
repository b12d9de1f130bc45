"""Times of live pictures: from the camera's time stamps, on the one clock that all cameras of a run share.

    run = RunClock()                     wall clock that never jumps
    clock = FrameClock(run)              one for each camera
    time_s = clock.seconds(pts_s, arrived)    when the picture was taken, seconds since 1970

Arrival times alone jitter with the network; the stamps alone drift against our clock and start anywhere. The
difference between the two is the delay, and the least delay seen is the truth plus a constant: pictures can come late,
never early.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["FrameClock", "RunClock"]

_SLEW = 0.01
_AGREES_S = 0.05
_NUDGE_S = 1e-3


class RunClock:
    """Wall clock of a run, seconds since 1970, that never goes back and never leaps.

    It follows the system's monotonic clock. When the system's wall clock is set, the difference is made up slowly
    (1 s in 100 s), because a leap would end every track of every camera; ``offset_s`` tells how far it is off.

    Args:
        wall: seconds since 1970; may jump.
        monotonic: seconds since anything; does not jump.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._checked = monotonic()
        self._shift = wall() - self._checked
        self.offset_s = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self.at(self.monotonic())

    def at(self, moment: float) -> float:
        """What this clock shows at a moment of the monotonic one."""
        return moment + self._shift

    def follow(self) -> float:
        """Move towards the system's wall clock; call it about every second.

        Returns:
            How far the system's clock is ahead of this one now, seconds.
        """
        moment = self.monotonic()
        most = _SLEW * max(moment - self._checked, 0.0)
        self._checked = moment
        ahead = self._wall() - self.at(moment)
        if abs(ahead) > _AGREES_S:
            step = max(-most, min(most, ahead))
            self._shift += step
            ahead -= step
        self.offset_s = ahead
        return ahead


class FrameClock:
    """When the pictures of one camera were taken.

    Args:
        run: the clock that all cameras share.
        drift: how fast the delay may be believed to grow, seconds per second: a camera whose quartz is slower than
            ours looks like one whose pictures take ever longer. Quartz drifts by less than 0.0002.
        leap_s: stamps that disagree with arrivals by more than this belong to a clock that was set: begin anew.
    """

    def __init__(self, run: RunClock, *, drift: float = 0.002, leap_s: float = 5.0) -> None:
        self._run = run
        self._drift = drift
        self._leap_s = leap_s
        self._delay: float | None = None
        self._arrived = 0.0
        self._last_s = float("-inf")
        self.leaps = 0

    def restart(self) -> None:
        """The camera was connected anew: its stamps start anywhere. Times go on growing."""
        self._delay = None

    def seconds(self, pts_s: float | None, arrived: float) -> float:
        """Seconds since 1970 of the next picture; larger than any given before.

        Args:
            pts_s: the camera's own stamp, seconds; None when it gives none.
            arrived: when the picture came, on ``run.monotonic``.
        """
        taken = arrived if pts_s is None else min(pts_s + self._follow(arrived - pts_s, arrived), arrived)
        time_s = max(self._run.at(taken), self._last_s + _NUDGE_S)
        self._last_s = time_s
        return time_s

    def _follow(self, delay: float, arrived: float) -> float:
        """The least delay, rising slowly."""
        known = self._delay
        if known is None:
            known = delay
        elif abs(delay - known) > self._leap_s:
            self.leaps += 1
            known = delay
        elif delay < known:
            known = delay
        else:
            known = min(delay, known + self._drift * max(arrived - self._arrived, 0.0))
        self._delay, self._arrived = known, arrived
        return known
