"""What a live camera hands over: its newest picture, and what happened to it.

The camera's own thread puts pictures in; the run takes the newest one. Nothing queues: a picture that was not taken
when the next one came is dropped and counted. Only what is taken is converted to BGR.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from reidpipe.types import Frame, Image

__all__ = ["Change", "Mailbox", "MailboxCounts", "State"]

State: TypeAlias = Literal["connecting", "up", "down", "ended"]
_POLL_S = 0.005
_CHANGES_KEPT = 256  # nobody listens: the oldest go


class Change(NamedTuple):
    """A camera's state changed.

    Attributes:
        state: ``up``: pictures come; ``down``: they do not, it is tried again; ``ended``: nothing more will come.
        time_s: when, seconds since 1970; of ``down`` by a stall, when the last picture came.
        reason: one line without credentials; empty for ``up`` and for an end that is no fault.
    """

    state: State
    time_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """Pictures so far.

    Attributes:
        received: came from the camera, those that were skipped without decoding included.
        dropped: came and were never taken.
        damaged: could not be decoded or converted (also counted as dropped).
    """

    received: int
    dropped: int
    damaged: int


class _Picture(NamedTuple):
    number: int
    time_s: float
    make: Callable[[], Image]


class Mailbox:
    """A place for one picture, between a camera's thread and the run.

    Args:
        camera: name of the camera.
    """

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self._lock = threading.Condition()
        self._picture: _Picture | None = None
        self._received = 0
        self._dropped = 0
        self._damaged = 0
        self._state: State = "connecting"
        self._changes: deque[Change] = deque(maxlen=_CHANGES_KEPT)
        self._wake: Callable[[], None] | None = None

    @property
    def state(self) -> State:
        """How the camera is."""
        return self._state

    @property
    def counts(self) -> MailboxCounts:
        """Pictures so far."""
        with self._lock:
            return MailboxCounts(self._received, self._dropped, self._damaged)

    def listen(self, wake: Callable[[], None]) -> None:
        """``wake`` is called, in the camera's thread, whenever there is something new; it must be quick."""
        self._wake = wake

    def put(self, time_s: float, make: Callable[[], Image]) -> None:
        """A picture came.

        Args:
            time_s: when it was taken, seconds since 1970.
            make: converts it to uint8 ``(H, W, 3)`` BGR; called by who takes it, at most once.
        """
        with self._lock:
            self._dropped += self._picture is not None
            self._picture = _Picture(self._received, time_s, make)
            self._received += 1
        self._notify()

    def skip(self, *, damaged: bool = False) -> None:
        """A picture came and was not decoded."""
        with self._lock:
            self._received += 1
            self._dropped += 1
            self._damaged += damaged

    def change(self, state: State, time_s: float, reason: str = "") -> None:
        """The camera's state is another one now."""
        with self._lock:
            if state == self._state or self._state == "ended":
                return
            self._state = state
            self._changes.append(Change(state, time_s, reason))
        self._notify()

    def take(self) -> Frame | None:
        """The newest picture that was not taken yet, or None; never waits.

        ``Frame.index`` has a gap where pictures were dropped.
        """
        with self._lock:
            picture, self._picture = self._picture, None
        if picture is None:
            return None
        try:
            return Frame(self.camera, picture.number, picture.time_s, picture.make())
        except (ValueError, TypeError, RuntimeError, MemoryError, OSError):
            # A picture that FFmpeg gave and cannot convert: this one is lost, the camera goes on.
            with self._lock:
                self._dropped += 1
                self._damaged += 1
            return None

    def drop(self) -> bool:
        """Let go of the waiting picture, counted as dropped; False when there is none."""
        with self._lock:
            there, self._picture = self._picture is not None, None
            self._dropped += there
        return there

    @property
    def waiting_s(self) -> float | None:
        """``time_s`` of the picture that waits, None without one."""
        picture = self._picture
        return None if picture is None else picture.time_s

    def changes(self) -> list[Change]:
        """What changed since this was last called, in order."""
        with self._lock:
            changed = list(self._changes)
            self._changes.clear()
        return changed

    def wait(self, timeout_s: float) -> bool:
        """Until a picture waits or the camera has ended; False when the time was up."""
        with self._lock:
            return self._lock.wait_for(lambda: self._picture is not None or self._state == "ended", timeout_s)

    def wait_taken(self, timeout_s: float, over: threading.Event) -> None:
        """Until nothing waits: the last picture of a recording must not be lost to its end."""
        deadline = time.monotonic() + timeout_s
        while self._picture is not None and time.monotonic() < deadline and not over.wait(_POLL_S):
            pass

    def _notify(self) -> None:
        with self._lock:
            self._lock.notify_all()
        wake = self._wake
        if wake is not None:
            wake()
