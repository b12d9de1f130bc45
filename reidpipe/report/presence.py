"""frames.jsonl in one pass: when each camera gave pictures, how many people were in them, and where each track went."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path

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
    """One camera: time of each picture in seconds, and how many people were in it."""

    times: array[float] = field(default_factory=lambda: array("d"))
    people: array[int] = field(default_factory=lambda: array("I"))

    def most(self, first_s: float, last_s: float) -> int:
        """Most people in one picture from ``first_s`` to just before ``last_s``."""
        times, people = np.asarray(self.times), np.asarray(self.people)
        inside = people[(times >= first_s) & (times < last_s)]
        return int(inside.max()) if inside.size else 0


@dataclass(frozen=True, slots=True)
class Presence:
    """What ``frames.jsonl`` says.

    Attributes:
        watches: camera -> its pictures.
        paths: track -> float64 ``(T, 5)`` time in seconds and box in pixels, thinned as the pooler does.
        nameless: track -> first and last second, of tracks that got no identity.
    """

    watches: dict[str, Watch]
    paths: dict[TrackKey, Wide]
    nameless: dict[TrackKey, tuple[float, float]]


def read_presence(path: Path) -> Presence:
    """Read ``frames.jsonl``; empty when there is none.

    Raises:
        ReidpipeError: a line is damaged, or of a newer schema.
    """
    watches: dict[str, Watch] = {}
    paths: dict[TrackKey, TrackPath] = {}
    nameless: dict[TrackKey, tuple[float, float]] = {}
    for number, record in enumerate(read_lines(path, FRAME_SCHEMA), 1):
        try:
            camera, time_s, people = str(record["camera"]), float(record["time_s"]), record["people"]
            watch = watches.setdefault(camera, Watch())
            watch.times.append(time_s)
            watch.people.append(len(people))
            for person in people:
                key = TrackKey(camera, int(person["track_id"]))
                if key not in paths:
                    paths[key] = TrackPath(PATH_POINTS, PATH_STEP_S)
                paths[key].add(time_s, person["box"])
                if person["global_id"] is None:
                    nameless[key] = (nameless.get(key, (time_s, 0.0))[0], time_s)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ReidpipeError(f"{path}, line {number} is damaged: not of schema {FRAME_SCHEMA}") from error
    return Presence(watches, {key: one.stacked() for key, one in paths.items()}, nameless)
