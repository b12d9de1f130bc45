"""All evidence about all pairs of a scene, put on one scale: natural log-odds that the two are one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Scale
from reidpipe.associate.cluster import independent
from reidpipe.associate.continuity import follow_on
from reidpipe.associate.evidence import Looks, Places, Views, compare_looks, find_places
from reidpipe.associate.scene import Scene
from reidpipe.associate.steadiness import measure
from reidpipe.associate.transit import Transit, transit_odds
from reidpipe.types import Ids

__all__ = ["Gathered", "Weighed", "gather", "group_odds", "link_odds", "look", "probability", "weigh"]

Wide = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What does not change while the grouping is found.

    Attributes:
        scale: how alike strangers are.
        pairs: int64 ``(E, 2)`` i < j, sorted: pairs worth looking at; none seen together.
        cosines: float64 ``(E,)`` of these and ``(P,)`` of those seen together, on the common scale.
        known: float64 ``(E,)`` log-odds of each from everything but looks.
        places: what overlapping views say; None: nobody looked.
        complete: every pair that is possible is in ``pairs``.
    """

    scale: Scale
    pairs: Ids
    cosines: tuple[Wide, Wide]
    known: Wide
    places: Places | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Weighed:
    """The evidence with which a grouping was made.

    Attributes:
        pairs: int64 ``(E, 2)`` i < j, sorted.
        odds: float64 ``(E,)`` log-odds that each pair is one person, prior included.
        floor: the same for every pair that is not listed; below 0.
        prior: log-odds before looking.
        looks: how alike the pairs look.
        scale: how alike strangers are.
    """

    pairs: Ids
    odds: Wide
    floor: float
    prior: float
    looks: Looks = field(repr=False)
    scale: Scale

    @property
    def limit(self) -> float:
        """The similarity at which two good tracks, of which nothing else is known, are as likely one as two."""
        return self.looks.calibration.limit(self.prior)


def gather(
    scene: Scene,
    *,
    views: Views | None,
    transits: Mapping[tuple[str, str], Transit] | None = None,
    scale: Scale | None = None,
) -> Gathered:
    """Pairs worth looking at, and what places, motion and transit times say about them.

    Args:
        scene: at least one tracklet.
        views: what is known about overlapping views, and where what is found is noted; None: do not look at places.
        transits: known transit times.
        scale: of this footage, where it is known already.
    """
    scale = measure(scene) if scale is None else scale
    pairs = scene.worth()
    places = None if views is None else find_places(scene, scale, views)
    follows, follow_odds = follow_on(scene)
    if places is not None and len(places.pairs):
        pairs = _with(scene, pairs, places.pairs)
    pairs = _with(scene, pairs, follows)
    known = np.zeros(len(pairs)) if places is None else places.of(scene, pairs)
    known[np.searchsorted(scene.codes(pairs), scene.codes(follows))] += follow_odds
    known += transit_odds(scene, pairs, transits or {})
    complete = len(pairs) + len(scene.together) == len(scene) * (len(scene) - 1) // 2
    cosines = scale.apply(scene.cosine(pairs)), scale.apply(scene.cosine(scene.together))
    return Gathered(scale, pairs, cosines, known, places, complete)


def weigh(scene: Scene, gathered: Gathered, looks: Looks, prior: float) -> Weighed:
    """Looks, as far as they can be trusted, and everything else, and the prior.

    Args:
        scene: the tracklets.
        gathered: of this scene.
        looks: of ``gathered.pairs``.
        prior: log-odds before looking.
    """
    odds = looks.calibration.log_odds(looks.similarity) * scene.trust(gathered.pairs) + gathered.known + prior
    floor = float(looks.calibration.log_odds(np.array(0.0))) + prior
    return Weighed(gathered.pairs, odds, min(floor, -0.5), prior, looks, gathered.scale)


def look(scene: Scene, gathered: Gathered, *, size: float) -> Looks:
    """Looks of the gathered pairs, with neighbourhoods for people of about ``size`` tracklets each."""
    return compare_looks(scene, gathered.pairs, gathered.cosines, gathered.scale, size=size)


def link_odds(weights: Wide, owners: Ids, weighed: Weighed) -> Wide:
    """Log-odds of each tracklet to the rest of its group, ``(N,)``, as ``cluster`` decides; NaN where there is no rest.

    Args:
        weights: ``(N,)`` above 0: how much each tracklet's word counts.
        owners: int64 ``(N,)`` group of each.
        weighed: the evidence; pairs that it does not list count ``floor``.
    """
    pairs, odds = weighed.pairs, weighed.odds - weighed.prior
    inside = owners[pairs[:, 0]] == owners[pairs[:, 1]]
    total, seen = np.zeros(len(owners)), np.zeros(len(owners))
    for here, there in ((0, 1), (1, 0)):
        one, other = pairs[inside, here], pairs[inside, there]
        np.add.at(total, one, odds[inside] * weights[other])
        np.add.at(seen, one, weights[other])
    rest, squares = (np.bincount(owners, w)[owners] - w for w in (weights, weights**2))
    alone = np.bincount(owners)[owners] == 1
    rest, squares = np.where(alone, 1.0, rest), np.where(alone, 1.0, squares)
    mean = (total + np.maximum(rest - seen, 0.0) * (weighed.floor - weighed.prior)) / rest
    return np.where(alone, np.nan, group_odds(mean, np.ones(len(owners)), rest**2 / squares, weighed.prior))


def group_odds(mean: Wide, one: Wide, other: Wide, prior: float) -> Wide:
    """Log-odds that two groups are one person, for each independent pair between them: what ``cluster`` decides with.

    Above 0 where it joins them. The evidence of all pairs together would say more than is known: even so of the links
    that ``tools/scene_bank.py`` counts (two nets, 256 scenes) at 0..1, 1..2, 2..3, 3..4, 4..6 and more 61, 74, 82, 88,
    95 and 99 in 100 are right, where 63, 82, 92, 97, 99 and 100 are shown.

    Args:
        mean: of the evidence of all pairs, without the prior, natural log-odds.
        one: how many tracklets of equal weight the first group is worth, ``(sum w)^2 / sum w^2``.
        other: the second.
        prior: log-odds before looking; it counts once, however many pairs there are.
    """
    return np.asarray(mean + prior / independent(one, other))


def probability(odds: float) -> float | None:
    """From natural log-odds to 0..1; None for NaN."""
    return None if odds != odds else float(1.0 / (1.0 + np.exp(-np.clip(odds, -50.0, 50.0))))


def _with(scene: Scene, pairs: Ids, more: Ids) -> Ids:
    """Sorted pairs, and more of them, none seen together."""
    codes = np.union1d(scene.codes(pairs), np.setdiff1d(scene.codes(more), scene.codes(scene.together)))
    return np.stack(np.divmod(codes, len(scene)), axis=1).astype(np.int64)
