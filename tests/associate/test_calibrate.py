"""What a similarity means, and what the evidence itself says about the share of pairs that are one person."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.associate.calibrate import ODD_ONES, Calibration, Scale, wilson
from reidpipe.associate.decide import _doubt, _even_out
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.scene import see
from reidpipe.types import TrackKey, Tracklet


def test_calibration_limit_is_where_the_odds_are_even() -> None:
    calibration = Calibration(slope=20.0, even=0.13)
    for prior in (-6.0, -3.0, -0.5, 0.0, 1.0):
        limit = calibration.limit(prior)
        assert float(calibration.log_odds(np.array(limit))) + prior == pytest.approx(0.0, abs=1e-6)
        assert calibration.prior(limit) == pytest.approx(prior, abs=1e-6)


def test_calibration_never_says_different_louder_than_the_odd_ones() -> None:
    odds = Calibration(slope=20.0, even=0.13).log_odds(np.array([-1.0, -0.5, 0.0, 0.13, 0.5, 1.0]))
    assert (np.diff(odds) >= 0).all()
    assert odds[0] == pytest.approx(np.log(ODD_ONES), abs=0.01)
    assert odds[3] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_even_out_finds_the_share_of_pairs_of_one_person(share: float) -> None:
    # Gaussian evidence of separation d is its own calibrated log-odds: N(+-d^2/2, d^2).
    rng = np.random.default_rng(3)
    same = rng.random(4000) < share
    evidence = np.where(same, 4.5, -4.5) + 3.0 * rng.normal(size=4000)
    found = 1.0 / (1.0 + np.exp(-_even_out(evidence)))
    assert found == pytest.approx(share, rel=0.2)


def test_even_out_of_hardly_any_evidence_stays_between_bounds() -> None:
    assert -4.0 < _even_out(np.zeros(0)) <= 0.0
    assert -4.0 < _even_out(np.array([12.0])) <= 0.0


def test_scale_of_nothing_is_the_shipped_one() -> None:
    assert Scale.of(np.zeros(0)) == Scale()


def test_wilson_is_honest_about_no_trial() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert 0.0 < wilson(0, 20).high < 0.2


def _stay(number: int, first_s: float, last_s: float, *, quality: float = 0.8) -> Tracklet:
    vector = np.eye(1, 8, number % 8, dtype=np.float32)[0]
    return Tracklet(TrackKey("cam", number), vector, 5, quality, first_s, last_s, closed=True)


def test_doubt_is_about_bad_crops_and_not_about_passing_quickly() -> None:
    scene = see([_stay(0, 0, 300), _stay(1, 30, 50), _stay(2, 60, 60.5), _stay(3, 70, 90, quality=0.1)])
    long, also_long, brief, bad = _doubt(scene).tolist()
    assert (long, also_long, brief) == (0.0, 0.0, 0.0)
    assert bad == pytest.approx(4.0)


@pytest.mark.parametrize("seed", range(4))
def test_who_walks_past_while_others_stay_is_somebody_else(seed: int) -> None:
    # Four stand there for minutes, four others are seen for three seconds; nobody looks like anybody.
    rng = np.random.default_rng(seed)
    associator = OfflineAssociator()
    for number in range(8):
        look = rng.normal(size=16)
        camera, first_s, long_s = ("a", 0.0, 300.0) if number < 4 else ("b", 20.0 * number, 3.0)
        vector = (look / np.linalg.norm(look)).astype(np.float32)
        key = TrackKey(camera, number)
        associator.update([Tracklet(key, vector, 5, 0.8, first_s, first_s + long_s, closed=True)], 300.0)
    assert len({link.global_id for link in associator.close()}) == 8
