"""How a run says where it is. The library only calls these methods; what they show is the caller's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Told about every picture. Called from one thread for ``track``, from several for ``draw``."""

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None:
        """A pass begins: ``track`` or ``draw``; camera -> pictures to expect, None when unknown."""
        ...

    def frame(self, camera: str, *, people: int) -> None:
        """One more picture of a camera is done; how many people are in it."""
        ...

    def note(self, message: str) -> None:
        """Something the user should read, one line."""
        ...


class Silent:
    """Shows nothing."""

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None:
        """Ignored."""

    def frame(self, camera: str, *, people: int) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Ignored."""
