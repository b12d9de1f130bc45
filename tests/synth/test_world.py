from __future__ import annotations

import numpy as np
import pytest

from reidpipe.synth import World
from reidpipe.synth.people import draw_person

TIMES = (0.0, 3.3, 7.9)


def stands_free(boxes: np.ndarray, index: int) -> bool:
    """Whether a box lies wholly in the 240x136 frame and meets no other."""
    x1, y1, x2, y2 = boxes[index]
    other = np.delete(boxes, index, axis=0)
    apart = (x2 <= other[:, 0]) | (other[:, 2] <= x1) | (y2 <= other[:, 1]) | (other[:, 3] <= y1)
    return bool(apart.all() and min(x1, y1) > 0.5 and x2 < 239.5 and y2 < 135.5)


def test_world_same_seed_same_pixels_and_truth(world: World) -> None:
    again = World.make(5, people=6, cameras=2, layout="mixed", duration_s=12.0, fps=10.0, size=(240, 136), obstacles=3)
    for camera in world.cameras:
        for time_s in (7.9, 0.0):
            one, other = world.render(camera, time_s), again.render(again.camera(camera.name), time_s)
            np.testing.assert_array_equal(one.image, other.image)
            for field in ("boxes", "ids", "visibility", "world_xy"):
                np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert not np.array_equal(world.render(world.cameras[0], 7.9).image, world.render(world.cameras[1], 7.9).image)


def test_world_another_seed_is_another_world(world: World) -> None:
    other = World.make(6, people=6, cameras=2, layout="mixed", duration_s=12.0, fps=10.0, size=(240, 136), obstacles=3)
    assert not np.allclose(other.paths.xy, world.paths.xy)


def test_world_truth_has_the_shapes_and_types_it_says(world: World) -> None:
    frame = world.render(world.cameras[0], 3.3)
    count = len(frame.ids)
    assert count > 0
    assert frame.image.shape == (136, 240, 3)
    assert frame.image.dtype == np.uint8
    assert frame.boxes.shape == (count, 4)
    assert frame.boxes.dtype == np.float32
    assert frame.ids.dtype == np.int64
    assert frame.visibility.dtype == np.float32
    assert frame.world_xy.shape == (count, 2)
    assert (frame.boxes[:, 2:] > frame.boxes[:, :2]).all()
    assert ((frame.boxes >= 0) & (frame.boxes <= (240, 136, 240, 136))).all()
    assert ((frame.visibility >= 0) & (frame.visibility <= 1)).all()
    assert set(frame.ids) <= set(range(1, 7))


def test_world_boxes_touch_the_drawn_person_on_every_side(world: World) -> None:
    checked = 0
    for camera in world.cameras:
        for time_s in TIMES:
            rows, posed, boxes, _, _ = world._in_view(camera, time_s)
            for index, row in enumerate(rows):
                sprite = draw_person(world.people[row], posed[index], camera, world.site.sun, 4, None)
                assert sprite is not None
                covered = np.argwhere(sprite.mask) + np.array([sprite.top, sprite.left])
                (y1, x1), (y2, x2) = covered.min(axis=0) / 4, (covered.max(axis=0) + 1) / 4
                drawn = np.array([x1, y1, x2, y2])
                inside = np.array([x1, y1, -x2, -y2]) - boxes[index] * (1, 1, -1, -1)
                assert (inside > -0.3).all(), "drawn outside of the box"
                np.testing.assert_allclose(drawn, boxes[index], atol=1.5)
                checked += 1
    assert checked > 12


def test_world_visibility_is_what_the_still_scene_and_others_leave(world: World) -> None:
    hidden_by_things = 0
    for camera in world.cameras:
        for time_s in (*TIMES, 5.0, 10.0):
            with_things, without = world.render(camera, time_s), world.render(camera, time_s, still=False)
            np.testing.assert_array_equal(with_things.ids, without.ids)
            assert (with_things.visibility <= without.visibility + 1e-6).all()
            hidden_by_things += int((with_things.visibility < without.visibility - 0.1).sum())
            for index in range(len(without.boxes)):
                if stands_free(without.boxes, index):
                    assert without.visibility[index] == pytest.approx(1.0, abs=1e-6)
    assert hidden_by_things > 0


def test_world_a_person_cut_by_the_frame_is_less_visible(world: World) -> None:
    found = 0
    for camera in world.cameras:
        for time_s in np.arange(0, 12, 0.5):
            rows, _, boxes, _, _ = world._in_view(camera, float(time_s))
            truth = world.truth(camera, float(time_s))
            inner = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
            cut = inner < 0.5
            assert (truth.visibility[cut] < 0.85).all()
            found += int(cut.sum())
            np.testing.assert_array_equal(truth.ids, rows + 1)
    assert found > 0


def test_world_truth_without_drawing_agrees_with_the_drawn_one(world: World) -> None:
    gaps = []
    for camera in world.cameras:
        for time_s in TIMES:
            quick, drawn = world.truth(camera, time_s), world.render(camera, time_s)
            np.testing.assert_array_equal(quick.boxes, drawn.boxes)
            np.testing.assert_array_equal(quick.ids, drawn.ids)
            gaps.append(np.abs(quick.visibility - drawn.visibility))
    gap = np.concatenate(gaps)
    assert gap.mean() < 0.05
    assert gap.max() < 0.3


def test_world_a_person_is_drawn_where_the_truth_says(world: World) -> None:
    camera = world.cameras[0]
    frame = world.render(camera, 3.3)
    empty = camera.response.develop(world._view(camera).light, world._gain(camera, 3.3), np.random.default_rng(0))
    changed = np.abs(frame.image.astype(int) - empty).max(axis=2) > 40
    for box in frame.boxes[frame.visibility > 0.8]:
        x1, y1, x2, y2 = np.round(box).astype(int)
        assert changed[y1:y2, x1:x2].mean() > 0.25


def test_world_position_projects_to_the_feet(world: World) -> None:
    for camera in world.cameras:
        truth = world.truth(camera, 3.3)
        feet, _ = camera.project(np.column_stack([truth.world_xy, np.zeros(len(truth.ids))]).astype(np.float64))
        for box, (x, y) in zip(truth.boxes, feet, strict=True):
            height, width = box[3] - box[1], box[2] - box[0]
            if box[3] < 135 and box[0] > 0 and box[2] < 240:
                assert box[0] - 0.3 * width < x < box[2] + 0.3 * width
                assert abs(y - box[3]) < 0.2 * height


def test_world_clock_skew_shifts_a_camera_in_time() -> None:
    world = World.make(8, people=4, cameras=3, layout="overlap", duration_s=6.0, size=(64, 48), clock_skew_s=2.0)
    skews = [camera.clock_skew_s for camera in world.cameras]
    assert skews[0] == 0.0
    assert 0 < max(abs(skew) for skew in skews) <= 2.0
    for camera in world.cameras:
        truth = world.truth(camera, 3.0)
        there = world.paths.at(3.0 + camera.clock_skew_s).xy[truth.ids - 1]
        np.testing.assert_allclose(truth.world_xy, there, atol=1e-5)


def test_world_layouts_decide_who_is_seen_at_once() -> None:
    together = {}
    for layout in ("overlap", "apart", "mixed"):
        world = World.make(4, people=16, cameras=4, layout=layout, duration_s=8.0, size=(96, 54))
        seen = [set(world.truth(camera, 4.0).ids.tolist()) for camera in world.cameras]
        together[layout] = [len(seen[a] & seen[b]) for a in range(4) for b in range(a + 1, 4)]
    assert together["apart"] == [0] * 6
    assert min(together["overlap"]) > 0
    pairs = together["mixed"]  # 12, 13, 14, 23, 24, 34
    assert pairs[1:5] == [0, 0, 0, 0]
    assert pairs[0] + pairs[5] > 0


def test_world_people_come_from_one_camera_to_another() -> None:
    world = World.make(4, people=10, cameras=2, layout="apart", duration_s=60.0, size=(64, 36))
    seen = [
        {int(person) for time_s in range(60) for person in world.truth(camera, float(time_s)).ids}
        for camera in world.cameras
    ]
    assert len(seen[0] & seen[1]) >= 4


def test_world_refuses_nonsense(world: World) -> None:
    with pytest.raises(ValueError, match="needs people"):
        World.make(1, people=0)
    with pytest.raises(ValueError, match="unknown layout 'ring'"):
        World.make(1, layout="ring")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="no camera 'cam9': known are cam1, cam2"):
        world.camera("cam9")
