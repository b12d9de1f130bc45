"""Who went from one camera to another, how often, and how long that took."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reidpipe.report.results import Person

__all__ = ["Movement", "find_movements"]


@dataclass(frozen=True, slots=True)
class Movement:
    """All changes from one camera to another.

    Attributes:
        origin: camera that lost the person.
        target: camera that saw the person next.
        people: global ids, each once, sorted.
        times: seconds between the last picture there and the first one here, sorted; below 0 where both saw the
            person at once.
    """

    origin: str
    target: str
    people: tuple[int, ...]
    times: tuple[float, ...]

    @property
    def count(self) -> int:
        """How often it happened."""
        return len(self.times)

    @property
    def together(self) -> int:
        """How often both cameras saw the person at once."""
        return sum(time_s <= 0 for time_s in self.times)

    def quantile(self, share: float) -> float:
        """Transit time in seconds that this share stays below; overlap counts as 0."""
        return float(np.quantile(np.maximum(self.times, 0.0), share))

    def sample(self, most: int) -> list[float]:
        """At most so many of the times, evenly spread over their order, overlap as 0."""
        rows = np.linspace(0, self.count - 1, min(self.count, most)).round().astype(int)
        return [max(self.times[row], 0.0) for row in rows.tolist()]


def find_movements(people: Sequence[Person]) -> tuple[Movement, ...]:
    """Changes of camera, most frequent first.

    A person's visits are taken in order of their beginning; each that is at another camera than the one before is a
    movement, and the time runs from the end of the last visit at the old camera.
    """
    found: defaultdict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for person in people:
        visits = sorted(person.visits, key=lambda visit: (visit.first_s, visit.key))
        for before, after in itertools.pairwise(visits):
            if before.key.camera != after.key.camera:
                transit = after.first_s - before.last_s
                found[before.key.camera, after.key.camera].append((transit, person.global_id))
    movements = [
        Movement(origin, target, tuple(sorted({i for _, i in rows})), tuple(sorted(time_s for time_s, _ in rows)))
        for (origin, target), rows in found.items()
    ]
    return tuple(sorted(movements, key=lambda one: (-one.count, one.origin, one.target)))
