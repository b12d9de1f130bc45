from __future__ import annotations

import numpy as np

from reidpipe.synth.camera import Camera
from reidpipe.synth.scene import Rectangle, Sun, find_surfaces, light_surfaces

CAMERA = Camera("cam", (0.0, 0.0, 2.0), yaw=0.0, pitch=0.2, focal_px=100.0, size=(120, 80), fps=10.0)
WHITE = np.full((16, 16, 3), 0.9, np.float32)
FLOOR = Rectangle((-50.0, -50.0, 0.0), (100.0, 0, 0), (0, 100.0, 0), WHITE, floor=True)
NOON = Sun((0.0, 0.0, 1.0), strength=0.6, sky=0.4)


def test_scene_depth_of_the_ground_is_where_a_ray_meets_it() -> None:
    found = find_surfaces(CAMERA, [FLOOR], 2)
    assert found.depth.shape == (160, 240)
    rows, columns = np.nonzero(found.which == 0)
    across, down = ((columns + 0.5) / 2 - 60) / 100, ((rows + 0.5) / 2 - 40) / 100
    right, low, forward = CAMERA.axes()
    rays = forward + across[:, None] * right + down[:, None] * low
    hit = np.array(CAMERA.position) + found.depth[rows, columns, None] * rays
    np.testing.assert_allclose(hit[:, 2], 0.0, atol=1e-3)
    assert np.isinf(found.depth[0]).all()


def test_scene_the_nearer_wall_hides_the_farther_one() -> None:
    def wall(x: float) -> Rectangle:
        return Rectangle((x, -3.0, 4.0), (0, 6.0, 0), (0, 0, -4.0), WHITE)

    for order in ([wall(5.0), wall(9.0)], [wall(9.0), wall(5.0)]):
        found = find_surfaces(CAMERA, order, 1)
        assert order[int(found.which[40, 60])].corner[0] == 5.0
        assert abs(found.depth[40, 60] - 5.0 / np.cos(0.2)) < 0.05


def test_scene_texture_is_not_mirrored() -> None:
    picture = np.zeros((40, 40, 3), np.float32)
    picture[:20, :20] = (0.9, 0.1, 0.1)  # blue, upper left
    picture[20:, 20:] = (0.1, 0.1, 0.9)  # red, lower right
    # Seen along x, the left hand side is y > 0: the texture's first column is at y = +2.
    wall = Rectangle((6.0, 2.0, 3.0), (0, -4.0, 0), (0, 0, -3.0), picture)
    view = light_surfaces(CAMERA, find_surfaces(CAMERA, [wall], 2), [wall], NOON, [], 2)
    xy, _ = CAMERA.project(np.array([(6.0, 1.0, 2.2), (6.0, -1.0, 0.8)]))
    blue, red = (view.light[round(y), round(x)] for x, y in xy)
    assert blue[0] > 4 * blue[2]
    assert red[2] > 4 * red[0]


def test_scene_shadows_darken_the_ground_inside_their_outline_only() -> None:
    outline = np.array([(5.0, -1.0), (7.0, -1.0), (7.0, 1.0), (5.0, 1.0)])
    found = find_surfaces(CAMERA, [FLOOR], 2)
    view = light_surfaces(CAMERA, found, [FLOOR], NOON, [outline], 2)
    xy, _ = CAMERA.project(np.array([(6.0, 0.0, 0.0), (6.0, 2.0, 0.0)]))
    dark, bright = (view.light[round(y), round(x), 1] for x, y in xy)
    assert 0.3 < dark / bright < 0.5  # sky alone against sky and sun: 0.4
