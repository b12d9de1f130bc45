"""Common moments of many pairs at once say what one pair after the other says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reidpipe.associate import meetings
from reidpipe.associate.meetings import meet, middle_of, most_met
from reidpipe.associate.paths import Paths
from reidpipe.types import TrackKey, Tracklet

Wide = NDArray[np.float64]
WIDTH, HEIGHT = 640.0, 480.0


def tracks(rng: np.random.Generator, camera: str, count: int) -> list[Tracklet]:
    """Short and long paths, some of one moment, some with holes, some without any; some reach over the edge."""
    out = []
    for number in range(count):
        start = float(np.round(rng.uniform(0, 60), 1))
        times = start + np.arange(int(rng.integers(1, 60))) * (0.2 if number % 3 else 3.0)
        if number % 4 == 0 and len(times) > 4:
            times = np.sort(rng.choice(times, len(times) // 2, replace=False))
        feet = rng.uniform((0, 200), (WIDTH, HEIGHT)) + np.cumsum(rng.normal(size=(len(times), 2)) * 9, axis=0)
        feet[:, 1] = np.clip(feet[:, 1], 30, HEIGHT + 50)
        tall = rng.uniform(60, 120)
        corners = [feet[:, 0] - tall / 5, feet[:, 1] - tall, feet[:, 0] + tall / 5, feet[:, 1]]
        path = np.column_stack([times, *(np.clip(c, 0, m) for c, m in zip(corners, (WIDTH, HEIGHT) * 2, strict=True))])
        known = None if number % 7 == 6 else path
        ends = float(times[0]), float(times[-1])
        vector = np.eye(1, 4, dtype=np.float32)[0]
        out.append(Tracklet(TrackKey(camera, number), vector, 1, 0.5, *ends, True, None, known))
    return out


def cut(tracklets: list[Tracklet], *, head: bool) -> list[Wide]:
    """Each path without the moments that the edge cuts."""
    known = [t.path for t in tracklets if t.path is not None]

    def edge(values: list[Wide]) -> float:
        reach = [float(v.max()) for v in values]
        return max(reach) if sum(r > max(reach) - 3 for r in reach) > 1 else np.inf

    left, right, bottom = (
        edge([-p[:, 1] for p in known]),
        edge([p[:, 3] for p in known]),
        edge([p[:, 4] for p in known]),
    )
    out = []
    for path in (np.zeros((0, 5)) if t.path is None else t.path for t in tracklets):
        inside = (path[:, 1] > 3 - left) & (path[:, 3] < right - 3)
        out.append(path[inside & (path[:, 2] > 3 if head else path[:, 4] < bottom - 3)])
    return out


def point(box: Wide, *, head: bool) -> list[float]:
    return [float(box[0] + box[2]) / 2, float(box[1] if head else box[3]), float(box[3] - box[1])]


def moments(a: Wide, b: Wide, offset_s: float, *, head: bool) -> list[list[float]]:
    """Moments of A at which it is known where B was, one by one."""
    times = b[:, 0] + offset_s
    out = []
    for t, *box in a.tolist():
        if not times[0] - 0.1 <= t <= times[-1] + 0.1:
            continue
        k = int(np.clip(np.searchsorted(times, t), 1, max(len(times) - 1, 1)))
        near = min(abs(t - times[k - 1]), abs(t - times[min(k, len(times) - 1)]))
        if near >= 0.1 and (len(times) == 1 or times[k] - times[k - 1] > 2.5):
            continue
        there = [np.interp(t, times, b[:, column]) for column in (1, 2, 3, 4)]
        out.append([t, *point(np.asarray(box), head=head), *point(np.asarray(there), head=head)])
    return out


@pytest.mark.parametrize(
    ("seed", "head", "offset_s"), [(0, False, 0.0), (1, True, 0.0), (2, False, -0.37), (3, True, 2.0)]
)
def test_meet_is_the_same_one_pair_after_the_other(
    seed: int, head: bool, offset_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meetings, "BLOCK", 40)
    rng = np.random.default_rng(seed)
    in_a, in_b = tracks(rng, "a", 30), tracks(rng, "b", 40)
    a, b = Paths.of(in_a, head=head), Paths.of(in_b, head=head)
    met = meet(a, b, offset_s=offset_s)
    wanted: dict[tuple[int, int], Wide] = {}
    for i, own in enumerate(cut(in_a, head=head)):
        for j, other in enumerate(cut(in_b, head=head)):
            apart = in_b[j].first_s + offset_s > in_a[i].last_s or in_b[j].last_s + offset_s < in_a[i].first_s
            both = [] if apart or not len(other) else moments(own, other, offset_s, head=head)
            if both:
                wanted[i, j] = np.asarray(both)[np.linspace(0, len(both) - 1, min(len(both), 12)).round().astype(int)]
    assert [tuple(pair) for pair in met.pairs.tolist()] == list(wanted)
    assert len(wanted) > 50
    rows = np.concatenate(list(wanted.values()))
    assert np.bincount(met.pair_of).tolist() == [len(both) for both in wanted.values()]
    assert np.allclose(np.column_stack([met.a, met.tall_a, met.b, met.tall_b]), rows[:, 1:], atol=1e-6)
    assert np.allclose(met.first_s, [both[0, 0] for both in wanted.values()])
    assert np.allclose(met.last_s, [both[-1, 0] for both in wanted.values()])
    for said, seen in zip(met.independent.tolist(), wanted.values(), strict=True):
        ways = [np.linalg.norm(np.diff(seen[:, k : k + 2], axis=0), axis=1) / seen[1:, k + 2] for k in (1, 4)]
        assert said == pytest.approx(min(1 + min(w.sum() for w in ways) / 0.6, len(seen), 8))
    assert len(wanted) <= most_met(a, b.shifted(offset_s)) <= 30 * 40


def test_meet_counts_rows_of_tracklets_without_a_path() -> None:
    rng = np.random.default_rng(5)
    known = tracks(rng, "a", 6)
    bare = Tracklet(TrackKey("a", 99), known[0].vector, 1, 0.5, 0.0, 90.0, True)
    others = Paths.of(tracks(rng, "b", 12))
    without, with_ = meet(Paths.of(known), others), meet(Paths.of([bare, *known]), others)
    assert np.array_equal(with_.pairs, without.pairs + np.array([1, 0]))


def test_meet_of_nobody_is_empty() -> None:
    nobody, some = Paths.of([]), Paths.of(tracks(np.random.default_rng(0), "a", 5))
    for a, b in ((nobody, nobody), (nobody, some), (some, nobody), (some, some.shifted(1e6))):
        assert meet(a, b).pairs.shape == (0, 2)
        assert most_met(a, b) == 0


def test_middle_of_keeps_what_meets_in_the_middle() -> None:
    rng = np.random.default_rng(4)
    a, b = Paths.of(tracks(rng, "a", 60)), Paths.of(tracks(rng, "b", 60))
    few_a, few_b = middle_of(a, b, 300)
    met, few = meet(a, b), meet(few_a, few_b)
    assert 150 <= most_met(few_a, few_b) <= 450 < most_met(a, b)
    kept = np.isin(met.pairs[:, 0], few_a.which)
    assert np.array_equal(met.pairs[kept], few.pairs)
    assert np.array_equal(met.a[kept[met.pair_of]], few.a)
