"""From a scene to people: weigh the evidence, group, learn from the groups how many there are, and group again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration, Scale, wilson
from reidpipe.associate.cluster import Graph, cluster
from reidpipe.associate.continuity import follow_on
from reidpipe.associate.evidence import Looks, Views, compare_looks, find_places
from reidpipe.associate.scene import Scene
from reidpipe.types import Ids

__all__ = ["Decision", "decide"]

Wide = NDArray[np.float64]

ROUNDS = 4

LEAST_PRIOR = (-7.5, -5.0)
"""Neighbourhoods adapt to any number of people by themselves; below this the prior would count the crowd twice. The
first is for neighbourhoods without query expansion (fewer than three tracklets for each person)."""

START, MOST_STEPS, PRIOR_SHARE = -2.0, 100, 0.15
"""Where the search for the prior begins, how long it may go on, and the share of pairs of one person in a small crowd."""

MOST_SHIFT = 1.0
"""How far people seen together may move the limit, in log-odds: they share a camera and its light, and are more alike
than strangers in general."""


MOST_DOUBT = 4.0
"""Log-odds against a new person of whom there is one bad crop only."""

GLIMPSE = 0.4
"""Quality of a tracklet below which it is a glimpse; at half of it the doubt is full."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who is who.

    Attributes:
        labels: int64 ``(N,)`` group of each tracklet of the scene, numbered by first appearance.
        report: how it was decided, for run.json.
    """

    labels: Ids
    report: dict[str, Any]


def decide(scene: Scene, *, threshold: float | None, false_match_rate: float, views: Views | None) -> Decision:
    """Group the tracklets of a scene.

    Args:
        scene: at least one tracklet.
        threshold: similarity above which two are one person; None: found from the footage.
        false_match_rate: largest share of people seen together whose similarity may lie above the limit.
        views: what is known about overlapping views, and where what is found is noted; None: do not look at places.
    """
    scale = Scale.of(scene.strangers())
    pairs = scene.worth()
    places = None if views is None else find_places(scene, scale, views)
    follows, follow_odds = follow_on(scene)
    if places is not None and len(places.pairs):
        pairs = _with(scene, pairs, places.pairs)
    pairs = _with(scene, pairs, follows)
    known = np.zeros(len(pairs)) if places is None else places.of(scene, pairs)
    known[np.searchsorted(scene.codes(pairs), scene.codes(follows))] += follow_odds
    guess = float(np.clip(len(scene.names), 2, 4))
    prior, size = -float(np.log(max(3.0, len(scene) / guess))), guess
    labels = np.arange(len(scene), dtype=np.int64)
    complete = len(pairs) + len(scene.together) == len(scene) * (len(scene) - 1) // 2
    for number in range(ROUNDS):
        looks = compare_looks(scene, pairs, scale, size=size)
        if complete:
            prior = _even_out(looks.calibration.log_odds(looks.similarity) * scene.trust(pairs) + known)
        if threshold is not None:
            prior = looks.calibration.prior(threshold)
        else:
            prior = max(prior, LEAST_PRIOR[int(size >= 3.0)])
            prior = max(min(prior, _strangers_prior(looks, false_match_rate)), prior - MOST_SHIFT)
        before, labels = labels, _group(scene, pairs, looks, known, prior)
        if number and np.array_equal(before, labels):
            break
        used = prior
        prior, size = _crowd(scene, labels)
        # Half way to what was expected, so that one round that splits too much does not make the next split more.
        size = float(np.sqrt(size * guess)) if size < guess else size
    found = {} if places is None else {(scene.names[a], scene.names[b]): s for (a, b), s in places.overlaps.items()}
    views_found = {
        "overlapping_views": [list(names) for names in found],
        "clock_offsets_s": [[*names, round(shared.offset_s, 2)] for names, shared in found.items() if shared.offset_s],
    }
    return Decision(labels, _report(looks, used, scale, labels) | views_found)


def _with(scene: Scene, pairs: Ids, more: Ids) -> Ids:
    """Sorted pairs, and more of them, none seen together."""
    codes = np.union1d(scene.codes(pairs), np.setdiff1d(scene.codes(more), scene.codes(scene.together)))
    return np.stack(np.divmod(codes, len(scene)), axis=1).astype(np.int64)


def _group(scene: Scene, pairs: Ids, looks: Looks, known: Wide, prior: float) -> Ids:
    odds = looks.calibration.log_odds(looks.similarity) * scene.trust(pairs) + known + prior
    floor = float(looks.calibration.log_odds(np.array(0.0))) + prior
    # Edges near the floor say no more than no edge at all.
    kept = odds > floor + 0.3 if len(pairs) > 100_000 else np.ones(len(pairs), np.bool_)
    graph = Graph(len(scene), pairs[kept], odds[kept], min(floor, -0.5), scene.quality)
    # A glimpse of somebody new is less likely than a glimpse of somebody known.
    doubt = MOST_DOUBT * np.clip((GLIMPSE - scene.quality) / (0.5 * GLIMPSE), 0.0, 1.0)
    return cluster(graph, [(t.key.camera, t.first_s, t.last_s) for t in scene.tracklets], alone=doubt)


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


def _report(looks: Looks, prior: float, scale: Scale, labels: Ids) -> dict[str, Any]:
    calibration: Calibration = looks.calibration
    limit = calibration.limit(prior)
    return {
        "threshold": round(limit, 4),
        "prior_log_odds": round(prior, 3),
        "scale": asdict(scale),
        "false_match_rate": asdict(wilson(int((looks.together > limit).sum()), len(looks.together))),
        "identities": int(labels.max()) + 1,
        "tracklets": len(labels),
    }
