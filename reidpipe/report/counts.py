"""Unique people per camera and stretch of time, each with an error band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.report.certainty import Certainty, Rival, probability
from reidpipe.report.presence import Watch
from reidpipe.report.results import Person, Visit
from reidpipe.types import Ids

__all__ = ["BAND", "Bin", "Counts", "Tally", "count_people", "make_bins"]

Wide = NDArray[np.float64]

BAND = (0.05, 0.95)
"""Quantiles of the band."""

DRAWS = 400

NEW_PERSON = 0.27
"""Share of wrong links whose visit belongs to nobody else on the list, on the tracks of Market-1501. The others are of
somebody who is listed, so that to undo such a link does not add a person."""

HOUR_S = 3600.0
_SHORT_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0)
_MOST_SHORT_BINS = 12


@dataclass(frozen=True, slots=True)
class Bin:
    """A stretch of time: from ``first_s`` to just before ``last_s``, seconds."""

    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How many people, and between which numbers it lies nine times out of ten (None: not known)."""

    count: int
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Unique people.

    Attributes:
        bins: stretches of time, in order.
        total: over everything.
        cameras: camera -> over the whole time.
        cells: camera -> one for each bin.
        most: camera -> most people in one picture, one for each bin.
    """

    bins: tuple[Bin, ...]
    total: Tally
    cameras: dict[str, Tally]
    cells: dict[str, tuple[Tally, ...]]
    most: dict[str, tuple[int, ...]]


def make_bins(first_s: float, last_s: float) -> tuple[Bin, ...]:
    """Hours on the hour; for less than two hours shorter stretches, at most twelve of them."""
    span = max(last_s - first_s, 0.0)
    width = HOUR_S
    if span < 2 * HOUR_S:
        width = next((width for width in _SHORT_S if span / width <= _MOST_SHORT_BINS), _SHORT_S[-1])
    start = math.floor(first_s / width + 1e-9)
    end = max(start + 1, math.ceil(last_s / width - 1e-9))
    return tuple(Bin(number * width, (number + 1) * width) for number in range(start, end))


def count_people(
    people: Sequence[Person],
    cameras: Sequence[str],
    watches: Mapping[str, Watch],
    certainty: Certainty | None,
    bins: tuple[Bin, ...],
) -> Counts:
    """Unique people in total, per camera, and per camera and bin.

    The band comes from ``DRAWS`` recounts: in each the similarity limit is moved by its own uncertainty, and every
    doubtful link, made or not made, is decided by chance with its probability. People whom one camera saw at the same
    time stay apart. The band is stretched where it would leave out the count itself.

    Args:
        people: who was found.
        cameras: names.
        watches: camera -> its pictures.
        certainty: of the links; None: no bands.
        bins: stretches of time.
    """
    visits = [visit for person in people for visit in person.visits]
    cells = [np.arange(len(visits))]
    cells += [np.array([row for row, visit in enumerate(visits) if visit.key.camera == name], int) for name in cameras]
    for name, rows in zip(cameras, cells[1:], strict=True):
        cells += _binned(visits, rows, bins) if name else []
    owners = np.repeat(np.arange(len(people)), [len(person.visits) for person in people])
    tallies = _tallies(cells, owners, certainty)
    first, size = 1 + len(cameras), len(bins)
    return Counts(
        bins=bins,
        total=tallies[0],
        cameras=dict(zip(cameras, tallies[1:first], strict=True)),
        cells={name: tuple(tallies[first + k * size :][:size]) for k, name in enumerate(cameras)},
        most={
            name: tuple(watches[name].most(one.first_s, one.last_s) if name in watches else 0 for one in bins)
            for name in cameras
        },
    )


def _binned(visits: Sequence[Visit], rows: Ids, bins: tuple[Bin, ...]) -> list[Ids]:
    """Rows of the visits of one camera that touch each bin."""
    start, width = bins[0].first_s, bins[0].last_s - bins[0].first_s
    members: list[list[int]] = [[] for _ in bins]
    for row in rows.tolist():
        first = int((visits[row].first_s - start) // width)
        last = int((visits[row].last_s - start) // width)
        for number in range(max(first, 0), min(last, len(bins) - 1) + 1):
            members[number].append(row)
    return [np.array(member, int) for member in members]


def _tallies(cells: Sequence[Ids], owners: Ids, certainty: Certainty | None) -> list[Tally]:
    counts = [len(np.unique(owners[rows])) for rows in cells]
    if certainty is None or not len(owners):
        return [Tally(count) for count in counts]
    where = np.repeat(np.arange(len(cells)), [len(rows) for rows in cells])
    rows = np.concatenate(cells)
    rng = np.random.default_rng(0)
    rival_odds = np.array([rival.odds for rival in certainty.rivals])
    recounts = np.empty((DRAWS, len(cells)))
    for draw in range(DRAWS):
        labels = _recount(owners, certainty, rival_odds, rng)
        seen = np.unique(where * (2 * len(owners)) + labels[rows])
        recounts[draw] = np.bincount(seen // (2 * len(owners)), minlength=len(cells))
    low, high = np.quantile(recounts, BAND, axis=0, method="nearest").astype(int)
    return [Tally(n, min(n, int(a)), max(n, int(b))) for n, a, b in zip(counts, low, high, strict=True)]


def _recount(owners: Ids, certainty: Certainty, rival_odds: Wide, rng: np.random.Generator) -> Ids:
    """Whose each visit is when chance decides what is doubtful, int64 ``(N,)`` below 2 N."""
    shift = float(rng.normal(0.0, 1.0)) * certainty.shift_std
    chosen = np.flatnonzero(rng.random(len(rival_odds)) < probability(rival_odds + shift))
    groups = _merged(int(owners.max()) + 1, certainty, chosen)
    first_rows = np.unique(owners, return_index=True)[1]
    sizes = np.bincount(owners)[owners]
    with np.errstate(invalid="ignore"):
        parted = rng.random(len(owners)) > probability(certainty.links + shift)
    parted &= sizes > 1
    parted[first_rows[np.bincount(owners) == 2]] = False  # two visits hang on one link: one of them can leave
    fresh = (rng.random(len(owners)) < NEW_PERSON) | (certainty.others < 0)
    moved = np.where(fresh, len(owners) + np.arange(len(owners)), groups[certainty.others])
    return np.where(parted, moved, groups[owners])


def _merged(people: int, certainty: Certainty, chosen: Ids) -> Ids:
    """Which identities are one when the chosen rivals are, int64 ``(people,)``; likelier ones come first."""
    labels = np.arange(people)
    groups: dict[int, set[int]] = {}
    for hit in chosen.tolist():
        rival: Rival = certainty.rivals[hit]
        a, b = int(labels[rival.a]), int(labels[rival.b])
        one, other = groups.get(a, {a}), groups.get(b, {b})
        if a == b or any((min(i, j), max(i, j)) in certainty.apart for i in one for j in other):
            continue
        groups[a] = one | other
        labels[list(other)] = a
    return labels
