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

__all__ = ["CAMERA_NAME", "Entry", "Roster", "check_priority"]

CAMERA_NAME = re.compile(r"^[\w][\w .-]{0,63}$")


class Entry(NamedTuple):
    """What the file says of a camera.

    Attributes:
        uri: its address; may hold credentials.
        paused: it shall give no pictures now.
        priority: None where the file names none.
    """

    uri: str
    paused: bool = False
    priority: float | None = None


class Roster:
    """Reads the file, and again when it was written.

    Args:
        path: YAML: name -> address, or name -> ``{uri: address, paused: true, priority: 2}``.

    Raises:
        ConfigError: it cannot be read, or is not as above.

    Attributes:
        entries: name -> what is said of it, as it was read last.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._text = self._read()
        self.entries = self._parse(self._text)

    @property
    def cameras(self) -> dict[str, str]:
        """Name -> address of those that are not paused."""
        return {name: entry.uri for name, entry in self.entries.items() if not entry.paused}

    @property
    def paused(self) -> dict[str, str]:
        """Name -> address of those that are paused."""
        return {name: entry.uri for name, entry in self.entries.items() if entry.paused}

    @property
    def priorities(self) -> dict[str, float]:
        """Name -> priority, of those that are named with one."""
        return {name: entry.priority for name, entry in self.entries.items() if entry.priority is not None}

    def poll(self) -> dict[str, Entry | None] | None:
        """What is said anew since the last call: name -> entry, None for those that are gone; None: nothing is.

        Raises:
            ConfigError: it cannot be read now, or is not as it should be (told once); everything stays as it is.
        """
        text = self._read()
        if text == self._text:
            return None
        self._text = text
        before, self.entries = self.entries, self._parse(text)
        names = [*before, *(name for name in self.entries if name not in before)]
        changed = {name: self.entries.get(name) for name in names if before.get(name) != self.entries.get(name)}
        return changed or None

    def _read(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"cannot read the cameras file {self._path}: {reason}") from error

    def _parse(self, text: str) -> dict[str, Entry]:
        try:
            entries = yaml.safe_load(text) or {}
        except yaml.YAMLError:
            # The message of a YAML error quotes the file, which may hold passwords.
            raise ConfigError(
                f"the cameras file {self._path} is not valid YAML: 'name: address' in each line"
            ) from None
        if not isinstance(entries, dict):
            raise ConfigError(f"the cameras file {self._path} must hold 'name: address' in each line")
        found = {str(name): self._entry(str(name), entry) for name, entry in entries.items()}
        if len({name.casefold() for name in found}) < len(found):
            raise ConfigError(f"the cameras file {self._path} names two cameras alike: case does not count")
        return found

    def _entry(self, name: str, entry: Any) -> Entry:
        if not CAMERA_NAME.match(name):
            raise ConfigError(f"the cameras file {self._path}: {name!r} is no name: letters, digits, space and . - _")
        if isinstance(entry, int | str) and not isinstance(entry, bool):
            return Entry(str(entry))
        if isinstance(entry, dict) and entry.keys() <= {"uri", "paused", "priority"}:
            uri, paused = entry.get("uri"), entry.get("paused", False)
            if isinstance(uri, int | str) and not isinstance(uri, bool) and isinstance(paused, bool):
                return Entry(str(uri), paused, self._priority(name, entry.get("priority")))
        raise ConfigError(
            f"the cameras file {self._path}: {name} needs an address, or {{uri: ..., paused: true, priority: 2}}"
        )

    def _priority(self, name: str, value: Any) -> float | None:
        try:
            return None if value is None else check_priority(name, value)
        except ConfigError as error:
            raise ConfigError(f"the cameras file {self._path}: {error}") from None


def check_priority(name: str, value: Any) -> float:
    """The priority of a camera.

    Raises:
        ConfigError: it is no number, or out of range.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not LEAST_PRIORITY <= value <= MOST_PRIORITY:
        raise ConfigError(f"the priority of {name} must be {LEAST_PRIORITY:g} to {MOST_PRIORITY:g}")
    return float(value)
