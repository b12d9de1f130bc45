"""The bank of scenes: what a plan says is what a scene has."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tools.fit_calibration import AWAY_S, Crop, Domain, group, stays
from tools.scene_bank import LONERS, Plan, Truth, cut, half


@pytest.fixture(scope="module")
def domain() -> Domain:
    """Thirty people in four cameras; each comes to each camera twice, for six pictures."""
    rng = np.random.default_rng(0)
    none = np.zeros((1, 1, 3), np.uint8)
    visits = itertools.product(range(30), range(4), (0.0, 100.0), range(6))
    crops = [Crop(p, c, 1, 300.0 * p + 40.0 * c + visit + k, none) for p, c, visit, k in visits]
    looks = rng.normal(size=(30, 32))
    rows = np.stack([looks[c.person] + 0.3 * rng.normal(size=32) for c in crops])
    return group("plain", stays(crops), (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def seen(truth: Truth) -> dict[int, dict[str, int]]:
    """Person -> camera -> tracks."""
    found: dict[int, dict[str, int]] = {}
    for person, t in truth:
        own = found.setdefault(person, {})
        own[t.key.camera] = own.get(t.key.camera, 0) + 1
    return found


def test_stays_end_when_somebody_is_away(domain: Domain) -> None:
    assert len(domain.tracklets) == 30 * 4 * 2
    assert max(t.last_s - t.first_s for t in domain.tracklets) < AWAY_S


@pytest.mark.parametrize("times", ["filmed", "clip"])
def test_scene_has_so_many_people_and_strangers_seen_once(domain: Domain, times: str) -> None:
    few = seen(cut(domain, Plan(3, 9, "few", times, "plain", 0)))
    assert len(few) == 9
    assert sum(len(cameras) == 1 for cameras in few.values()) == round(9 * LONERS)
    assert {n for cameras in few.values() for n in cameras.values()} == {1}
    many = seen(cut(domain, Plan(3, 9, "many", times, "plain", 0)))
    assert {n for cameras in many.values() for n in cameras.values()} == {4}


@pytest.mark.parametrize("times", ["filmed", "clip"])
def test_scene_has_nobody_twice_in_one_picture(domain: Domain, times: str) -> None:
    for seed in range(5):
        truth = cut(domain, Plan(2, 10, "many", times, "plain", seed))
        for (a, one), (b, other) in itertools.combinations(truth, 2):
            if a == b and one.key.camera == other.key.camera:
                assert one.last_s < other.first_s or other.last_s < one.first_s


def test_clip_shows_people_together(domain: Domain) -> None:
    truth = cut(domain, Plan(2, 10, "few", "clip", "plain", 0))
    pairs = itertools.combinations([t for _, t in truth], 2)
    assert any(a.key.camera == b.key.camera and a.first_s < b.last_s and b.first_s < a.last_s for a, b in pairs)


def test_scene_is_the_same_each_time_and_another_with_another_seed(domain: Domain) -> None:
    one, again, other = (cut(domain, Plan(2, 7, "many", "clip", "plain", seed)) for seed in (3, 3, 4))
    assert [(p, t.key, t.first_s) for p, t in one] == [(p, t.key, t.first_s) for p, t in again]
    assert [p for p, _ in one] != [p for p, _ in other]


def test_halves_share_nobody(domain: Domain) -> None:
    first, second = (half(domain, i) for i in (0, 1))
    assert set(first.people.tolist()).isdisjoint(second.people.tolist())
    assert len(first.tracklets) == len(first.people) == len(second.people)
