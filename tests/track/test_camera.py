from __future__ import annotations

import numpy as np
import pytest

from reidpipe.track.camera import camera_shift


def people(rng: np.random.Generator, n: int) -> np.ndarray:
    corner = rng.uniform(0, 1200, (n, 2))
    height = rng.uniform(80, 300, n)
    return np.concatenate((corner, corner + np.stack((0.4 * height, height), axis=1)), axis=1).astype(np.float32)


@pytest.mark.parametrize("jump", [(6.0, -3.0), (-90.0, 10.0), (400.0, -60.0)])
def test_camera_shift_is_found_at_any_size(jump: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    before = people(rng, 14)
    after = before + np.array(jump * 2, np.float32) + rng.normal(0, 1.0, before.shape).astype(np.float32)
    shift = camera_shift(before, after[rng.permutation(14)][:12])
    assert shift is not None
    assert np.abs(shift - jump).max() < 3.0


def test_camera_that_stands_still_is_left_alone() -> None:
    rng = np.random.default_rng(2)
    before = people(rng, 14)
    steps = rng.choice([-8.0, 8.0], 14)  # as many to the left as to the right
    steps[:7], steps[7:] = 8.0, -8.0
    after = before.copy()
    after[:, [0, 2]] += steps[:, None].astype(np.float32)
    shift = camera_shift(before, after)
    assert shift is None or np.abs(shift).max() < 1.0


def test_camera_crowd_of_strangers_is_no_jump() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        before, after = people(rng, 8), people(rng, 8)
        assert camera_shift(before, after) is None


@pytest.mark.parametrize("counts", [(0, 0), (3, 9), (9, 3)])
def test_camera_too_few_people_tell_nothing(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    boxes = people(rng, 9)
    assert camera_shift(boxes[: counts[0]], boxes[: counts[1]] + 5) is None


def test_camera_shift_in_a_crowd_of_hundreds() -> None:
    rng = np.random.default_rng(5)
    before = people(rng, 200) * np.float32(4) + np.tile(rng.uniform(0, 9000, (200, 2)), 2).astype(np.float32)
    after = before + np.float32(700)
    shift = camera_shift(before, after[rng.permutation(200)])
    assert shift is not None
    assert np.abs(shift - 700).max() < 5.0
