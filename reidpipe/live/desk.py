"""Where other threads ask the run for something: it is done in the run's own thread, between two pictures."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["BusyError", "Desk"]

T = TypeVar("T")
_MOST_WAITING = 4


class BusyError(Exception):
    """Too many ask at once, or the run does not get round to it."""


class _Errand(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self.work = work
        self.given_up = False
        self.done = threading.Event()
        self.result: T | None = None
        self.error: Exception | None = None


class Desk:
    """A queue of errands, never a long one."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[_Errand[Any]] = queue.Queue(_MOST_WAITING)
        self._closed = False

    def ask(self, work: Callable[[], T], *, timeout_s: float = 10.0) -> T:
        """Have something done by the run, and wait for it.

        Raises:
            BusyError: there is no room, or it was not done in time.
            Exception: what ``work`` raised.
        """
        errand = _Errand(work)
        try:
            if self._closed:
                raise queue.Full
            self._waiting.put_nowait(errand)
        except queue.Full:
            raise BusyError("the run is busy: try again") from None
        if not errand.done.wait(timeout_s):
            errand.given_up = True
            raise BusyError("the run did not answer in time: try again")
        if errand.error is not None:
            raise errand.error
        return errand.result  # type: ignore[return-value]

    def serve(self) -> None:
        """Do one errand, if there is any; called by the run."""
        try:
            errand = self._waiting.get_nowait()
        except queue.Empty:
            return
        if errand.given_up:  # nobody waits for it any more
            return
        try:
            errand.result = errand.work()
        except Exception as error:  # it belongs to who asked, not to the run
            errand.error = error
        errand.done.set()

    def close(self) -> None:
        """The run ends: who waits is told so."""
        self._closed = True
        while True:
            try:
                errand = self._waiting.get_nowait()
            except queue.Empty:
                return
            errand.error = BusyError("the run has ended")
            errand.done.set()
