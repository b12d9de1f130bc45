"""Whose tracks are two people, and whose are fragments of one: decided after a camera has ended, by look and motion.

No number of the embedder is fixed here. What a cosine means is read from the camera itself: tracks that are in the
picture at the same time are strangers for certain, and how alike they look is the scale for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reidpipe.boxes import area
from reidpipe.track.assignment import Candidates, assign
from reidpipe.track.history import Crops, History, Times, boxes_at
from reidpipe.track.kalman import POSITION, KalmanFilter, States
from reidpipe.track.overlap import each_overlap
from reidpipe.track.reach import reachable
from reidpipe.track.smooth import run_filter
from reidpipe.types import Ids

__all__ = ["Scale", "find_cuts", "find_joins", "surprise"]

SLACK = 0.06
"""Box heights, as online: what a detector's box may be off on top of the filter's noise."""
END_PICTURES = 40
"""How many pictures of a track's beginning and end say how it moves there."""
LEAST_PAIRS = 10
"""Pairs of strangers that make a scale; with fewer nothing is decided by looks."""
MOST_TRACKS = 1000
"""Tracks that strangers are taken from: of more, every second, third... one."""
LEAST_SPREAD = 0.02
"""Cosine: strangers are never as even as this, few may look so."""
LEAST_CROPS = 2
"""Crops of one person that say how they look, where a track is to be cut: one may be bad."""
STRANGE = 0.3
"""Two looks that are less alike than this share of the strangers' are rather two people."""
ALIKE = 0.95
"""Two looks that are more alike than this share of the strangers' are rather one person."""
ONE_PLACE = 0.45
"""Overlap of two tracks at every moment that they share: two boxes on one person."""
INSIDE = 0.8
"""Share of the smaller box that lies in the larger at every such moment: of somebody half hidden, the visible part and
the whole. Somebody behind somebody lies like that, too, so both have to look alike."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How alike people are in this camera who are in the picture at the same time.

    Attributes:
        strangers: float64 ``(P,)``, cosines in rising order.
    """

    strangers: NDArray[np.float64]

    @classmethod
    def of(cls, tracks: Mapping[int, History], looks: Mapping[int, Crops]) -> Scale:
        """From all pairs of tracks that live at the same time and have crops enough."""
        known = [one for one in tracks if one in looks and len(looks[one]) >= LEAST_CROPS]
        known = known[:: 1 + len(known) // MOST_TRACKS]
        if len(known) < 2:
            return cls(np.zeros(0))
        first_s = np.array([tracks[one].times_s[0] for one in known])
        last_s = np.array([tracks[one].times_s[-1] for one in known])
        means = np.stack([looks[one].mean() for one in known])
        together = np.minimum(last_s[:, None], last_s) > np.maximum(first_s[:, None], first_s)
        return cls(np.sort((means @ means.T)[np.triu(together, 1)]))

    @property
    def middle(self) -> float:
        """Their median."""
        return float(np.median(self.strangers))

    @property
    def spread(self) -> float:
        """Their standard deviation, from the lower half: who comes back before being forgotten is in the upper one."""
        return max(self.middle - float(np.quantile(self.strangers, 0.16)), LEAST_SPREAD)

    @property
    def tells(self) -> bool:
        """Whether there are strangers enough to say anything."""
        return len(self.strangers) >= LEAST_PAIRS

    def place(self, cosine: float) -> float:
        """Share of the strangers that are less alike than this, 0..1."""
        return int(np.searchsorted(self.strangers, cosine)) / len(self.strangers)


def find_cuts(
    tracks: Mapping[int, History], looks: Mapping[int, Crops], scale: Scale, kalman: KalmanFilter
) -> dict[int, list[float]]:
    """Tracks that went from one person to another, and when: track -> first second of each further part.

    A track is cut where its crops before and after differ most, if they are less alike there than strangers mostly are;
    of the pictures between the two crops, where motion was most surprised. Each part is looked at again.
    """
    if not scale.tells:
        return {}
    found = {one: _cuts(rows, looks[one], scale, kalman) for one, rows in tracks.items() if one in looks}
    return {one: cuts for one, cuts in found.items() if cuts}


def _cuts(rows: History, looks: Crops, scale: Scale, kalman: KalmanFilter) -> list[float]:
    at = _change(looks)
    if at is None or scale.place(at.cosine) >= STRANGE:
        return []
    between = (rows.times_s > looks.times_s[at.crop - 1]) & (rows.times_s <= looks.times_s[at.crop])
    moments = np.flatnonzero(between)
    if len(moments) == 0:
        return []
    when_s = float(rows.times_s[moments[surprise(rows, kalman)[moments].argmax()]])
    early, late = rows[rows.times_s < when_s], rows[rows.times_s >= when_s]
    if not (len(early) and len(late)):
        return []
    before, after = looks.between(-np.inf, early.times_s[-1]), looks.between(when_s, np.inf)
    return [*_cuts(early, before, scale, kalman), when_s, *_cuts(late, after, scale, kalman)]


class _Change(NamedTuple):
    cosine: float
    crop: int


def _change(looks: Crops) -> _Change | None:
    """Before which crop the look changes most, and how alike both sides are."""
    if len(looks) < 2 * LEAST_CROPS:
        return None
    sums = np.cumsum(looks.vectors, axis=0, dtype=np.float64)
    crops = range(LEAST_CROPS, len(looks) - LEAST_CROPS + 1)
    sides = [(sums[k - 1], sums[-1] - sums[k - 1]) for k in crops]
    cosines = [float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)) for a, b in sides]
    return _Change(min(cosines), crops[int(np.argmin(cosines))])


def surprise(rows: History, kalman: KalmanFilter) -> NDArray[np.float64]:
    """Squared Mahalanobis distance of each row from where the filter expected it, ``(N,)``; the first has none."""
    before, _ = run_filter(kalman, rows.times_s, rows.boxes)
    each = np.arange(len(rows))
    far = kalman.pair_distances(before, kalman.measure(rows.boxes), each, each, slack=SLACK)
    far[0] = 0.0
    return far


def find_joins(
    tracks: Mapping[int, History],
    looks: Mapping[int, Crops],
    scale: Scale,
    kalman: KalmanFilter,
    *,
    gap_s: float,
    limit: float,
) -> dict[int, int]:
    """Which track goes on from which: every end with at most one beginning, over all at the lowest cost.

    Motion alone joins what fits closely, unless the looks are known and strange. Crops that are hardly ever as alike
    among strangers join whatever can be reached: a track often breaks because somebody moved as nobody expected. And a
    track hands over to one that began in its place before it ended: a detector sometimes puts a second box on somebody
    half hidden, and then drops the first. Two people who cross are not in one place for as long as that, and two who
    walk together are not at every moment.

    Args:
        tracks: id -> rows.
        looks: id -> crops, of some.
        scale: how alike strangers are.
        kalman: how people move.
        gap_s: longest break, seconds; 0: nothing is joined.
        limit: highest squared Mahalanobis distance where motion alone joins.

    Returns:
        Track -> the first track of its chain.
    """
    if gap_s == 0 or not tracks:
        return {}
    ids = list(tracks)
    first_s = np.array([rows.times_s[0] for rows in tracks.values()])
    last_s = np.array([rows.times_s[-1] for rows in tracks.values()])
    ends, starts = _neighbours(first_s, last_s, gap_s)
    joints = _Joints(tracks, looks, scale, kalman, limit)
    costs = np.array(
        [joints.cost(ids[end], ids[start]) for end, start in zip(ends.tolist(), starts.tolist(), strict=True)]
    )
    kept = np.isfinite(costs)
    chosen_ends, chosen_starts = assign(Candidates(ends[kept], starts[kept], costs[kept]), limit=limit)
    roots: dict[int, int] = {}
    for k in np.argsort(first_s[chosen_starts], kind="stable").tolist():
        end, start = ids[chosen_ends[k]], ids[chosen_starts[k]]
        roots[start] = roots.get(end, end)
    return roots


def _neighbours(first_s: Times, last_s: Times, gap_s: float) -> tuple[Ids, Ids]:
    """Pairs of tracks of which the second begins while the first is there, or up to ``gap_s`` after it, and ends later.

    Without a table of all pairs, which a day of one camera would fill the memory with.
    """
    order = np.argsort(first_s, kind="stable")
    low = np.searchsorted(first_s[order], first_s, side="right")
    high = np.searchsorted(first_s[order], last_s + gap_s, side="right")
    counts = high - low
    ends = np.repeat(np.arange(len(first_s)), counts)
    place = np.arange(len(ends)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = order[np.repeat(low, counts) + place]
    in_order = last_s[ends] < last_s[starts]
    return ends[in_order], starts[in_order]


class _Joints:
    """What it costs that one track goes on as another; infinite where they are two people."""

    def __init__(
        self,
        tracks: Mapping[int, History],
        looks: Mapping[int, Crops],
        scale: Scale,
        kalman: KalmanFilter,
        limit: float,
    ) -> None:
        self._tracks, self._scale, self._kalman, self._limit = tracks, scale, kalman, limit
        self._means = {one: seen.mean() for one, seen in looks.items() if scale.tells and len(seen)}
        self._ends: dict[int, States] = {}
        self._starts: dict[int, States] = {}

    def cost(self, one: int, other: int) -> float:
        """Of ``other`` after ``one``, 0 up to the limit."""
        alike = self._alike(one, other)
        if alike is not None and alike < STRANGE:
            return np.inf
        before, after = self._tracks[one], self._tracks[other]
        gap_s = float(after.times_s[0] - before.times_s[-1])
        if gap_s <= 0:
            overlap, inside = _least_overlap(before, after)
            one_place = overlap >= ONE_PLACE or (alike is not None and alike >= ALIKE and inside >= INSIDE)
            return self._limit * (1 - overlap) if one_place else np.inf
        far = self._distance(one, other, gap_s)
        if alike is not None and alike >= ALIKE and self._reachable(before, after, gap_s):
            return 0.5 * min(far, self._limit)  # before whom motion alone would choose
        return far if far <= self._limit else np.inf

    def _alike(self, one: int, other: int) -> float | None:
        """Share of the strangers that are less alike; None: not known."""
        if one not in self._means or other not in self._means:
            return None
        return self._scale.place(float(self._means[one] @ self._means[other]))

    def _reachable(self, before: History, after: History, gap_s: float) -> bool:
        last, first = self._kalman.measure(before.boxes[-1:]), self._kalman.measure(after.boxes[:1])
        return bool(reachable(last, first, gap_s)[0, 0])

    def _distance(self, one: int, other: int, gap_s: float) -> float:
        """How far each end, moved over the gap, is from the other's; squared Mahalanobis, the mean of both ways."""
        if one not in self._ends:
            self._ends[one] = _end_state(self._tracks[one], self._kalman)
        if other not in self._starts:
            self._starts[other] = _start_state(self._tracks[other], self._kalman)
        out, into, kalman = self._ends[one], self._starts[other], self._kalman
        ways = ((out, into), (into, out))
        both = [kalman.distances(kalman.predict(a, gap_s), b[POSITION], slack=SLACK)[0, 0] for a, b in ways]
        return float(np.mean(both))


def _least_overlap(one: History, other: History) -> tuple[float, float]:
    """Overlap of two tracks, and the share of the smaller box inside the larger, each where it is least.

    Of the moments that either was seen in while both were there.
    """
    times_s = np.union1d(one.times_s[one.times_s >= other.times_s[0]], other.times_s[other.times_s <= one.times_s[-1]])
    sides = [boxes_at(rows, times_s) for rows in (one, other)]
    overlap = each_overlap(*sides).astype(np.float64)
    areas = [np.maximum(area(boxes).astype(np.float64), 1e-9) for boxes in sides]
    shared = overlap * (areas[0] + areas[1]) / (1 + overlap)
    return float(overlap.min()), float((shared / np.minimum(*areas)).min())


def _end_state(rows: History, kalman: KalmanFilter) -> States:
    times_s, boxes = rows.times_s[-END_PICTURES:], rows.boxes[-END_PICTURES:]
    return run_filter(kalman, times_s, boxes)[1][:, :, -1:]


def _start_state(rows: History, kalman: KalmanFilter) -> States:
    """As if time ran backwards."""
    times_s, boxes = rows.times_s[:END_PICTURES][::-1], rows.boxes[:END_PICTURES][::-1]
    return run_filter(kalman, -times_s, boxes)[1][:, :, -1:]
