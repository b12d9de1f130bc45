from __future__ import annotations

import numpy as np

from reidpipe.track.reach import reachable


def person(x: float, height: float) -> np.ndarray:
    return np.array([x, 300.0, 0.4 * height, height])


def test_reachable_is_a_way_that_can_be_walked_and_a_size_that_fits() -> None:
    lost = np.stack([person(0, 100), person(0, 100)], axis=1)
    found = np.stack([person(149, 100), person(151, 100), person(0, 160), person(0, 170), person(449, 100)], axis=1)
    got = reachable(lost, found, np.array([0.5, 2.0]))  # 150 and 450 pixels; 1.42 and 2.23 times as large
    assert got.tolist() == [[True, False, False, False, False], [True, True, True, True, True]]
    assert reachable(lost[:, :1], found[:, :1], 0.5).tolist() == [[True]]
    assert reachable(lost, np.zeros((4, 0)), 1.0).shape == (2, 0)
