"""What the status page may do with cameras: add, remove, pause, go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from reidpipe.live.desk import Desk
from reidpipe.live.lineup import Lineup

__all__ = ["AskedCamera", "CameraDesk", "Verb"]

Verb: TypeAlias = Literal["add", "remove", "pause", "resume"]


class AskedCamera(NamedTuple):
    """A camera that somebody names from outside.

    Attributes:
        name: of the camera.
        uri: where it is; only to add one.
        priority: only to add one; None: as the settings say.
    """

    name: str
    uri: str = ""
    priority: float | None = None


class CameraDesk:
    """Answers from any thread; cameras come and go in the run's own.

    Args:
        desk: of the run.
        lineup: its cameras.
        changed: called in the run's thread after each change.
    """

    def __init__(self, desk: Desk, lineup: Lineup, *, changed: Callable[[], None]) -> None:
        self._desk = desk
        self._lineup = lineup
        self._changed = changed

    def change(self, verb: Verb, asked: AskedCamera) -> str | None:
        """Do it; returns why it will be forgotten at the next start, None when it will not.

        Raises:
            BusyError: the run has no time.
            ReidpipeError: there is no such camera, or one already, or it cannot be opened.
        """
        return self._desk.ask(lambda: self._do(verb, asked))

    def _do(self, verb: Verb, asked: AskedCamera) -> str | None:
        lineup = self._lineup
        if verb == "add":
            # Whoever reaches the page need not know the passwords of this machine: none goes to an address of theirs.
            lineup.add(asked.name, asked.uri, priority=asked.priority, named_credentials=False)
        elif verb == "remove":
            lineup.remove(asked.name)
        elif verb == "pause":
            lineup.pause(asked.name)
        else:
            lineup.resume(asked.name)
        self._changed()
        return lineup.keep(asked.name)
