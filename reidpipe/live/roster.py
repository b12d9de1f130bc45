"""The file that names the cameras, and may be changed while they run.

gate: rtsp://10.0.0.7/stream
lobby: {uri: "rtsp://10.0.0.8/stream", paused: true, priority: 2}
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from reidpipe.errors import ConfigError
from reidpipe.settings import LEAST_PRIORITY, MOST_PRIORITY

__all__ = ["Roster", "RosterChange"]

_NAME = re.compile(r"^[\w][\w .-]{0,63}$")


class RosterChange(NamedTuple):
    """What is different now.

    Attributes:
        removed: names of cameras that are gone, paused, or have another address.
        added: name -> address, those with another address included.
    """

    removed: tuple[str, ...]
    added: dict[str, str]


class Roster:
    """Reads the file, and again when it was written.

    Args:
        path: YAML: name -> address, or name -> ``{uri: address, paused: true, priority: 2}``.

    Raises:
        ConfigError: it cannot be read, or is not as above.

    Attributes:
        cameras: name -> address of those that are not paused. Addresses may hold credentials.
        priorities: name -> priority, of those that are named with one.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._text = self._read()
        self.cameras, self.priorities = self._parse(self._text)

    def poll(self) -> RosterChange | None:
        """What changed since the last call; None when nothing did.

        Raises:
            ConfigError: it cannot be read now, or is not as it should be (told once); everything stays as it is.
        """
        text = self._read()
        if text == self._text:
            return None
        self._text = text
        before, prior = self.cameras, self.priorities
        self.cameras, self.priorities = self._parse(text)
        removed = tuple(name for name, uri in before.items() if self.cameras.get(name) != uri)
        added = {name: uri for name, uri in self.cameras.items() if before.get(name) != uri}
        return RosterChange(removed, added) if removed or added or self.priorities != prior else None

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"cannot read the cameras file {self._path}: {reason}") from error

    def _parse(self, text: str) -> tuple[dict[str, str], dict[str, float]]:
        try:
            entries = yaml.safe_load(text) or {}
        except yaml.YAMLError:
            # The message of a YAML error quotes the file, which may hold passwords.
            raise ConfigError(
                f"the cameras file {self._path} is not valid YAML: 'name: address' in each line"
            ) from None
        if not isinstance(entries, dict):
            raise ConfigError(f"the cameras file {self._path} must hold 'name: address' in each line")
        found: dict[str, str] = {}
        priorities: dict[str, float] = {}
        for name, entry in entries.items():
            uri, paused, priority = self._entry(str(name), entry)
            if not paused:
                found[str(name)] = uri
            if priority is not None:
                priorities[str(name)] = priority
        if len({name.casefold() for name in found}) < len(found):
            raise ConfigError(f"the cameras file {self._path} names two cameras alike: case does not count")
        return found, priorities

    def _entry(self, name: str, entry: Any) -> tuple[str, bool, float | None]:
        if not _NAME.match(name):
            raise ConfigError(f"the cameras file {self._path}: {name!r} is no name: letters, digits, space and . - _")
        if isinstance(entry, int | str) and not isinstance(entry, bool):
            return str(entry), False, None
        if isinstance(entry, dict) and entry.keys() <= {"uri", "paused", "priority"}:
            uri, paused = entry.get("uri"), entry.get("paused", False)
            if isinstance(uri, int | str) and not isinstance(uri, bool) and isinstance(paused, bool):
                return str(uri), paused, self._priority(name, entry.get("priority"))
        raise ConfigError(
            f"the cameras file {self._path}: {name} needs an address, or {{uri: ..., paused: true, priority: 2}}"
        )

    def _priority(self, name: str, value: Any) -> float | None:
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not LEAST_PRIORITY <= value <= MOST_PRIORITY
        ):
            raise ConfigError(
                f"the cameras file {self._path}: the priority of {name} must be {LEAST_PRIORITY:g} to {MOST_PRIORITY:g}"
            )
        return float(value)
