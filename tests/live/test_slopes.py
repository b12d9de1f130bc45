"""The slope that says whether memory grows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.slopes import slope


def wandering(seed: int, count: int) -> NDArray[np.float64]:
    """Noise in which neighbours are alike, as in the memory of a process."""
    rng, values = np.random.default_rng(seed), [0.0]
    for _ in range(count - 1):
        values.append(0.7 * values[-1] + float(rng.normal()))
    return np.array(values)


@pytest.mark.parametrize("true", [0.0, 3.0])
def test_slope_limits_hold_the_truth_about_as_often_as_they_say(true: float) -> None:
    x = np.linspace(0, 2, 200)
    found = [slope(x.tolist(), (true * x + wandering(seed, 200)).tolist()) for seed in range(100)]
    assert 88 <= sum(one.low <= true <= one.high for one in found) <= 99


def test_slope_is_not_moved_by_a_few_jumps() -> None:
    x = np.linspace(0, 1, 400)
    y = 2 * x + 0.01 * wandering(1, 400)
    y[50:60] += 100
    found = slope(x.tolist(), y.tolist())
    assert found.value == pytest.approx(2.0, abs=0.1)
    assert found.low <= 2.0 <= found.high


def test_slope_of_the_low_water_sees_what_is_kept_under_what_comes_and_goes() -> None:
    x, rng = np.linspace(0, 1, 400), np.random.default_rng(0)
    y = 5 * x + rng.exponential(5.0, 400)
    found = slope(x.tolist(), y.tolist(), level=0.1)
    assert 0 < found.low <= 5.0 <= found.high < 8.0


def test_slope_of_what_does_not_change_is_none() -> None:
    assert slope([*map(float, range(20))], [3.0] * 20) == (0.0, 0.0, 0.0)


def test_slope_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="10 points"):
        slope([1.0, 2.0], [1.0, 2.0])
