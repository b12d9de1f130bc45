from __future__ import annotations

import numpy as np

from reidpipe.synth.raster import rasterise


def slow(
    points: np.ndarray, depth: np.ndarray, faces: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest depth and its triangle per sample, one triangle and one sample at a time."""
    nearest = np.full((height, width), np.inf)
    owner = np.full((height, width), -1)
    for index, face in enumerate(faces):
        (ax, ay), (bx, by), (cx, cy) = points[face]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:
            continue
        for row in range(height):
            for column in range(width):
                x, y = column + 0.5, row + 0.5
                a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                c = 1 - a - b
                z = a * depth[face[0]] + b * depth[face[1]] + c * depth[face[2]]
                if min(a, b, c) >= 0 and z < nearest[row, column]:
                    nearest[row, column], owner[row, column] = z, index
    return nearest, owner


def test_raster_agrees_with_one_sample_at_a_time() -> None:
    rng = np.random.default_rng(3)
    points, depth = rng.uniform(-6, 38, (36, 2)), rng.uniform(1, 9, 36)
    faces = np.arange(36).reshape(-1, 3)
    nearest, owner = slow(points, depth, faces, 32, 24)
    seen = rasterise(points, depth, faces, 32, 24)
    drawn = np.full(32 * 24, -1)
    drawn[seen.samples] = seen.faces
    np.testing.assert_array_equal(drawn.reshape(24, 32), owner)
    np.testing.assert_allclose(seen.depth, nearest.ravel()[seen.samples], rtol=1e-4)
    np.testing.assert_allclose(seen.shares.sum(axis=1), 1.0, atol=1e-5)


def test_raster_draws_only_triangles_that_face_the_camera() -> None:
    points = np.array([(1.0, 1.0), (1.0, 9.0), (9.0, 1.0)])
    front = rasterise(points, np.ones(3), np.array([[0, 1, 2]]), 10, 10)
    back = rasterise(points, np.ones(3), np.array([[0, 2, 1]]), 10, 10)
    assert len(front.samples) == 36  # 8 + 7 + ... + 1 samples of the half square, the diagonal's included
    assert len(back.samples) == 0


def test_raster_nothing_in_the_frame_gives_nothing() -> None:
    points = np.array([(-9.0, 1.0), (-9.0, 9.0), (-1.0, 1.0)])
    assert len(rasterise(points, np.ones(3), np.array([[0, 1, 2]]), 10, 10).samples) == 0
    assert len(rasterise(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3), np.int64), 10, 10).samples) == 0
