from __future__ import annotations

import gc
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reidpipe.runtime import TensorSpec, open_session
from reidpipe.runtime.split import SplitSession
from tests.runtime import nets

ENGINES = ("onnxruntime", "openvino")
ROW = TensorSpec("row", (None, 3), np.dtype(np.float32))


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return nets.averages(tmp_path / "net.onnx", metadata={"color_order": "rgb"})


def pictures(rows: int) -> NDArray[np.float32]:
    return np.random.default_rng(rows).random((rows, 3, 16, 8), dtype=np.float32)


class Records:
    """A session that remembers how many rows it was given, and calls `then` with each batch."""

    backend = "onnxruntime"
    inputs = outputs = (ROW,)
    metadata: Mapping[str, str] = {}

    def __init__(self, then: Any = None) -> None:
        self.rows: list[int] = []
        self._then = then

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        self.rows.append(len(arrays[0]))
        if self._then is not None:
            self._then(arrays[0])
        return [arrays[0] * 2]


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("threads", [2, 3])
def test_split_gives_what_one_run_gives(net: Path, backend: str, threads: int) -> None:
    whole, split = (open_session(net, backend=backend, threads=threads, split=flag) for flag in (False, True))
    assert isinstance(split, SplitSession)
    assert (split.backend, split.inputs, split.outputs) == (backend, whole.inputs, whole.outputs)
    assert split.metadata == whole.metadata
    for rows in (1, 2, 3, 4, 5, 6, 7, 8, 33):
        images = pictures(rows)
        (found,), (again,), (wanted,) = split.run(images), split.run(images), whole.run(images)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        np.testing.assert_array_equal(found, again)


def test_split_passes_an_empty_batch_on(net: Path) -> None:
    assert open_session(net, split=True).run(pictures(0))[0].shape == (0, 3)


@pytest.mark.parametrize(("rows", "whole", "parts"), [(1, [1], []), (3, [3], []), (4, [], [2, 2]), (9, [], [4, 5])])
def test_split_runs_small_batches_whole(rows: int, whole: list[int], parts: list[int]) -> None:
    one, many = Records(), Records()
    given = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    np.testing.assert_array_equal(SplitSession(one, many, threads=2).run(given)[0], given * 2)
    assert (one.rows, sorted(many.rows)) == (whole, parts)


def test_split_runs_its_parts_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)
    session = SplitSession(Records(), Records(lambda rows: meeting.wait()), threads=3)
    assert len(session.run(np.ones((6, 3), np.float32))[0]) == 6


@pytest.mark.parametrize("failing", [0, 5])
def test_split_fails_only_after_all_parts_are_done(failing: int) -> None:
    done = []

    def work(rows: NDArray[Any]) -> None:
        if failing in rows:
            raise MemoryError("no room")
        time.sleep(0.05)
        done.append(len(rows))

    session = SplitSession(Records(), Records(work), threads=3)
    with pytest.raises(MemoryError, match="no room"):
        session.run(np.repeat(np.arange(6, dtype=np.float32)[:, None], 3, axis=1))
    assert done == [2, 2]


@pytest.mark.parametrize("backend", ENGINES)
def test_split_may_be_called_from_several_threads(net: Path, backend: str) -> None:
    session = open_session(net, backend=backend, split=True)

    def right(value: int) -> bool:
        return bool((session.run(np.full((5, 3, 16, 8), value, np.float32))[0] == value).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(100)))


def test_split_leaves_no_thread_behind(net: Path) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("reidpipe-rows") for thread in threading.enumerate())

    before = threads()
    session = open_session(net, split=True)
    session.run(pictures(8))
    assert threads() > before
    del session
    gc.collect()
    deadline = time.monotonic() + 20
    while threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == before


def test_split_is_for_a_free_batch_and_more_than_one_thread(net: Path, tmp_path: Path) -> None:
    fixed = nets.says(tmp_path / "fixed.onnx", np.zeros((1, 6)), input_shape=(1, 3, 16, 16))
    assert not isinstance(open_session(fixed, split=True), SplitSession)
    assert not isinstance(open_session(net, threads=1, split=True), SplitSession)
