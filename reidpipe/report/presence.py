"""frames.jsonl in one pass: when each camera gave pictures, how many people were in them, and where each track went."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ReidpipeError
from reidpipe.pool.memory import Path as TrackPath
from reidpipe.report.results import read_lines
from reidpipe.sinks.jsonl import FRAME_SCHEMA
from reidpipe.types import TrackKey

__all__ = ["Presence", "Watch", "read_presence"]

Wide = NDArray[np.float64]

PATH_POINTS = 160
PATH_STEP_S = 0.2


@dataclass(slots=True)
class Watch:
    """One camera.

    Attributes:
        first_s: time of its first picture, seconds.
        last_s: time of its last picture.
        busiest: second -> most people in one picture of that second.
    """

    first_s: float
    last_s: float
    busiest: dict[int, int] = field(default_factory=dict)

    def see(self, time_s: float, people: int) -> None:
        """One picture."""
        self.first_s, self.last_s = min(self.first_s, time_s), max(self.last_s, time_s)
        second = math.floor(time_s)
        self.busiest[second] = max(people, self.busiest.get(second, 0))

    def most(self, first_s: float, last_s: float) -> int:
        """Most people in one picture from ``first_s`` to just before ``last_s``, whole seconds."""
        return max((self.busiest.get(second, 0) for second in range(round(first_s), round(last_s))), default=0)


@dataclass(frozen=True, slots=True)
class Presence:
    """What ``frames.jsonl`` says.

    Attributes:
        watches: camera -> what it saw.
        paths: track -> float64 ``(T, 5)`` time in seconds and box in pixels, thinned as the pooler does.
        nameless: track -> first and last second, of tracks that never got an identity.
    """

    watches: dict[str, Watch] = field(default_factory=dict)
    paths: dict[TrackKey, Wide] = field(default_factory=dict)
    nameless: dict[TrackKey, tuple[float, float]] = field(default_factory=dict)


def read_presence(path: Path, keys: Collection[TrackKey] = ()) -> Presence:
    """Read ``frames.jsonl`` and what was rotated out of it; empty when there is none.

    Args:
        path: of the file.
        keys: tracks whose paths are wanted.

    Raises:
        ReidpipeError: a line is damaged, or of a newer schema.
    """
    presence = Presence()
    paths = {key: TrackPath(PATH_POINTS, PATH_STEP_S) for key in keys}
    for where, record in read_lines(path, FRAME_SCHEMA):
        try:
            _note(record, presence, paths)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ReidpipeError(f"{where} is damaged: not of schema {FRAME_SCHEMA}") from error
    presence.paths.update({key: one.stacked() for key, one in paths.items() if one.rows})
    return presence


def _note(record: dict[str, Any], presence: Presence, paths: dict[TrackKey, TrackPath]) -> None:
    """One picture."""
    camera, time_s, people = str(record["camera"]), float(record["time_s"]), record["people"]
    presence.watches.setdefault(camera, Watch(time_s, time_s)).see(time_s, len(people))
    for person in people:
        key = TrackKey(camera, int(person["track_id"]))
        if key in paths:
            paths[key].add(time_s, person["box"])
        if person["global_id"] is not None:
            presence.nameless.pop(key, None)
        elif key not in paths:
            presence.nameless[key] = (presence.nameless.get(key, (time_s, time_s))[0], time_s)
