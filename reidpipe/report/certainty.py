"""How sure each link of a run is, judged after the fact by the association's own evidence.

A link that was made is as sure as the run said. For links that were not made the evidence is weighed again by
``reidpipe.associate.weigh`` as when the run decided: its embedder's calibration, its prior, the transit times, clock
offsets and floors that it was told of, and the transit times that it learned. Two groups are likely one when the mean
log-odds of their pairs is above 0, which is what the clustering decides by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.evidence import Views
from reidpipe.associate.likeness import UNKNOWN, Likeness, run_likeness
from reidpipe.associate.options import read_planes, set_clocks
from reidpipe.associate.scene import Scene, see
from reidpipe.associate.steadiness import common_scale
from reidpipe.associate.transit import Transit, read_transits
from reidpipe.associate.uncertainty import least_prior, prior_of, shift_std
from reidpipe.associate.weigh import Weighed, gather, group_odds, link_odds, look, weigh
from reidpipe.report.results import Person
from reidpipe.types import Ids, TrackKey, Tracklet, Vectors

__all__ = ["Certainty", "Rival", "Rule", "judge", "probability", "rule_of"]

Wide = NDArray[np.float64]

LEAST_PROBABILITY = 0.001


@dataclass(frozen=True, slots=True)
class Rival:
    """Two identities that might be one person: rows of the people, ``a < b``, and the log-odds that they are."""

    a: int
    b: int
    odds: float


@dataclass(frozen=True, slots=True)
class Rule:
    """How a run decided, as far as it says so.

    Attributes:
        threshold: the similarity limit that it was told to use; None: it set itself.
        prior: the log-odds before looking that it ended with; None: from the sizes of its identities.
        likeness: what the cosines of its embedder mean.
        transits: (camera, camera) -> time from one to the other, told or learned.
        offsets: camera -> seconds that were added to its clock.
        planes: camera -> homography from its picture to a floor, where somebody measured it.
        overlap: it looked for overlapping views.
        ease: see ``Scale``.
    """

    threshold: float | None = None
    prior: float | None = None
    likeness: Likeness = UNKNOWN
    transits: Mapping[tuple[str, str], Transit] = field(default_factory=dict)
    offsets: Mapping[str, float] = field(default_factory=dict)
    planes: Mapping[str, Wide] = field(default_factory=dict)
    overlap: bool = True
    ease: float = 1.0


def rule_of(run: Mapping[str, Any]) -> Rule:
    """From a run's ``run.json``."""
    told = run["config"].get("associate", {})
    said = run.get("association") or {}
    learned = {(a, b): Transit(low, high, links) for a, b, low, high, links in said.get("transit_times_s", [])}
    return Rule(
        threshold=told.get("threshold"),
        prior=said.get("prior_log_odds"),
        likeness=run_likeness(run),
        transits=learned | read_transits(told.get("transits") or {}),
        offsets=told.get("offsets") or {},
        planes=read_planes(told.get("planes")),
        overlap=told.get("overlap", True),
        ease=float((said.get("scale") or {}).get("ease", 1.0)),
    )


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
    rule: Rule | None = None,
) -> Certainty:
    """Certainty of every link of a run, and of every link that was not made.

    Args:
        people: who was found.
        vectors: float32 ``(N, D)`` unit rows, one for each visit, person by person.
        paths: track -> float64 ``(T, 5)``, time and box; where they are known, overlapping views count.
        rule: how the run decided, see ``rule_of``; None: nothing is known of it.
    """
    rule = rule or Rule()
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
    scene = see(set_clocks(tracklets, rule.offsets), likeness=rule.likeness)
    rows = {visit.key: row for row, visit in enumerate(visits)}
    order = np.array([rows[tracklet.key] for tracklet in scene.tracklets])
    owners = np.repeat(np.arange(len(people)), [len(person.visits) for person in people])[order]
    said = np.asarray([np.nan if visit.probability is None else visit.probability for visit in visits])
    return _judge(scene, owners, order, rule, said)


def _weigh(scene: Scene, owners: Ids, rule: Rule) -> Weighed:
    """The association's evidence for the grouping that a run ended with."""
    views = Views(rule.planes) if rule.overlap or rule.planes else None
    scale = replace(common_scale(scene), ease=rule.ease)
    gathered = gather(scene, views=views, transits=rule.transits, scale=scale)
    looks = look(scene, gathered, size=len(scene) / len(np.unique(owners)))
    prior = prior_of(owners, len(scene.together), least_prior(owners)) if rule.prior is None else rule.prior
    prior = prior if rule.threshold is None else looks.calibration.prior(rule.threshold)
    return weigh(scene, gathered, looks, prior)


def _judge(scene: Scene, owners: Ids, order: Ids, rule: Rule, said: Wide) -> Certainty:
    weighed = _weigh(scene, owners, rule)
    apart = owners[scene.together]
    links = np.empty(len(order))
    links[order] = link_odds(scene.quality, owners, weighed)
    close = np.clip(said, 1e-6, 1 - 1e-6)
    links = np.where(np.isnan(said) | np.isnan(links), links, np.log(close / (1 - close)))
    others = np.empty(len(order), np.int64)
    others[order] = _others(scene, owners, weighed)
    moved = 0.0 if rule.threshold is not None else shift_std(scene, owners, weighed)
    return Certainty(
        links=links,
        others=others,
        rivals=_rivals(scene.quality, owners, weighed, apart),
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


def _rivals(weights: Wide, owners: Ids, weighed: Weighed, apart: Ids) -> tuple[Rival, ...]:
    """Pairs of identities that nothing forbids and that have a chance, likeliest first."""
    count = int(owners.max()) + 1
    pairs, evidence, floor = weighed.pairs, weighed.odds - weighed.prior, weighed.floor - weighed.prior
    across = owners[pairs[:, 0]] != owners[pairs[:, 1]]
    ends = np.sort(owners[pairs[across]], axis=1)
    both = weights[pairs[across]].prod(axis=1)
    codes, inverse = np.unique(ends[:, 0] * count + ends[:, 1], return_inverse=True)
    total, seen = np.bincount(inverse, evidence[across] * both), np.bincount(inverse, both)
    mass = np.bincount(owners, weights)
    worth = mass**2 / np.bincount(owners, weights**2)
    a, b = codes // count, codes % count
    all_pairs = mass[a] * mass[b]
    mean = (total + np.maximum(all_pairs - seen, 0.0) * floor) / all_pairs
    odds = group_odds(mean, worth[a], worth[b], weighed.prior)
    forbidden = np.sort(apart, axis=1)
    free = ~np.isin(codes, forbidden[:, 0] * count + forbidden[:, 1])
    likely = free & (probability(odds) >= LEAST_PROBABILITY)
    found = [Rival(int(c) // count, int(c) % count, float(m)) for c, m in zip(codes[likely], odds[likely], strict=True)]
    return tuple(sorted(found, key=lambda rival: (-rival.odds, rival.a, rival.b)))
