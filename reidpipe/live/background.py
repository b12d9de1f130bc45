"""Association beside the run: deciding who is who may take long, pictures do not wait for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from reidpipe.stages import Associator
from reidpipe.types import Link, TrackKey, Tracklet

__all__ = ["BackgroundAssociator"]

_MOST_WAITING = 10_000


class BackgroundAssociator:
    """An associator in a thread of its own. What it decides comes with a later update.

    While it works, newer tracklets of a track replace older ones that still wait, so that it never falls behind by more
    than one round.

    Args:
        associator: does the work.
        close_s: longest wait at the end, seconds.

    Attributes:
        unfinished: the end came before everything was decided.
    """

    def __init__(self, associator: Associator, *, close_s: float = 1.5) -> None:
        self._associator = associator
        self._close_s = close_s
        self._changed = threading.Condition()
        self._waiting: OrderedDict[TrackKey, Tracklet] = OrderedDict()
        self._time_s: float | None = None
        self._links: list[Link] = []
        self._error: Exception | None = None
        self._closing = False
        self._thread: threading.Thread | None = None
        self.unfinished = False

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

    def close(self) -> list[Link]:
        """Decide the rest, as far as there is time.

        Raises:
            Exception: what the associator raised.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(self._close_s)
            self.unfinished = self.unfinished or self._thread.is_alive()
        with self._changed:
            self._raise()
            return self._taken()

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
                    while self._time_s is None and not self._closing:
                        self._changed.wait()
                    if self._time_s is None:
                        break
                    tracklets, time_s = list(self._waiting.values()), self._time_s
                    self._waiting.clear()
                    self._time_s = None
                links = self._associator.update(tracklets, time_s)
                with self._changed:
                    self._links += links
            links = self._associator.close()
            with self._changed:
                self._links += links
        except Exception as error:
            with self._changed:
                self._error = error
