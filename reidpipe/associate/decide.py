"""From a scene to people: weigh the evidence, group, learn from the groups how many there are, and group again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import wilson
from reidpipe.associate.cluster import Graph, cluster
from reidpipe.associate.evidence import Looks, Views
from reidpipe.associate.scene import Scene
from reidpipe.associate.transit import Transit, learn_transits, transit_odds
from reidpipe.associate.weigh import Gathered, Weighed, gather, link_odds, look, weigh
from reidpipe.types import Ids

__all__ = ["Decision", "Rules", "decide"]

Wide = NDArray[np.float64]

ROUNDS = 4

LEAST_PRIOR = (-7.5, -5.0)
"""Neighbourhoods adapt to any number of people by themselves; below this the prior would count the crowd twice. The
first is for neighbourhoods without query expansion (fewer than three tracklets for each person)."""

START, MOST_STEPS, PRIOR_SHARE = -2.0, 100, 0.15
"""Where the search for the prior begins, how long it may go on, and the usual share of pairs of one person."""

MOST_SHIFT = 1.0
"""How far people seen together may move the limit, in log-odds: they share a camera and its light, and are more alike
than strangers in general."""


CHOICE = 0.4
"""The best of many is the most alike by chance, too: the limit goes up with the number of people, by this much of its
logarithm. With 5 to 20 of Market's held-out people in 2 to 4 cameras, as they are and as poorer cameras show them, 0.4
gives a joint IDF1 of 93.8 and 0 gives 93.0; on PETS09-S2L1 86.2 and 79.6; with all six cameras 92.9 and 93.7."""


MOST_DOUBT = 4.0
"""Log-odds against a new person of whom there is one bad crop only."""

GLIMPSE = 0.4
"""Quality of a tracklet below which it is a glimpse; at half of it the doubt is full."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user asked for.

    Attributes:
        threshold: similarity above which two are one person; None: found from the footage.
        false_match_rate: largest share of people seen together whose similarity may lie above the limit.
        transits: (camera, camera) -> time from one to the other, where somebody knows it.
    """

    threshold: float | None = None
    false_match_rate: float = 0.01
    transits: Mapping[tuple[str, str], Transit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Who is who.

    Attributes:
        labels: int64 ``(N,)`` group of each tracklet of the scene, numbered by first appearance.
        links: float64 ``(N,)`` log-odds that each tracklet belongs to the rest of its group; NaN where there is none.
        weighed: the evidence that it was decided on.
        report: how it was decided, for run.json.
    """

    labels: Ids
    links: Wide
    weighed: Weighed
    report: dict[str, Any]


def decide(scene: Scene, *, rules: Rules, views: Views | None) -> Decision:
    """Group the tracklets of a scene; transit times are learned from sure links, then everything is weighed again.

    Args:
        scene: at least one tracklet.
        rules: what the user asked for.
        views: what is known about overlapping views, and where what is found is noted; None: do not look at places.
    """
    gathered = gather(scene, views=views, transits=rules.transits)
    labels, weighed = _resolve(scene, gathered, rules)
    learned = learn_transits(scene, labels, weighed.pairs, weighed.odds)
    learned = {way: transit for way, transit in learned.items() if way not in rules.transits}
    if learned:
        gathered = replace(gathered, known=gathered.known + transit_odds(scene, gathered.pairs, learned))
        labels, weighed = _resolve(scene, gathered, rules)
    report = _report(scene, weighed, labels) | _report_views(scene, gathered) | _report_transits(learned)
    return Decision(labels, link_odds(scene.quality, labels, weighed), weighed, report)


def _resolve(scene: Scene, gathered: Gathered, rules: Rules) -> tuple[Ids, Weighed]:
    """Group, learn from the groups how many people there are, and group again."""
    guess = float(np.clip(len(scene.names), 2, 4))
    prior, size = -float(np.log(max(3.0, len(scene) / guess))), guess
    labels = np.arange(len(scene), dtype=np.int64)
    for number in range(ROUNDS):
        looks = look(scene, gathered, size=size)
        weighed = weigh(scene, gathered, looks, _prior(scene, gathered, looks, rules, expected=prior, size=size))
        before, labels = labels, _group(scene, weighed, _doubt(scene))
        if number and np.array_equal(before, labels):
            break
        prior, size = _crowd(scene, labels)
        # Half way to what was expected, so that one round that splits too much does not make the next split more.
        size = float(np.sqrt(size * guess)) if size < guess else size
    return labels, weighed


def _prior(scene: Scene, gathered: Gathered, looks: Looks, rules: Rules, *, expected: float, size: float) -> float:
    """Log-odds before looking that two tracklets are one person."""
    if rules.threshold is not None:
        return looks.calibration.prior(rules.threshold)
    prior = expected
    if gathered.complete:
        plain = weigh(scene, gathered, looks, 0.0)
        prior = _even_out(plain.odds) - CHOICE * float(np.log(max(len(scene) / size, 1.0)))
    prior = max(prior, LEAST_PRIOR[int(size >= 3.0)])
    return max(min(prior, _strangers_prior(looks, rules.false_match_rate)), prior - MOST_SHIFT)


def _group(scene: Scene, weighed: Weighed, doubt: Wide) -> Ids:
    pairs, odds = weighed.pairs, weighed.odds
    # Edges near the floor say no more than no edge at all.
    kept = odds > weighed.floor + 0.3 if len(pairs) > 100_000 else np.ones(len(pairs), np.bool_)
    prior = weighed.prior
    graph = Graph(len(scene), pairs[kept], odds[kept] - prior, weighed.floor - prior, scene.quality, prior)
    spans = [(t.key.camera, t.first_s, t.last_s) for t in scene.tracklets]
    return cluster(graph, spans, alone=doubt, owners=scene.owners)


def _doubt(scene: Scene) -> Wide:
    """Log-odds against each tracklet being all there is of somebody, ``(N,)``.

    One bad crop of somebody new is less likely than one of somebody known. How long it was is not asked: who walks
    past somebody who stands there for minutes is seen for as short a time as any glimpse.
    """
    return MOST_DOUBT * np.clip((GLIMPSE - scene.quality) / (0.5 * GLIMPSE), 0.0, 1.0)


def _crowd(scene: Scene, labels: Ids) -> tuple[float, float]:
    """What a grouping says about the crowd: log-odds that any two tracklets are one person, tracklets per person."""
    sizes = np.bincount(labels).astype(np.float64)
    n = len(scene)
    possible = n * (n - 1) / 2 - len(scene.together)
    share = min(0.5, (1.0 + float((sizes * (sizes - 1) / 2).sum())) / (n + possible))
    return float(np.log(share / (1 - share))), n / len(sizes)


def _even_out(evidence: Wide) -> float:
    """The log-odds before looking that the evidence itself bears out: the mean posterior is the prior.

    Expectation maximisation for the share of a class (Saerens et al., Neural Computation 2002); valid where every pair
    is in ``evidence``. One pair more of each kind keeps it finite.
    """
    prior = START
    for _ in range(MOST_STEPS):
        posterior = 1.0 / (1.0 + np.exp(-np.clip(evidence + prior, -40.0, 40.0)))
        share = (1.0 + float(posterior.sum())) / (len(evidence) + 2.0 / PRIOR_SHARE)
        before, prior = prior, float(np.log(share / (1.0 - share)))
        if abs(prior - before) < 1e-4:
            break
    return min(prior, 0.0)


def _strangers_prior(looks: Looks, rate: float) -> float:
    """The largest prior at which people seen together are told apart often enough.

    It binds only when they are surely (95 %) confused more often than ``rate``: a school class in uniform, a bad net.
    """
    likeness = np.sort(looks.together)[::-1]
    hits = np.arange(1, len(likeness) + 1)
    surely = np.asarray([wilson(int(h), len(likeness)).low for h in hits[: 1 + len(hits) // 4]]) > rate
    if not surely.any():
        return np.inf
    return looks.calibration.prior(float(likeness[int(np.argmax(surely))]))


def _report(scene: Scene, weighed: Weighed, labels: Ids) -> dict[str, Any]:
    together = weighed.looks.together
    return {
        "threshold": round(weighed.limit, 4),
        "prior_log_odds": round(weighed.prior, 3),
        "calibration": scene.likeness.facts(),
        "scale": {name: round(value, 5) for name, value in asdict(weighed.scale).items()},
        "false_match_rate": asdict(wilson(int((together > weighed.limit).sum()), len(together))),
        "identities": int(labels.max()) + 1,
        "tracklets": len(labels),
    }


def _report_views(scene: Scene, gathered: Gathered) -> dict[str, Any]:
    overlaps = {} if gathered.places is None else gathered.places.overlaps
    found = {(scene.names[a], scene.names[b]): shared for (a, b), shared in overlaps.items()}
    return {
        "overlapping_views": [list(names) for names in found],
        "clock_offsets_s": [[*names, round(shared.offset_s, 2)] for names, shared in found.items() if shared.offset_s],
    }


def _report_transits(learned: Mapping[tuple[str, str], Transit]) -> dict[str, Any]:
    return {
        "transit_times_s": [
            [*way, round(transit.low_s, 1), round(transit.high_s, 1), transit.links] for way, transit in learned.items()
        ]
    }
