from __future__ import annotations

import numpy as np

from reidpipe.synth import World
from reidpipe.synth.walkers import Paths


def test_walkers_move_without_jumps_and_never_run(world: World) -> None:
    paths = world.paths
    speed = np.hypot(*np.moveaxis(np.diff(paths.xy, axis=0), -1, 0)) / paths.step_s
    assert speed.max() < 2.3
    assert (speed.mean(axis=0) > 0.2).all()


def test_walkers_look_where_they_go(world: World) -> None:
    velocity = np.diff(world.paths.xy, axis=0) / world.paths.step_s
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    brisk = speed > 0.8
    direction = np.arctan2(velocity[..., 1], velocity[..., 0])
    off = np.abs(np.angle(np.exp(1j * (direction - world.paths.heading[:-1]))))
    assert np.percentile(off[brisk], 95) < 0.5


def test_walkers_do_not_slide_over_the_ground(world: World) -> None:
    paths = world.paths
    distance = np.hypot(*np.moveaxis(np.diff(paths.xy, axis=0), -1, 0)).sum(axis=0)
    strides = paths.phase[-1] - paths.phase[0]
    length = distance / strides
    assert ((length > 0.75) & (length < 2.0)).all()


def test_walkers_go_round_obstacles_and_each_other() -> None:
    world = World.make(11, people=10, cameras=2, layout="mixed", duration_s=20.0, size=(64, 48), obstacles=4)
    for thing in world.site.courts[0].obstacles:
        inside = (np.abs(world.paths.xy - (thing.x, thing.y)) < (thing.half_x, thing.half_y)).all(axis=2)
        assert not inside.any(), thing
    apart = np.linalg.norm(world.paths.xy[:, :, None] - world.paths.xy[:, None], axis=3)
    apart[:, np.arange(10), np.arange(10)] = 9.0
    court = world.site.courts[0]
    for person in range(10):
        visible = court.holds(world.paths.xy[:, person])
        assert (apart[visible, person].min(axis=1, initial=9.0) > 0.25).mean() > 0.99


def test_walkers_do_not_walk_through_walls() -> None:
    world = World.make(12, people=12, cameras=2, layout="apart", duration_s=40.0, size=(64, 48))
    for court in world.site.courts:
        inside = court.holds(world.paths.xy)
        crossing = np.argwhere(inside[1:] != inside[:-1])
        for step, person in crossing:
            place = world.paths.xy[step, person]
            assert min(np.hypot(place[0] - door.x, place[1] - door.y) for door in court.doors) < 1.3
        del inside


def test_walkers_time_is_interpolated_and_held_at_the_ends() -> None:
    xy = np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[3.0, 0.0]]])
    flat = np.zeros((3, 1))
    paths = Paths(10.0, 0.5, xy, flat, flat, flat)
    assert [float(paths.at(time).xy[0, 0]) for time in (0.0, 10.25, 10.75, 99.0)] == [0.0, 0.5, 2.0, 3.0]
