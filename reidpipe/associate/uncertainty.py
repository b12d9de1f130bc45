"""How well the limit between one person and two is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import COMMON_SPREAD, Scale
from reidpipe.associate.decide import LEAST_PRIOR
from reidpipe.associate.scene import Scene
from reidpipe.associate.weigh import Weighed
from reidpipe.types import Ids

__all__ = ["least_prior", "prior_of", "shift_std"]

Wide = NDArray[np.float64]

HALVES = 16
MOST_PAIRS = 20_000
MOST_STD = 1.0


def prior_of(owners: Ids, together: int, least: float) -> float:
    """Log-odds that two tracks taken at random are one person, given who was found."""
    n = len(owners)
    sizes = np.bincount(owners).astype(np.float64)
    possible = n * (n - 1) / 2 - together
    share = min(0.5, (1.0 + float((sizes * (sizes - 1) / 2).sum())) / (n + possible))
    return max(float(np.log(share / (1 - share))), least)


def least_prior(owners: Ids) -> float:
    """What the association allows the prior at least, by the number of tracks that each person has."""
    return LEAST_PRIOR[int(len(owners) >= 3 * len(np.unique(owners)))]


def shift_std(scene: Scene, owners: Ids, weighed: Weighed) -> float:
    """Standard deviation of the limit in log-odds, from random halves of the tracks (delete-half jackknife).

    Shao and Wu, Annals of Statistics 1989. Tracks are left out rather than pairs, which are not independent. Two things
    move the limit: how alike strangers are, and how many tracks each person has. Of a handful of tracks the halves are
    too small to say anything; what is known of other footage bounds it then.
    """
    rng = np.random.default_rng(0)
    ends = rng.integers(0, len(scene), size=(MOST_PAIRS, 2))
    ends = ends[ends[:, 0] != ends[:, 1]]
    cosines = scene.cosine(ends)
    at_limit = weighed.scale.mean + weighed.limit * weighed.scale.spread / COMMON_SPREAD
    moves = []
    for _ in range(HALVES):
        kept = rng.random(len(scene)) < 0.5
        scale = Scale.of(cosines[kept[ends].all(axis=1)], usual=scene.likeness.spread)
        _, own = np.unique(owners[kept], return_inverse=True)
        together = int(kept[scene.together].all(axis=1).sum())
        prior = prior_of(own, together, least_prior(owners)) if kept.any() else 0.0
        looks = weighed.looks.calibration.slope * float(scale.apply(np.array(at_limit)) - weighed.limit)
        moves.append(looks + prior - prior_of(owners, len(scene.together), least_prior(owners)))
    return min(float(np.sqrt(np.mean(np.square(moves)))), MOST_STD)
