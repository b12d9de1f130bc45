"""Camera bias taken out camera by camera is what the definition over all rows says."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.associate.features import SPREAD_PULL, camera_means, remove_bias, unit_rows


@pytest.mark.parametrize("known", [False, True])
def test_remove_bias_takes_out_the_pulled_mean_and_spread_of_each_camera(known: bool) -> None:
    rng = np.random.default_rng(3)
    cameras = rng.integers(3, size=200)
    rows = unit_rows(rng.normal(size=(200, 16)) * rng.uniform(0.5, 2, 16) + rng.normal(size=(3, 16))[cameras])
    weights = rng.uniform(0.05, 1.0, 200)
    centre = rng.normal(size=16) * 0.1 if known else None
    towards = weights @ rows / weights.sum()
    if centre is not None:
        towards = (200 * towards + 4.0 * centre) / 204
    left = np.empty((200, 16))
    means = camera_means(rows, cameras, weights, centre=centre)
    for camera in range(3):
        here = cameras == camera
        mean = weights[here] @ rows[here] / weights[here].sum()
        assert means[camera] == pytest.approx((here.sum() * mean + 4.0 * towards) / (here.sum() + 4.0))
        left[here] = rows[here] - means[camera]
    everywhere = ((left**2).sum(axis=0) + SPREAD_PULL * (left**2).mean()) / (200 + SPREAD_PULL)
    for camera in range(3):
        here = cameras == camera
        left[here] /= np.sqrt(((left[here] ** 2).sum(axis=0) + SPREAD_PULL * everywhere) / (here.sum() + SPREAD_PULL))
    assert remove_bias(rows, cameras, weights, centre=centre) == pytest.approx(unit_rows(left), abs=1e-6)


def test_unit_rows_of_nothing_is_the_first_axis() -> None:
    assert unit_rows(np.zeros((2, 3))).tolist() == [[1, 0, 0], [1, 0, 0]]
