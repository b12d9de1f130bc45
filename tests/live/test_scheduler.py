"""Who is served next: the newest pictures, evenly, in steps of bounded length."""

from __future__ import annotations

import numpy as np

from reidpipe.live.overload import Level
from reidpipe.live.scheduler import Scheduler, Step
from reidpipe.source.mailbox import Mailbox
from reidpipe.stages import SourceInfo


class Camera:
    """A mailbox that the test fills."""

    reconnects = stalls = 0

    def __init__(self, name: str) -> None:
        self.camera = name
        self.box = Mailbox(name)
        self.info = SourceInfo(name, 0, 0, 0.0, None, live=True)

    def start(self) -> None: ...

    def close(self) -> None: ...

    def put(self, time_s: float) -> None:
        self.box.put(time_s, lambda: np.zeros((2, 2, 3), np.uint8))


def names(step: Step | None) -> list[tuple[str, bool]]:
    return [] if step is None else [(f.camera, d) for f, d in zip(step.frames, step.detect, strict=True)]


def test_scheduler_takes_the_newest_of_each_camera() -> None:
    a, b = Camera("a"), Camera("b")
    scheduler = Scheduler([a, b], max_batch=8)
    scheduler.took(0.02, 2)  # 10 ms a picture: room for all
    for time_s in (1.0, 1.1, 1.2):
        a.put(time_s)
    b.put(1.0)
    step = scheduler.next()
    assert step is not None
    assert [(f.camera, f.index, f.time_s) for f in step.frames] == [("a", 2, 1.2), ("b", 0, 1.0)]
    assert scheduler.next() is None
    assert a.box.counts.dropped == 2


def test_scheduler_cuts_steps_to_their_time_and_serves_evenly() -> None:
    cameras = [Camera(name) for name in "abcd"]
    scheduler = Scheduler(cameras, max_batch=8, step_s=0.2)
    scheduler.took(0.1, 1)  # 0.1 s a picture: two in a step
    assert scheduler.batch == 2
    for number in range(100):  # every camera always has a picture, camera a has three times as many
        for camera in (*cameras, cameras[0], cameras[0]):
            camera.put(number / 15 + 1e-4 * camera.box.counts.received)
        assert len(names(scheduler.next())) == 2
    assert {scheduler.frames(name) for name in "abcd"} == {50}
    assert {scheduler.detections(name) for name in "abcd"} == {50}
    for camera in cameras:
        counts = camera.box.counts
        left = camera.box.waiting_s is not None
        assert counts.received == 50 + counts.dropped + left  # every drop is counted


def test_scheduler_detects_one_picture_a_step_where_nothing_else_is_said() -> None:
    cameras = [Camera(name) for name in "abc"]
    scheduler = Scheduler(cameras)
    scheduler.took(1e-6, 1)
    for camera in cameras:
        camera.put(1.0)
    assert [names(scheduler.next()) for _ in range(4)] == [[("a", True)], [("b", True)], [("c", True)], []]


def test_scheduler_batch_is_one_until_the_cost_is_known_and_bounded_after() -> None:
    scheduler = Scheduler([Camera("a")], max_batch=4, step_s=0.2)
    assert scheduler.batch == 1
    scheduler.took(1.0, 0)
    assert scheduler.batch == 1
    scheduler.took(1e-9, 1)
    assert scheduler.batch == 4
    for _ in range(100):
        scheduler.took(5.0, 1)
    assert scheduler.batch == 1


def test_scheduler_detects_by_seconds_whatever_the_rate() -> None:
    slow, fast = Camera("slow"), Camera("fast")
    scheduler = Scheduler([slow, fast], max_batch=8)
    scheduler.took(0.002, 2)
    scheduler.level = Level(detect_gap_s=0.2)
    for number in range(300):  # ten seconds
        if number % 6 == 0:
            slow.put(number / 30)
        fast.put(number / 30)
        scheduler.next()
    assert scheduler.frames("slow") == 50
    assert scheduler.frames("fast") == 300
    assert scheduler.detections("slow") == scheduler.detections("fast") == 50


def test_scheduler_leaves_pictures_out_evenly_when_told() -> None:
    slow, fast = Camera("slow"), Camera("fast")
    scheduler = Scheduler([slow, fast], max_batch=8)
    scheduler.took(0.002, 2)
    scheduler.level = Level(frame_gap_s=0.5)
    for number in range(300):
        if number % 3 == 0:
            slow.put(number / 30)
        fast.put(number / 30)
        scheduler.next()
    assert scheduler.frames("slow") == scheduler.frames("fast") == 20


def test_scheduler_camera_that_begins_anew_is_detected_first() -> None:
    camera = Camera("a")
    scheduler = Scheduler([camera])
    scheduler.level = Level(detect_gap_s=10)
    taken = []
    for number in range(3):
        camera.put(float(number))
        taken += names(scheduler.next())
    scheduler.anew("a")
    camera.put(3.0)
    taken += names(scheduler.next())
    assert taken == [("a", True), ("a", False), ("a", False), ("a", True)]


def test_scheduler_wakes_when_something_comes() -> None:
    camera = Camera("a")
    scheduler = Scheduler([camera])
    camera.put(0.0)
    scheduler.wait(3600)  # returns at once
    scheduler.wait(0.01)  # nothing new
    camera.box.change("up", 0.0)
    scheduler.wait(3600)


def test_scheduler_serves_by_priority_when_there_is_too_much_to_do() -> None:
    cameras = [Camera(name) for name in "abc"]
    scheduler = Scheduler(cameras, step_s=0.1)
    scheduler.priorities = {"a": 2.0, "c": 0.5}
    scheduler.took(0.1, 1)  # one picture in a step
    for number in range(700):
        for camera in cameras:
            camera.put(number / 15)
        scheduler.next()
    served = [scheduler.frames(name) for name in "abc"]
    assert sum(served) == 700
    np.testing.assert_allclose(served, [400, 200, 100], rtol=0.1)


def test_scheduler_gaps_are_shorter_for_a_camera_of_higher_priority() -> None:
    cameras = [Camera(name) for name in "ab"]
    scheduler = Scheduler(cameras, max_batch=8)
    scheduler.took(1e-6, 1)
    scheduler.priorities = {"a": 4.0}
    scheduler.level = Level(detect_gap_s=0.4)
    for number in range(100):  # 10 s of 10 pictures a second
        for camera in cameras:
            camera.put(number / 10)
        scheduler.next()
    assert [scheduler.detections(name) for name in "ab"] == [100, 25]
    assert [scheduler.frames(name) for name in "ab"] == [100, 100]
