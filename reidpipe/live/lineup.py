"""The cameras of a run: they are added, removed, paused and go on while it goes on.

Who says so is the cameras file, the operator on the status page, or whoever started the run: the newest word counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from reidpipe.errors import ConfigError, ReidpipeError, SinkError
from reidpipe.live.amendments import Wanted
from reidpipe.live.entry import CAMERA_NAME, Entry
from reidpipe.live.roster import Roster
from reidpipe.live.scheduler import LiveCamera
from reidpipe.live.snapshot import CameraSnapshot
from reidpipe.source.names import redact

__all__ = ["Lineup", "Opener"]

MOST_CAMERAS = 100


class Opener(Protocol):
    """Makes a camera, not started yet: ``setup.open_camera``."""

    def __call__(self, name: str, uri: str, *, named_credentials: bool) -> LiveCamera:
        """The camera at this address; with or without the credentials that are kept under its name."""
        ...


class _Address(NamedTuple):
    uri: str
    named: bool = True  # may be sent what is kept under the camera's name


class Lineup:
    """Who is there and who is paused. Changed in the run's thread only; may be read from any.

    Args:
        cameras: those to begin with, not started.
        addresses: name -> where each is, so that it can be opened again after a pause.
        priorities: name -> priority, where nobody says otherwise later.
        roster: the cameras file; None: there is none, and what is said of cameras is gone after a restart.
        open_one: makes further cameras; None: there can be none.

    Attributes:
        running: name -> camera.
    """

    def __init__(
        self,
        cameras: Iterable[LiveCamera],
        *,
        addresses: Mapping[str, str] | None = None,
        priorities: Mapping[str, float] | None = None,
        roster: Roster | None = None,
        open_one: Opener | None = None,
    ) -> None:
        self.running = {camera.camera: camera for camera in cameras}
        self._addresses = {name: _Address(uri) for name, uri in (addresses or {}).items()}
        self._first_priorities = dict(priorities or {})
        self._roster = roster
        self._roster_error = ""
        self._open_one = open_one
        self._joined: Callable[[LiveCamera], None] | None = None
        self._left: Callable[[str, str], CameraSnapshot] = _never_seen
        self._said: Callable[[str], None] = _unheard
        self._paused: dict[str, CameraSnapshot] = {}
        self._priorities: dict[str, float] = {}
        wanted = {} if roster is None else roster.wanted
        self._given = self._addresses.keys() - wanted.keys()
        for name, (entry, of_page) in wanted.items():
            self._addresses[name] = _Address(entry.uri, not of_page)
            self._prioritise(name, entry.priority)
            if entry.paused:
                self._paused[name] = _unseen(name)

    def begin(
        self,
        *,
        joined: Callable[[LiveCamera], None],
        left: Callable[[str, str], CameraSnapshot],
        said: Callable[[str], None],
    ) -> None:
        """The run begins: from now on it is told who comes and goes.

        Args:
            joined: called with one more camera, which is not started yet.
            left: called with the name of one that goes, still in ``running``, and why; tells how it was in the end.
            said: called with lines for the log.
        """
        self._joined, self._left, self._said = joined, left, said
        for camera in tuple(self.running.values()):
            camera.start()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all cameras, paused ones last."""
        return (*self.running, *self._paused)

    @property
    def paused(self) -> tuple[CameraSnapshot, ...]:
        """How those that are paused were in the end."""
        return tuple(self._paused.values())

    @property
    def priorities(self) -> dict[str, float]:
        """Name -> priority, 1 where it is not named."""
        return self._first_priorities | self._priorities

    @property
    def is_over(self) -> bool:
        """Every camera has ended, and nobody said that others will come."""
        boxes = [camera.box for camera in self.running.values()]
        ended = all(box.state == "ended" and box.waiting_s is None for box in boxes)
        return self._roster is None and not self._paused and bool(boxes) and ended

    @property
    def is_endless(self) -> bool:
        """At least one camera has no end of its own."""
        endless = any(camera.info.frame_count is None for camera in self.running.values())
        return self._roster is not None or bool(self._paused) or endless

    def add(self, name: str, uri: str, *, priority: float | None = None, named_credentials: bool = True) -> None:
        """One more camera.

        Args:
            name: as nobody is called yet; case does not count.
            uri: where it is; may hold credentials.
            priority: None: as the settings say.
            named_credentials: user and password that are kept under this name may be sent there.

        Raises:
            ConfigError: the name is none or taken, the address is none, or there are too many cameras.
        """
        self._check_free(name)
        self._start(name, _Address(uri, named_credentials))
        self._prioritise(name, priority)

    def remove(self, name: str) -> None:
        """A camera goes, and is not known any more.

        Raises:
            ConfigError: nobody is called so.
        """
        self._find(name)
        if self._paused.pop(name, None) is None:
            self._end(name, "removed")
        self._addresses.pop(name, None)
        self._prioritise(name, None)

    def pause(self, name: str) -> None:
        """A camera gives no pictures, and its connection is closed, until it is told to go on. Twice is as once.

        Raises:
            ConfigError: nobody is called so, or it could not be opened again.
        """
        self._find(name)
        if name in self._paused:
            return
        if name not in self._addresses or self._open_one is None:
            raise ConfigError(f"{name} cannot be paused: it could not be opened again")
        self._paused[name] = _resting(self._end(name, "paused"))

    def resume(self, name: str) -> None:
        """A paused camera is connected again; a recording begins anew. Twice is as once.

        Raises:
            ConfigError: nobody is called so.
            SourceError: a recording cannot be opened any more.
        """
        self._find(name)
        if name in self._paused:
            self._start(name, self._addresses[name])  # raises: it stays paused
            del self._paused[name]

    def keep(self, name: str) -> str | None:
        """Remember for the next start what was said of a camera; returns why it will be forgotten, None when not."""
        if self._roster is None:
            return "there is no cameras file (live.cameras)"
        problem = self._kept(self._roster)
        if name in self._given:
            return "the camera is named by whoever starts the run"
        if self._is_secret(name):
            return "its address holds a password, which is not stored: put that into the credentials file"
        return problem

    def _kept(self, roster: Roster) -> str | None:
        """Write down how the cameras are; returns why that cannot be."""
        wanted = {
            name: Wanted(Entry(address.uri, name in self._paused, self._priorities.get(name)), not address.named)
            for name, address in self._addresses.items()
            if name not in self._given and not self._is_secret(name)
        }
        try:
            roster.keep(wanted)
        except SinkError as error:
            self._said(f"what was changed on the page ends with this run: {error}")
            return str(error)
        return None

    def _is_secret(self, name: str) -> bool:
        """It came from the page with a password; one of the file stays in the file."""
        address = self._addresses.get(name)
        return address is not None and not address.named and redact(address.uri) != address.uri

    def follow(self) -> None:
        """Do what the cameras file says anew; one that is wrong changes nothing, and is complained about once."""
        if self._roster is None:
            return
        try:
            changed = self._roster.poll()
            self._roster_error = ""
        except ConfigError as error:
            if str(error) != self._roster_error:
                self._said(str(error))
            self._roster_error = str(error)
            return
        if changed is None:
            return
        for name, entry in changed.items():
            try:
                self._hear(name, entry)
            except ReidpipeError as error:
                self._said(str(error))
        self._kept(self._roster)  # what was said before the file was changed counts no more

    def _hear(self, name: str, entry: Entry | None) -> None:
        """What the file says of one camera now."""
        if entry is None:
            if name in self.names:
                self.remove(name)
            return
        known = name in self.names
        if known and self._addresses.get(name) != _Address(entry.uri):
            self.remove(name)
            known = False
        if entry.paused and not known:
            self._check_free(name)
            self._addresses[name] = _Address(entry.uri)
            self._paused[name] = _unseen(name)
        elif not known:
            self.add(name, entry.uri)
        elif entry.paused:
            self.pause(name)
        else:
            self.resume(name)
        self._prioritise(name, entry.priority)

    def _check_free(self, name: str) -> None:
        if not CAMERA_NAME.match(name):
            raise ConfigError(f"{name!r} is no name of a camera: letters, digits, space and . - _, 64 at most")
        if any(name.casefold() == other.casefold() for other in self.names):
            raise ConfigError(f"there is a camera called {name!r} already")
        if len(self.names) >= MOST_CAMERAS:
            raise ConfigError(f"there are {MOST_CAMERAS} cameras already: remove one first")

    def _find(self, name: str) -> None:
        if name not in self.names:
            raise ConfigError(f"there is no camera called {name!r}: {', '.join(self.names) or 'there is none'}")

    def _prioritise(self, name: str, priority: float | None) -> None:
        if priority is None:
            self._priorities.pop(name, None)
        else:
            self._priorities[name] = priority

    def _start(self, name: str, address: _Address) -> None:
        if self._open_one is None or self._joined is None:
            raise ConfigError("this run takes no other cameras")
        camera = self._open_one(name, address.uri, named_credentials=address.named)
        self._addresses[name] = address
        self.running[name] = camera
        self._joined(camera)
        camera.start()

    def _end(self, name: str, reason: str) -> CameraSnapshot:
        camera = self.running[name]
        threading.Thread(target=camera.close, daemon=True).start()
        camera.box.drop()
        seen = self._left(name, reason)
        del self.running[name]
        self._said(f"{name}: {reason}")
        return seen


def _never_seen(name: str, reason: str) -> CameraSnapshot:  # noqa: ARG001
    return _unseen(name)


def _unheard(message: str) -> None: ...


def _unseen(name: str) -> CameraSnapshot:
    return CameraSnapshot(name, "paused", 0.0, 0, 0, 0, 0, 0, 0, 0, 0, None)


def _resting(seen: CameraSnapshot) -> CameraSnapshot:
    """The same counts, and nothing of now."""
    counts = seen.received, seen.processed, seen.detected, seen.dropped, seen.damaged, seen.reconnects, seen.stalls
    return CameraSnapshot(seen.camera, "paused", 0.0, *counts, 0, None)
