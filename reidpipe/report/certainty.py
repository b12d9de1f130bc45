"""How sure each link of a run is, judged after the fact by the association's own evidence.

Looks, the scale of the footage, the places in overlapping views and motion over gaps are weighed by
``reidpipe.associate.weigh``, as when the run decided; two groups are likely one when the mean log-odds of their pairs
is above 0, which is what the clustering decides by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.evidence import Views
from reidpipe.associate.scene import Scene, see
from reidpipe.associate.uncertainty import least_prior, prior_of, shift_std
from reidpipe.associate.weigh import Weighed, gather, link_odds, look, weigh
from reidpipe.report.results import Person
from reidpipe.types import Ids, TrackKey, Tracklet, Vectors

__all__ = ["Certainty", "Rival", "judge", "probability"]

Wide = NDArray[np.float64]

LEAST_PROBABILITY = 0.001


@dataclass(frozen=True, slots=True)
class Rival:
    """Two identities that might be one person: rows of the people, ``a < b``, and the log-odds that they are."""

    a: int
    b: int
    odds: float


@dataclass(frozen=True, slots=True)
class Certainty:
    """How sure the links are.

    Attributes:
        links: float64 ``(N,)``, of each visit (person by person) the log-odds that it belongs to the rest of its
            identity; NaN where there is no rest.
        others: int64 ``(N,)``, of each visit the row of the people it is most like apart from its own; -1: nobody.
        rivals: identities that nothing forbids to be one person, likeliest first.
        apart: pairs of rows of the people that some camera saw at the same time: certainly two.
        limit: the similarity at which two good tracks are as likely one person as two.
        limit_std: its standard deviation.
        shift_std: the same in log-odds.
    """

    links: Wide
    others: Ids
    rivals: tuple[Rival, ...]
    apart: frozenset[tuple[int, int]]
    limit: float
    limit_std: float
    shift_std: float


def probability(odds: float | Wide) -> Wide:
    """From natural log-odds to 0..1."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -50, 50))))


def judge(
    people: Sequence[Person],
    vectors: Vectors,
    *,
    paths: Mapping[TrackKey, Wide] | None = None,
    threshold: float | None = None,
    prior: float | None = None,
) -> Certainty:
    """Certainty of every link of a run, and of every link that was not made.

    Args:
        people: who was found.
        vectors: float32 ``(N, D)`` unit rows, one for each visit, person by person.
        paths: track -> float64 ``(T, 5)``, time and box; where they are known, overlapping views count.
        threshold: the similarity limit that the run was told to use; None: it set itself.
        prior: the log-odds before looking that the run ended with; None: from the sizes of its identities.
    """
    visits = [visit for person in people for visit in person.visits]
    if not visits:
        return Certainty(np.zeros(0), np.zeros(0, np.int64), (), frozenset(), 0.0, 0.0, 0.0)
    tracklets = [
        Tracklet(
            visit.key, vector, 1, visit.quality, visit.first_s, visit.last_s, closed=True,
            path=None if paths is None else paths.get(visit.key),
        )
        for visit, vector in zip(visits, vectors, strict=True)
    ]  # fmt: skip
    scene = see(tracklets)
    rows = {visit.key: row for row, visit in enumerate(visits)}
    order = np.array([rows[tracklet.key] for tracklet in scene.tracklets])
    owners = np.repeat(np.arange(len(people)), [len(person.visits) for person in people])[order]
    return _judge(scene, owners, order, _Rule(threshold, prior))


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the run itself says of its limit, as far as it does: see ``judge``."""

    threshold: float | None
    prior: float | None


def _weigh(scene: Scene, owners: Ids, rule: _Rule) -> Weighed:
    """The association's evidence for the grouping that a run ended with."""
    gathered = gather(scene, views=Views())
    looks = look(scene, gathered, size=len(scene) / len(np.unique(owners)))
    prior = prior_of(owners, len(scene.together), least_prior(owners)) if rule.prior is None else rule.prior
    prior = prior if rule.threshold is None else looks.calibration.prior(rule.threshold)
    return weigh(scene, gathered, looks, prior)


def _judge(scene: Scene, owners: Ids, order: Ids, rule: _Rule) -> Certainty:
    weighed = _weigh(scene, owners, rule)
    apart = owners[scene.together]
    links = np.empty(len(order))
    links[order] = link_odds(scene.quality, owners, weighed)
    others = np.empty(len(order), np.int64)
    others[order] = _others(scene, owners, weighed)
    moved = 0.0 if rule.threshold is not None else shift_std(scene, owners, weighed)
    return Certainty(
        links=links,
        others=others,
        rivals=_rivals(scene.quality, owners, weighed.pairs, weighed.odds, weighed.floor, apart),
        apart=frozenset((min(a, b), max(a, b)) for a, b in apart.tolist()),
        limit=weighed.limit,
        limit_std=moved / weighed.looks.calibration.slope,
        shift_std=moved,
    )


def _others(scene: Scene, owners: Ids, weighed: Weighed) -> Ids:
    """The identity that each track is most like apart from its own, ``(N,)``; one seen beside it is out of question."""
    count = int(owners.max()) + 1
    ends = np.concatenate([weighed.pairs, weighed.pairs[:, ::-1]])
    ends_odds = np.concatenate([weighed.odds, weighed.odds])
    across = owners[ends[:, 0]] != owners[ends[:, 1]]
    codes, inverse = np.unique(ends[across, 0] * count + owners[ends[across, 1]], return_inverse=True)
    weight = scene.quality[ends[across, 1]]
    total, seen = np.bincount(inverse, ends_odds[across] * weight), np.bincount(inverse, weight)
    mass = np.bincount(owners, scene.quality)[codes % count]
    mean = (total + np.maximum(mass - seen, 0.0) * weighed.floor) / mass
    beside = np.concatenate([scene.together, scene.together[:, ::-1]])
    free = ~np.isin(codes, beside[:, 0] * count + owners[beside[:, 1]])
    others = np.full(len(owners), -1)
    order = np.argsort(mean[free], kind="stable")
    others[codes[free][order] // count] = codes[free][order] % count  # the last one written is the likeliest
    return others


def _rivals(weights: Wide, owners: Ids, pairs: Ids, odds: Wide, floor: float, apart: Ids) -> tuple[Rival, ...]:
    """Pairs of identities that nothing forbids and that have a chance, likeliest first."""
    count = int(owners.max()) + 1
    across = owners[pairs[:, 0]] != owners[pairs[:, 1]]
    ends = np.sort(owners[pairs[across]], axis=1)
    both = weights[pairs[across]].prod(axis=1)
    codes, inverse = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    total, seen = np.bincount(inverse, odds[across] * both), np.bincount(inverse, both)
    mass = np.bincount(owners, weights)
    all_pairs = mass[codes // count] * mass[codes % count]
    mean = (total + np.maximum(all_pairs - seen, 0.0) * floor) / all_pairs
    forbidden = np.sort(apart, axis=1)
    free = ~np.isin(codes, forbidden[:, 0] * count + forbidden[:, 1])
    likely = free & (probability(mean) >= LEAST_PROBABILITY)
    found = [Rival(int(c) // count, int(c) % count, float(m)) for c, m in zip(codes[likely], mean[likely], strict=True)]
    return tuple(sorted(found, key=lambda rival: (-rival.odds, rival.a, rival.b)))
