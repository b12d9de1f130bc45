"""Cameras merged by time: order, grouping, ends, failures, and no thread left behind."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source import open_sources
from reidpipe.source.merge import CameraMerger
from reidpipe.stages import SourceInfo
from reidpipe.types import Frame
from tests.source.clips import make_clip


class Scripted:
    """A camera with given times; may be slow at random, or raise before a picture."""

    def __init__(
        self,
        camera: str,
        times: list[float],
        *,
        fps: float = 10.0,
        jitter: random.Random | None = None,
        fail_at: int | None = None,
        error: Exception | None = None,
    ) -> None:
        self.camera = camera
        self.info = SourceInfo(camera, 4, 4, fps, len(times))
        self.given = 0
        self.left = False
        self._times = times
        self._jitter = jitter
        self._fail_at = fail_at
        self._error = error or SourceError("gone", camera=camera)

    def frames(self) -> Iterator[Frame]:
        try:
            for index, time_s in enumerate(self._times):
                if self._jitter is not None and self._jitter.random() < 0.3:
                    time.sleep(self._jitter.random() * 0.003)
                if index == self._fail_at:
                    raise self._error
                self.given += 1
                yield Frame(self.camera, index, time_s, np.zeros((4, 4, 3), np.uint8))
        finally:
            self.left = True

    def close(self) -> None:
        pass


def regular(camera: str, count: int, fps: float, *, offset: float = 0.0, **options: object) -> Scripted:
    return Scripted(camera, [offset + i / fps for i in range(count)], fps=fps, **options)  # type: ignore[arg-type]


def merged(*sources: Scripted, **options: int) -> list[list[tuple[str, int]]]:
    with CameraMerger(sources, **options) as merger:  # type: ignore[arg-type]
        return [[(frame.camera, frame.index) for frame in group] for group in merger]


def _raise_after_one(merger: CameraMerger) -> None:
    for _ in merger:
        raise RuntimeError("consumer")


def decoders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode-")]


def test_merge_groups_cameras_in_step_in_the_order_given() -> None:
    groups = merged(regular("b", 3, 10), regular("a", 3, 10, offset=0.02))
    assert groups == [[("b", 0), ("a", 0)], [("b", 1), ("a", 1)], [("b", 2), ("a", 2)]]


def test_merge_different_rates_by_time() -> None:
    groups = merged(regular("fast", 7, 30), regular("slow", 3, 10))
    assert groups == [
        [("fast", 0), ("slow", 0)],
        [("fast", 1)],
        [("fast", 2)],
        [("fast", 3), ("slow", 1)],
        [("fast", 4)],
        [("fast", 5)],
        [("fast", 6), ("slow", 2)],
    ]


def test_merge_takes_what_lies_within_half_of_the_smallest_interval() -> None:
    """Half of 0.1 s: 0.04 belongs together, 0.06 does not."""
    assert merged(Scripted("a", [0.0]), Scripted("b", [0.04])) == [[("a", 0), ("b", 0)]]
    assert merged(Scripted("a", [0.0]), Scripted("b", [0.06])) == [[("a", 0)], [("b", 0)]]


def test_merge_a_camera_that_ends_leaves_the_others_running() -> None:
    groups = merged(regular("short", 2, 10), regular("long", 5, 10), regular("empty", 0, 10))
    assert groups == [
        [("short", 0), ("long", 0)],
        [("short", 1), ("long", 1)],
        [("long", 2)],
        [("long", 3)],
        [("long", 4)],
    ]


def test_merge_gives_every_picture_once_in_order_of_time() -> None:
    rng = random.Random(1)
    sources = [Scripted(f"c{k}", sorted(rng.uniform(0, 3) for _ in range(40)), fps=15 + k) for k in range(4)]
    with CameraMerger(sources) as merger:
        groups = list(merger)
    for k in range(4):
        assert [f.index for group in groups for f in group if f.camera == f"c{k}"] == list(range(40))
    starts = [min(frame.time_s for frame in group) for group in groups]
    assert starts == sorted(starts)
    assert all(len({frame.camera for frame in group}) == len(group) for group in groups)
    window = 0.5 / 18
    assert all(frame.time_s - start <= window for group, start in zip(groups, starts, strict=True) for frame in group)


def test_merge_does_not_depend_on_which_thread_is_faster() -> None:
    def run(seed: int, queue_size: int) -> list[list[tuple[str, int]]]:
        rng = random.Random(seed)
        return merged(
            regular("a", 25, 25, jitter=rng),
            regular("b", 30, 29.97, jitter=rng),
            regular("c", 7, 7, offset=0.01, jitter=rng),
            queue_size=queue_size,
        )

    assert run(1, 1) == run(2, 4) == run(3, 16)


def test_merge_is_bounded() -> None:
    """A fast decoder waits for a slow consumer."""
    source = regular("a", 500, 10)
    with CameraMerger([source], queue_size=3) as merger:
        groups = iter(merger)
        next(groups)
        time.sleep(0.05)
        assert source.given <= 1 + 3 + 1 + 1  # delivered, waiting, in the decoder's hand, and the head


def test_merge_a_failing_camera_is_reported_and_the_others_go_on() -> None:
    failed: list[str] = []
    sources = [regular("bad", 5, 10, fail_at=2), regular("good", 5, 10)]
    with CameraMerger(sources, on_failure=lambda error: failed.append(error.camera)) as merger:
        groups = [[frame.camera for frame in group] for group in merger]
        assert groups == [["bad", "good"], ["bad", "good"], ["good"], ["good"], ["good"]]
        assert failed == ["bad"]
        assert list(merger.failures) == ["bad"]
        assert str(merger.failures["bad"]) == "bad: gone"


def test_merge_any_exception_becomes_a_source_error_of_that_camera() -> None:
    cause = ZeroDivisionError("division by zero")
    sources = [regular("bad", 5, 10, fail_at=0, error=cause), regular("good", 2, 10)]
    with CameraMerger(sources) as merger:
        assert len(list(merger)) == 2
        failure = merger.failures["bad"]
    assert isinstance(failure, SourceError)
    assert failure.camera == "bad"
    assert "ZeroDivisionError" in str(failure)
    assert failure.__cause__ is cause


def test_merge_raises_when_every_camera_failed() -> None:
    sources = [regular("a", 3, 10, fail_at=1), regular("b", 3, 10, fail_at=0)]
    with CameraMerger(sources) as merger, pytest.raises(SourceError, match="a: gone"):
        list(merger)


@pytest.mark.parametrize("how", ["break", "raise", "close"])
def test_merge_stops_its_threads_when_the_consumer_stops(how: str) -> None:
    before = len(decoders())
    sources = [regular("a", 1000, 10), regular("b", 1000, 10)]
    merger = CameraMerger(sources, queue_size=2)
    if how == "close":
        next(iter(merger))
        merger.close()
        merger.close()
    elif how == "break":
        with merger:
            for _ in merger:
                break
    else:
        with pytest.raises(RuntimeError, match="consumer"), merger:
            _raise_after_one(merger)
    assert len(decoders()) == before
    assert all(source.left and source.given < 1000 for source in sources)


def test_merge_leaves_no_thread_after_the_end() -> None:
    before = len(decoders())
    merged(regular("a", 5, 10), regular("b", 5, 10, fail_at=1))
    assert len(decoders()) == before


def test_merge_closed_before_reading_gives_nothing() -> None:
    merger = CameraMerger([regular("a", 3, 10)])
    merger.close()
    assert list(merger) == []


def test_merge_refuses_no_source_equal_names_and_a_second_reading() -> None:
    with pytest.raises(ConfigError, match="no source"):
        CameraMerger([])
    with pytest.raises(ConfigError, match="called 'a'"):
        CameraMerger([regular("a", 1, 10), regular("a", 1, 10)])
    with pytest.raises(ConfigError, match="queue_size"):
        CameraMerger([regular("a", 1, 10)], queue_size=0)
    merger = CameraMerger([regular("a", 1, 10)])
    list(merger)
    with pytest.raises(RuntimeError, match="once"):
        list(merger)


def test_merge_files_of_different_rate_and_length(tmp_path: Path) -> None:
    paths = [str(make_clip(tmp_path / f"{fps}.mp4", frames=count, fps=fps)) for fps, count in ((10, 10), (25, 40))]
    with CameraMerger(open_sources(paths)) as merger:
        frames = [frame for group in merger for frame in group]
    assert sum(frame.camera == "10" for frame in frames) == 10
    assert sum(frame.camera == "25" for frame in frames) == 40
    late = [b.time_s - a.time_s for a, b in pairwise(frames)]
    assert min(late) >= -0.5 / 25 - 1e-9


def test_merge_two_runs_are_the_same_bit_for_bit(tmp_path: Path) -> None:
    paths = [str(make_clip(tmp_path / f"{fps}.mp4", frames=12, fps=fps)) for fps in (10, 15)]

    def run(threads: int) -> list[tuple[str, int, float, bytes]]:
        with CameraMerger(open_sources(paths, threads=threads)) as merger:
            return [(f.camera, f.index, f.time_s, f.image.tobytes()) for group in merger for f in group]

    assert run(1) == run(2) == run(1)
