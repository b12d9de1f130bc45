"""How long people take from one camera to another: given, or learned from links that are sure anyway.

    gate -> lobby: 5-40 s        nobody is faster; most who arrive, arrive within this time

A pair of tracklets, one that ended in the first camera and one that began in the second, is weighed by how usual its
gap is, against gaps of strangers (people come at any moment).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.scene import Scene
from reidpipe.errors import ConfigError
from reidpipe.types import Ids

__all__ = ["Transit", "learn_transits", "read_transits", "transit_odds"]

Wide = NDArray[np.float64]
Ways = Mapping[tuple[str, str], "Transit"]

_WAY = re.compile(r"^\s*(.+?)\s*->\s*(.+?)\s*$")
_RANGE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(?:-|to|\u2013)\s*(\d+(?:\.\d+)?)\s*s?\s*$")

STRAY = 0.2
"""Share of ways that take another time than is usual: people stop, turn, meet somebody."""

TOO_FAST = -6.0
"""Log-odds against somebody who would have had to be faster than what was given allows."""

MOST = 3.0
"""Largest log-odds from a transit time."""

ENOUGH = 5
"""Sure links between two cameras from which on their transit time is believed."""

SURE = 2.5
"""Log-odds from which on a pair of tracklets counts as a sure link."""

LONGEST_S = 600.0


@dataclass(frozen=True, slots=True)
class Transit:
    """The time from the last picture in one camera to the first in another.

    Attributes:
        low_s: usual shortest, seconds; below 0 where views overlap.
        high_s: usual longest.
        links: how many links it was learned from; 0: it was given.
    """

    low_s: float
    high_s: float
    links: int = 0


def read_transits(given: Mapping[str, object]) -> dict[tuple[str, str], Transit]:
    """From settings: ``{"gate -> lobby": "5-40 s"}``, or ``[5, 40]`` in the place of the text.

    Raises:
        ConfigError: a key is not ``camera -> camera``, or a value no range of seconds.
    """
    ways = {}
    for key, value in given.items():
        found = _WAY.match(key)
        if found is None:
            raise ConfigError(f"associate.transits: {key!r} is not 'camera -> camera'")
        ways[found[1], found[2]] = Transit(*_range(key, value))
    return ways


def _range(key: str, value: object) -> tuple[float, float]:
    if isinstance(value, str):
        found = _RANGE.match(value)
        ends = [float(found[1]), float(found[2])] if found else []
    else:
        ends = [float(x) for x in value] if isinstance(value, list | tuple) else []
    if len(ends) != 2 or not 0 <= ends[0] < ends[1] < np.inf:
        raise ConfigError(f"associate.transits: {key}: a range of seconds such as '5-40 s' is needed, got {value!r}")
    return ends[0], ends[1]


def transit_odds(scene: Scene, pairs: Ids, ways: Ways) -> Wide:
    """What transit times say about each pair, natural log-odds ``(E,)``; 0 where no way is known.

    Args:
        scene: the tracklets.
        pairs: ``(E, 2)`` i < j, so that i begins first.
        ways: (first camera, second camera) -> its time.
    """
    out = np.zeros(len(pairs))
    if not ways or not len(pairs):
        return out
    first, last = _times(scene)
    span = max(float(last.max() - first.min()), 1.0)
    for (a, b), way in ways.items():
        if a not in scene.names or b not in scene.names:
            continue
        cameras = scene.cameras[pairs]
        for here, there in ((0, 1), (1, 0)):
            rows = (cameras[:, here] == scene.names.index(a)) & (cameras[:, there] == scene.names.index(b))
            gap = first[pairs[rows, there]] - last[pairs[rows, here]]
            out[rows] += _odds(gap, first[pairs[rows, there]] - first[pairs[rows, here]], way, span)
    return out


def _odds(gap: Wide, lead: Wide, way: Transit, span: float) -> Wide:
    """Log-odds of gaps; ``lead`` is by how much the second tracklet began after the first."""
    width = max(way.high_s - way.low_s, 0.2)
    outside = np.maximum(np.maximum(way.low_s - gap, gap - way.high_s), 0.0)
    usual = np.exp(-outside / (0.25 * width)) / (1.5 * width)
    inside = np.log((1 - STRAY) * usual * span + STRAY)
    # Learned times are means to an end: that a gap is unusual says little, there may be other stays in between.
    odds = np.clip(inside, -0.5 if way.links else -1.0, MOST)
    if way.links == 0:
        odds = np.where((gap < 0.5 * way.low_s) & (lead > 0), TOO_FAST, odds)
    return np.asarray(np.where((lead > 0) & (gap <= max(LONGEST_S, way.high_s)), odds, 0.0))


def learn_transits(scene: Scene, labels: Ids, pairs: Ids, odds: Wide) -> dict[tuple[str, str], Transit]:
    """Transit times from sure links: consecutive stays of one identity in two cameras, apart in time.

    Args:
        scene: the tracklets.
        labels: ``(N,)`` group of each.
        pairs: ``(E, 2)`` sorted.
        odds: ``(E,)`` log-odds of each, with the prior.
    """
    codes = scene.codes(pairs)
    first, last = _times(scene)
    gaps: dict[tuple[str, str], list[float]] = {}
    order = np.lexsort((first, labels))
    for before, after in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
        if labels[before] != labels[after] or scene.cameras[before] == scene.cameras[after]:
            continue
        gap = float(first[after] - last[before])
        at = int(np.searchsorted(codes, min(before, after) * len(scene) + max(before, after)))
        known = at < len(codes) and codes[at] == min(before, after) * len(scene) + max(before, after)
        if known and odds[at] >= SURE and 0.0 < gap <= LONGEST_S:
            way = scene.names[scene.cameras[before]], scene.names[scene.cameras[after]]
            gaps.setdefault(way, []).append(gap)
    return {way: _learned(np.asarray(found)) for way, found in sorted(gaps.items()) if len(found) >= ENOUGH}


def _learned(gaps: Wide) -> Transit:
    low, high = np.quantile(gaps, [0.1, 0.9])
    slack = (high - low + 1.0) / np.sqrt(len(gaps))
    return Transit(max(float(low - slack), 0.0), float(high + slack), len(gaps))


def _times(scene: Scene) -> tuple[Wide, Wide]:
    spans = np.asarray([(t.first_s, t.last_s) for t in scene.tracklets])
    return spans[:, 0], spans[:, 1]
