"""Views that overlap find themselves: the map from one camera's floor to another's, learned from people seen in both.

Two cameras that look at one floor see it through a homography. Which tracks are the same person is not known, only what
is likely from their looks; so maps are fitted to random sets of likely pairs and judged by how well they explain all
tracks of both cameras at once (RANSAC, Fischler and Bolles 1981; the score is a log-likelihood ratio, the test for
"there is an overlap at all" a Bayesian information criterion). From then on, where people stand says who is who.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.homography import carry, fit, misses, normal_of, rows_of, spread
from reidpipe.associate.meetings import Meetings, thin

__all__ = ["Overlap", "find_overlap", "given_overlap", "refit"]

Wide = NDArray[np.float64]

OUTLIER = 0.1
"""Share of moments at which a box of the right person is wrong: feet hidden, half a box, another's box."""

MOST = 12.0
"""Largest log-odds that where people stand can give to a pair, either way."""

AGAINST = 4.0
"""Largest log-odds against a pair: feet that are hidden all the time are wrong by the same at every moment, so many
moments are no stronger proof than one."""


PERSPECTIVE = 2.0
"""How much faster a homography goes wrong outside of where it was learned than the affine map next to it."""

SEARCHED = 200
"""Pairs, the likeliest, that the random search looks at; what it finds is refined and judged on all."""

SURE = 60.0
"""Evidence at which the search stops."""

BATCH, CACHED = 64, 8


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two cameras that see one floor.

    Attributes:
        matrix: float64 ``(3, 3)``: feet in A's picture -> feet in B's, pixels.
        noise: standard deviation of a foot point, in body heights.
        area: size of the floor where people walk, in squared body heights.
        evidence: log-likelihood ratio of the overlap against none, after the price of fitting.
        pairs: how many pairs of tracklets support it.
        known_a: float64 ``(3, 3)``: where in A the map was learned, see ``_reach``.
        known_b: the same in B.
    """

    matrix: Wide
    noise: float
    area: float
    evidence: float
    pairs: int
    known_a: Wide
    known_b: Wide

    def log_odds(self, met: Meetings) -> Wide:
        """What places say about each pair, ``(P,)`` natural log-odds, from minus ``AGAINST`` to ``MOST``.

        Far from where people walked who were seen in both views the map is a guess, and says little.
        """
        if not len(met.pairs):
            return np.zeros(0)
        doubt = 1.0 + PERSPECTIVE * np.maximum(_leverage(self.known_a, met.a), _leverage(self.known_b, met.b))
        noise = self.noise * np.sqrt(doubt)
        return np.asarray(np.maximum(_pair_odds(_errors(self.matrix[None], met), met, noise, self.area)[0], -AGAINST))


def find_overlap(met: Meetings, likely: Wide, *, tries: int = 1500, seed: int = 0) -> Overlap | None:
    """The map between two cameras, or None when their tracks do not show one.

    Args:
        met: pairs of tracks seen at the same time.
        likely: float64 ``(P,)`` log-odds of each pair from looks alone.
        tries: random sets to try.
        seed: of the random choice; the same input gives the same map.
    """
    if len(met.pairs) < 2 or met.independent.sum() < 6:
        return None
    area = _area(met)
    frame = (spread(met.a), _inverse(spread(met.b)))
    few, rows = thin(met, np.argsort(-likely, kind="stable")[:SEARCHED])
    trust, best = 0.5 * np.clip(likely, -6, 6), None
    normal = _normals(few, frame) * few.independent[:, None, None]
    sets = _random_sets(few, likely[rows], tries, np.random.default_rng(seed))
    top: list[tuple[float, Wide]] = []
    for start in range(0, len(sets), BATCH):
        maps = frame[1] @ fit(np.einsum("tp,pij->tij", sets[start : start + BATCH], normal)) @ frame[0]
        scores = _scores(_pair_odds(_errors(maps, few), few, 0.25, area), trust[rows], few)
        fresh = [(float(scores[t]), maps[t]) for t in np.argsort(-scores, kind="stable")[:2]]
        if not top or fresh[0][0] > top[0][0]:
            best = _better(best, _refine(fresh[0][1], met, trust, frame, area))
            if best is not None and best.evidence > SURE:
                break
        top = sorted(top + fresh, key=lambda item: -item[0])[:6]
    else:
        for _, matrix in top:
            best = _better(best, _refine(matrix, met, trust, frame, area))
    return best if best is not None and best.evidence > np.log(tries) and best.pairs >= 2 else None


def refit(overlap: Overlap, met: Meetings, likely: Wide) -> Overlap | None:
    """A map that is nearly right, fitted to other meetings of the same cameras (another clock offset); None when lost.

    Args:
        overlap: the map to begin with.
        met: pairs of tracks seen at the same time.
        likely: float64 ``(P,)`` log-odds of each pair from looks alone.
    """
    if len(met.pairs) < 2 or met.independent.sum() < 6:
        return None
    frame = (spread(met.a), _inverse(spread(met.b)))
    return _refine(overlap.matrix, met, 0.5 * np.clip(likely, -6, 6), frame, _area(met))


def given_overlap(matrix: Wide, met: Meetings, likely: Wide) -> Overlap | None:
    """A map that was measured: believed everywhere, only how much feet scatter is learned; None when nobody met.

    Args:
        matrix: ``(3, 3)``: feet in A's picture -> feet in B's.
        met: pairs of tracks seen at the same time.
        likely: float64 ``(P,)`` log-odds of each pair from looks alone.
    """
    if not len(met.pairs):
        return None
    area, everywhere = _area(met) if len(met.a) > 2 else 4.0, np.zeros((3, 3))
    errors = _errors(matrix[None], met)
    matched = _one_to_one(_pair_odds(errors, met, 0.25, area)[0], 0.5 * np.clip(likely, -6, 6), met)
    near = errors[0][np.isin(met.pair_of, matched)]
    noise = float(np.clip(np.median(near) / 1.18, 0.06, 0.4)) if len(near) else 0.25
    return Overlap(matrix, noise, area, np.inf, len(matched), everywhere, everywhere)


def _better(one: Overlap | None, other: Overlap | None) -> Overlap | None:
    if one is None or other is None:
        return one or other
    return one if one.evidence >= other.evidence else other


def _inverse(matrix: Wide) -> Wide:
    return np.asarray(np.linalg.pinv(matrix), dtype=np.float64)


def _adjugate(maps: Wide) -> Wide:
    """The inverses of homographies ``(T, 3, 3)`` up to scale, which does not matter to them."""
    rows = [np.cross(maps[:, (i + 1) % 3], maps[:, (i + 2) % 3]) for i in range(3)]
    return np.asarray(np.stack(rows, axis=-1))


def _normals(met: Meetings, frame: tuple[Wide, Wide]) -> Wide:
    """The normal matrix of each pair, the mean over its moments, ``(P, 9, 9)``, in normalised coordinates."""
    a, _ = carry(frame[0], met.a)
    b, _ = carry(_inverse(frame[1]), met.b)
    first, second = rows_of(a, b)
    rows = first[:, :, None] * first[:, None, :] + second[:, :, None] * second[:, None, :]
    starts = np.searchsorted(met.pair_of, np.arange(len(met.pairs)))
    return np.asarray(np.add.reduceat(rows, starts, axis=0) / np.bincount(met.pair_of)[:, None, None])


def _area(met: Meetings) -> float:
    """Where people walk, squared body heights: twelve times the root of the determinant of the spread (a rectangle)."""
    sizes = []
    for points, tall in ((met.a, met.tall_a), (met.b, met.tall_b)):
        covariance = np.cov((points / np.median(tall)).T)
        sizes.append(12.0 * float(np.sqrt(max(np.linalg.det(covariance), 0.0))))
    return max(float(np.sqrt(sizes[0] * sizes[1])), 4.0)


def _random_sets(met: Meetings, likely: Wide, tries: int, rng: np.random.Generator) -> Wide:
    """Which pairs to fit each map to, 0 or 1, ``(T, P)``: one to four likely pairs of different people."""
    chance = np.exp(np.clip(likely, -4, 4)) * met.independent
    drawn = rng.choice(len(met.pairs), size=(tries, 8), p=chance / chance.sum()).tolist()
    wanted = rng.integers(1, 5, size=tries).tolist()
    pairs = met.pairs.tolist()
    sets = np.zeros((tries, len(pairs)))
    for t in range(tries):
        used_a: set[int] = set()
        used_b: set[int] = set()
        for p in drawn[t]:
            i, j = pairs[p]
            if i not in used_a and j not in used_b:
                used_a.add(i)
                used_b.add(j)
                sets[t, p] = 1.0
                if len(used_a) == wanted[t]:
                    break
    enough = sets @ met.independent >= 4.0
    return sets[enough] if enough.any() else sets[:1]


def _errors(maps: Wide, met: Meetings) -> Wide:
    """How far each moment is off, ``(T, S)``, body heights: root mean square of both directions; huge when mirrored."""
    out = np.empty((len(maps), len(met.a)))
    back, turned = _adjugate(maps), np.linalg.det(maps)[:, None]
    # Few at a time: what is worked on stays in the processor's cache.
    for start in range(0, len(maps), CACHED):
        some = slice(start, start + CACHED)
        squares, depth = misses(maps[some], met.a, met.b, met.tall_b)
        squares += misses(back[some], met.b, met.a, met.tall_a)[0]
        squares *= 0.5
        # Both cameras look down on the floor: the map keeps left and right, so its Jacobian det(H) / depth^3 is not
        # below 0.
        mirrored = turned[some] * depth <= 0
        np.sqrt(squares, out=squares)
        squares[mirrored] = 1e3
        np.minimum(squares, 1e3, out=out[some])
    return out


def _reach(points: Wide, weights: Wide) -> Wide:
    """The inverse information matrix ``(3, 3)`` of an affine map learned at points ``(S, 2)`` of weights ``(S,)``."""
    rows = np.column_stack([points, np.ones(len(points))])
    information = (rows * weights[:, None]).T @ rows
    return np.asarray(np.linalg.pinv(information + 1e-6 * np.eye(3)), dtype=np.float64)


def _leverage(known: Wide, points: Wide) -> Wide:
    """Variance of the map at points ``(S, 2)``, in squared noises, ``(S,)``."""
    rows = np.column_stack([points, np.ones(len(points))])
    return np.asarray(np.einsum("si,ij,sj->s", rows, known, rows))


def _pair_odds(errors: Wide, met: Meetings, noise: float | Wide, area: float) -> Wide:
    """Log-odds of each pair, ``(T, P)``: moments of one person scatter by ``noise``, of others over the whole floor."""
    noise = np.minimum(noise, np.sqrt(area / (2 * np.pi)))
    ratio = area / (2 * np.pi * noise**2) * np.exp(-0.5 * (errors / noise) ** 2)
    odds = np.log((1 - OUTLIER) * ratio + OUTLIER)
    starts = np.searchsorted(met.pair_of, np.arange(len(met.pairs)))
    mean = np.add.reduceat(odds, starts, axis=1) / np.bincount(met.pair_of)
    return np.asarray(np.clip(mean * met.independent, -MOST, MOST), dtype=np.float64)


def _scores(odds: Wide, trust: Wide, met: Meetings) -> Wide:
    """How well each map explains the tracks, ``(T,)``: the best partner of each track, summed for the worse camera."""
    gain = np.where(odds > 0, np.maximum(odds + trust, 0.0), 0.0)
    totals = []
    for side in (0, 1):
        order = np.argsort(met.pairs[:, side], kind="stable")
        starts = np.flatnonzero(np.diff(met.pairs[order, side], prepend=-1))
        totals.append(np.maximum.reduceat(gain[:, order], starts, axis=1).sum(axis=1))
    return np.asarray(np.minimum(totals[0], totals[1]), dtype=np.float64)


def _refine(matrix: Wide, met: Meetings, trust: Wide, frame: tuple[Wide, Wide], area: float) -> Overlap | None:
    """Match tracks under the map, fit the map to the matched ones, and again (iteratively reweighted)."""
    noise, result = 0.25, None
    back, usual, rivals_of = _inverse(frame[1]), np.median(met.tall_b), np.bincount(met.pairs[:, 0])
    for _ in range(6):
        errors = _errors(matrix[None], met)
        odds = _pair_odds(errors, met, noise, area)[0]
        matched = _one_to_one(odds, trust, met)
        if met.independent[matched].sum() < 4.0:
            return result
        chosen = np.zeros(len(met.pairs), np.bool_)
        chosen[matched] = True
        used = chosen[met.pair_of]
        noise = float(np.clip(np.median(errors[0][used]) / 1.18, 0.06, 0.4))
        rivals = rivals_of[met.pairs[matched, 0]]
        gain = float((odds[matched] + trust[matched] - np.log(rivals)).sum())
        evidence = gain - 4.0 * float(np.log(met.independent[matched].sum()))
        if result is None or evidence > result.evidence:
            share = np.where(used, (met.independent / np.bincount(met.pair_of))[met.pair_of], 0.0)
            known = _reach(met.a, share), _reach(met.b, share)
            result = Overlap(matrix, noise, area, evidence, len(matched), *known)
        weights = 1.0 / (1.0 + (errors[0][used] / (2 * noise)) ** 2) ** 2
        # A pixel is worth more where people are small: errors count in body heights.
        weights /= (met.tall_b[used] / usual) ** 2
        normal = normal_of(carry(frame[0], met.a[used])[0], carry(back, met.b[used])[0], weights)
        matrix = frame[1] @ fit(normal) @ frame[0]
    return result


def _one_to_one(odds: Wide, trust: Wide, met: Meetings) -> NDArray[np.int64]:
    """Pairs taken in order of their odds, each track with one partner at a time, int64."""
    gain = np.where(odds > 0, odds + trust, -1.0)
    taken: list[int] = []
    by_side: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
    for p in np.argsort(-gain, kind="stable").tolist():
        if gain[p] <= 0:
            break
        rivals = [q for side in (0, 1) for q in by_side[side].get(int(met.pairs[p, side]), [])]
        if any(met.first_s[q] <= met.last_s[p] and met.first_s[p] <= met.last_s[q] for q in rivals):
            continue
        taken.append(p)
        for side in (0, 1):
            by_side[side].setdefault(int(met.pairs[p, side]), []).append(p)
    return np.asarray(sorted(taken), dtype=np.int64)
