"""The end of a run that was told to stop: over in five seconds, whatever the machine is busy with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from reidpipe.errors import SinkError

__all__ = ["Ending"]

_TURN_S = 0.5
_LAST_WORDS_S = 0.5
LIMIT_S = 3.5
"""Of the five seconds; the others are for the process to go: on a busy machine each of its threads waits to end."""


class Ending:
    """Counts the time since a run was told to stop, in a thread of its own. A context manager.

    What the end of a run does asks for the time that it may take (``seconds``), and says what there was no time for
    (``leave_out``). When the end takes longer all the same (a disk that hangs, a machine with too much to do), the
    thread says what is missing and calls ``cut``.

    Args:
        stop: set when the run shall end.
        say: called with lines for the log.
        cut: ends the process; None: the end takes as long as it takes, and the log tells.
        limit_s: how long the end may take, seconds.

    Attributes:
        at_once: called in the thread as soon as the run is told to stop.
        at_last: called in the thread before ``cut``; ``left_out`` tells what is missing.
        doing: what the run does now, for the log.
        left_out: what there was no time for.
    """

    def __init__(
        self,
        stop: threading.Event,
        say: Callable[[str], None],
        *,
        cut: Callable[[], None] | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._stop = stop
        self._say = say
        self._cut = cut
        self._limit_s = limit_s
        self._since: float | None = None
        self._over = threading.Event()
        self.at_once: Callable[[], None] = _nothing
        self.at_last: Callable[[], None] = _nothing
        self.doing = "starting"
        self.left_out: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="ending", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @property
    def is_hurried(self) -> bool:
        """True when the run was told to stop: nobody waits for what takes long."""
        return self._stop.is_set()

    def seconds(self, most: float, *, by: float) -> float:
        """How long something may take now.

        Args:
            most: seconds that it may take in any case.
            by: when it has to be over in a run that was told to stop, seconds since then.

        Returns:
            Seconds, 0 or more.
        """
        if not self.is_hurried:
            return most
        return max(0.0, min(most, self._begun() + by - time.monotonic()))

    def leave_out(self, what: str) -> None:
        """There was no time for this; said once."""
        if what not in self.left_out:
            self.left_out.append(what)

    def is_too_late(self, what: str, *, by: float) -> bool:
        """True, and ``what`` is left out, when the run was told to stop ``by`` seconds ago or longer."""
        late = self.seconds(1.0, by=by) == 0
        if late:
            self.leave_out(what)
        return late

    def _begun(self) -> float:
        if self._since is None:
            self._since = time.monotonic()
        return self._since

    def _watch(self) -> None:
        while not self._stop.wait(_TURN_S):
            if self._over.is_set():
                return
        self._begun()
        self.at_once()
        if self._over.wait(self.seconds(self._limit_s, by=self._limit_s)):
            return
        # Whoever reads the log, or the disk, may be what hangs: they get half a second.
        last_words = threading.Thread(target=self._last_words, name="last words", daemon=True)
        last_words.start()
        last_words.join(_LAST_WORDS_S)
        if self._cut is not None and not self._over.is_set():
            self._cut()

    def _last_words(self) -> None:
        if self._cut is None:
            self._say(f"told to stop {self._limit_s:g} s ago, and not over yet: {self.doing}")
            return
        self.leave_out(f"all from {self.doing} on")
        with suppress(SinkError):  # the log tells it
            self.at_last()
        self._say(f"cut off {self._limit_s:g} s after it was told to stop; left out: {', '.join(self.left_out)}")


def _nothing() -> None: ...
