"""Reads live cameras the way a run does, and remembers what came."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from reidpipe.source.live import LiveSource
from reidpipe.source.mailbox import Change

PATIENCE_S = 30.0
"""Far more than anything takes on an idle machine: what is waited for, not what is measured."""


class Watch:
    """Starts cameras, takes their pictures in a thread of its own. A context manager."""

    def __init__(self, *sources: LiveSource) -> None:
        self.sources = sources
        self.times: dict[str, list[float]] = {source.camera: [] for source in sources}
        self.sizes: dict[str, list[tuple[int, ...]]] = {source.camera: [] for source in sources}
        self.changes: dict[str, list[Change]] = {source.camera: [] for source in sources}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        for source in self.sources:
            source.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for source in self.sources:
            source.close()

    def _run(self) -> None:
        while not self._over.wait(0.005):
            for source in self.sources:
                frame = source.box.take()
                if frame is not None:
                    self.times[frame.camera].append(frame.time_s)
                    if self.sizes[frame.camera][-1:] != [frame.image.shape]:
                        self.sizes[frame.camera].append(frame.image.shape)
                self.changes[source.camera] += source.box.changes()

    def states(self, camera: str) -> list[str]:
        return [change.state for change in self.changes[camera]]

    def pictures(self, camera: str, more: int) -> None:
        """Wait until so many more pictures of a camera have come."""
        wanted = len(self.times[camera]) + more
        until(lambda: len(self.times[camera]) >= wanted)

    def largest_gap_s(self, camera: str) -> float:
        times = self.times[camera]
        return max(later - sooner for sooner, later in itertools.pairwise(times))


def until(ready: Callable[[], bool], *, patience_s: float = PATIENCE_S) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + patience_s
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come")
        time.sleep(0.01)


def growing(times: Sequence[float]) -> bool:
    return all(later > sooner for sooner, later in itertools.pairwise(times))
