"""Association beside the run: deciding who is who may take long, pictures do not wait for it."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

from reidpipe.live.ending import Ending
from reidpipe.stages import Associator
from reidpipe.types import Link, TrackKey, Tracklet

__all__ = ["BackgroundAssociator"]

_MOST_WAITING = 10_000
_MOST_GONE = 1000
_CLOSE_S = 30.0
_HURRIED_S = 1.5


class BackgroundAssociator:
    """An associator in a thread of its own. What it decides comes with a later update.

    While it works, newer tracklets of a track replace older ones that still wait, so that it never falls behind by more
    than one round.

    Args:
        associator: does the work.
        close_s: longest wait at the end, seconds.
        ending: of the run: one that was told to stop waits until a second and a half after that. None: nobody says so.

    Attributes:
        unfinished: the end came before everything was decided.
    """

    def __init__(self, associator: Associator, *, close_s: float = _CLOSE_S, ending: Ending | None = None) -> None:
        self._associator = associator
        self._close_s = close_s
        self._ending = ending
        self._changed = threading.Condition()
        self._waiting: OrderedDict[TrackKey, Tracklet] = OrderedDict()
        self._time_s: float | None = None
        self._links: list[Link] = []
        self._error: Exception | None = None
        self._closing = False
        self._gone: deque[int] = deque(maxlen=_MOST_GONE)
        self._to_forget: list[int] = []
        self._forgotten: list[int] = []
        self._thread: threading.Thread | None = None
        self.unfinished = False

    @property
    def report(self) -> dict[str, Any]:
        """What the associator says about how it decided."""
        return dict(getattr(self._associator, "report", {}))

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        """Hand over tracklets; returns what was decided since the last call. Does not wait.

        Raises:
            Exception: what the associator raised.
        """
        with self._changed:
            self._raise()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="associate", daemon=True)
                self._thread.start()
            for tracklet in tracklets:
                self._waiting[tracklet.key] = tracklet
            while len(self._waiting) > _MOST_WAITING:
                self._waiting.popitem(last=False)
                self.unfinished = True
            self._time_s = time_s
            self._changed.notify()
            return self._taken()

    def forget(self, global_id: int) -> None:
        """Whoever has this number shall not be known any more. Does not wait; no link to it comes from now on."""
        with self._changed:
            self._gone.append(global_id)
            self._to_forget.append(global_id)
            self._links = [link for link in self._links if link.global_id != global_id]
            self._changed.notify()

    def close(self) -> list[Link]:
        """Decide the rest, as far as there is time.

        Raises:
            Exception: what the associator raised.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            patience = self._close_s if self._ending is None else self._ending.seconds(self._close_s, by=_HURRIED_S)
            self._thread.join(patience)
            self.unfinished = self.unfinished or self._thread.is_alive()
        if self.unfinished and self._ending is not None:
            self._ending.leave_out("who is who of some tracks")
        with self._changed:
            self._raise()
            return self._taken()

    def _forget(self, people: list[int]) -> None:
        forget = getattr(self._associator, "forget", None)
        if forget is not None:
            for global_id in people:
                forget(global_id)

    def take_forgotten(self) -> list[int]:
        """Identities that others deleted from the store, each told once."""
        with self._changed:
            gone, self._forgotten = self._forgotten, []
        return gone

    def _note_forgotten(self) -> None:
        take = getattr(self._associator, "take_forgotten", None)
        gone = [] if take is None else take()
        if gone:
            with self._changed:
                self._gone.extend(gone)
                self._forgotten += gone

    def _tell(self, links: list[Link]) -> None:
        with self._changed:
            self._links += [link for link in links if link.global_id not in self._gone]

    def _taken(self) -> list[Link]:
        links, self._links = self._links, []
        return links

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    while self._time_s is None and not self._closing and not self._to_forget:
                        self._changed.wait()
                    forget, self._to_forget = self._to_forget, []
                self._forget(forget)
                with self._changed:
                    if self._time_s is None:
                        if self._closing:
                            break
                        continue
                    tracklets, time_s = list(self._waiting.values()), self._time_s
                    self._waiting.clear()
                    self._time_s = None
                self._tell(self._associator.update(tracklets, time_s))
                self._note_forgotten()
            self._tell(self._associator.close())
        except Exception as error:
            with self._changed:
                self._error = error
