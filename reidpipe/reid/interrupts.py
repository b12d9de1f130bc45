"""Ctrl-C and termination that wait for the end of a training step, so that the checkpoint they leave is exact."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def waiting_interrupts() -> Iterator[Callable[[], bool]]:
    """Within the block, SIGINT and SIGTERM are noted instead of raised; the yielded function tells whether one came.

    A second signal raises KeyboardInterrupt at once. Outside the main thread nothing is changed: signals go there.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
