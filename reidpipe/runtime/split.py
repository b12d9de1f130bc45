"""A batch cut into parts that run side by side, one thread each.

The maps of a small net are so small that two threads inside one operator mostly wait for each other. Rows of a batch
have nothing to do with each other, so each thread gets rows of its own and waits once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.runtime.session import Session, TensorSpec

__all__ = ["ROWS_PER_THREAD", "SplitSession", "can_split"]

ROWS_PER_THREAD = 2
"""Smaller batches are run whole: threads inside an operator help a single row, and a part costs a little by itself."""


def can_split(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> bool:
    """Whether the first axis of every input and output is free, so that it can be cut."""
    return all(spec.shape and spec.shape[0] is None for spec in (*inputs, *outputs))


class SplitSession:
    """A net that runs the rows of a batch side by side. Made by ``open_session``.

    Args:
        whole: the net on all threads, for batches of less than ``ROWS_PER_THREAD * threads`` rows.
        single: the same net on one thread a run, able to do ``threads`` runs at once.
        threads: number of parts.
    """

    def __init__(self, whole: Session, single: Session, *, threads: int) -> None:
        self._whole, self._single, self._threads = whole, single, threads
        # Its threads end with it: an executor that is collected, or left at exit, tells them to.
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="reidpipe-rows")
        self.backend = whole.backend
        self.inputs, self.outputs, self.metadata = whole.inputs, whole.outputs, whole.metadata

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """One array for each input -> one array for each output; the rows of both in the same order."""
        rows = len(arrays[0])
        if rows < ROWS_PER_THREAD * self._threads:
            return self._whole.run(*arrays)
        edges = [rows * part // self._threads for part in range(self._threads + 1)]
        parts = [[array[start:end] for array in arrays] for start, end in pairwise(edges)]
        others = [self._pool.submit(self._single.run, *part) for part in parts[1:]]
        try:
            first = self._single.run(*parts[0])
        finally:
            wait(others)  # nobody may go on reading the caller's arrays
        results = [first, *(other.result() for other in others)]
        return [np.concatenate(column) for column in zip(*results, strict=True)]
