"""Times as people read them: since the beginning of a file, or on the wall clock of a live run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

__all__ = ["Clock", "duration"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_WALL_FROM_S = 1e8
"""Seconds from here on are a wall clock (1973); no file is that long."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How a run's seconds are shown.

    Attributes:
        offset_s: seconds east of Greenwich for a wall clock; None: seconds since the beginning of the files.
        fine: show tenths of seconds, for short recordings.
        dated: show the date as well, for wall clocks that run over midnight.
    """

    offset_s: int | None
    fine: bool
    dated: bool

    @classmethod
    def of(cls, first_s: float, last_s: float) -> Clock:
        """For times from ``first_s`` to ``last_s``; a wall clock is shown in the zone of this computer."""
        if first_s < _WALL_FROM_S:
            return cls(None, last_s - first_s < 100, False)
        offset = datetime.fromtimestamp(first_s).astimezone().utcoffset() or timedelta()
        clock = cls(int(offset.total_seconds()), False, False)
        return cls(clock.offset_s, False, clock._at(first_s).date() != clock._at(last_s).date())

    @property
    def zone(self) -> str:
        """Name of the zone, empty for files."""
        if self.offset_s is None:
            return ""
        hours, minutes = divmod(abs(self.offset_s) // 60, 60)
        return "UTC" if not self.offset_s else f"UTC{'+' if self.offset_s > 0 else '-'}{hours:02}:{minutes:02}"

    def time(self, time_s: float) -> str:
        """One moment: ``1:02:03``, ``0:07.3``, ``14:03:10`` or ``2 Jan 14:03:10``."""
        if self.offset_s is not None:
            at = self._at(time_s)
            return f"{_day(at)} {at:%H:%M:%S}" if self.dated else f"{at:%H:%M:%S}"
        tenths = round(time_s * 10)
        minutes, rest = divmod(abs(tenths), 600)
        seconds = f"{rest / 10:04.1f}" if self.fine else f"{rest // 10:02}"
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"
        return f"-{clock}" if tenths < 0 else clock

    def span(self, first_s: float, last_s: float) -> str:
        """From one moment to another; a date that is the same is said once."""
        first, last = self.time(first_s), self.time(last_s)
        same = self.dated and self._at(first_s).date() == self._at(last_s).date()
        return f"{first} – {last.rsplit(' ', 1)[-1] if same else last}"

    def minute(self, time_s: float) -> str:
        """The beginning of a stretch of time, as short as may be: ``14:00``, ``2 Jan 14:00`` or ``0:10``."""
        if self.offset_s is not None:
            at = self._at(time_s)
            return f"{_day(at)} {at:%H:%M}" if self.dated else f"{at:%H:%M}"
        return Clock(None, False, False).time(time_s)

    def _at(self, time_s: float) -> datetime:
        return datetime.fromtimestamp(time_s, timezone(timedelta(seconds=self.offset_s or 0)))


def _day(at: datetime) -> str:
    """``2 Jan``, in English wherever the computer stands."""
    return f"{at.day} {_MONTHS[at.month - 1]}"


def duration(seconds: float) -> str:
    """How long something took: ``0.8 s``, ``2 s``, ``3 min 10 s``, ``2 h 5 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for unit_s, unit, part_s, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit} {rest} {part}" if rest else f"{whole // unit_s} {unit}"
    return f"{whole} s"
