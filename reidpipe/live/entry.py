"""What a file says of a camera: its address, or ``{uri: "rtsp://host/stream", paused: true, priority: 2}``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml

from reidpipe.errors import ConfigError
from reidpipe.settings import LEAST_PRIORITY, MOST_PRIORITY

__all__ = ["CAMERA_NAME", "Entry", "check_priority", "parse_entries", "read_entry", "read_text"]

CAMERA_NAME = re.compile(r"^[\w][\w .-]{0,63}$")
_KEYS = {"uri", "paused", "priority"}
T = TypeVar("T")


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


def read_entry(name: str, value: Any) -> Entry:
    """What stands behind a name.

    Raises:
        ConfigError: it is no entry. Shows no address.
    """
    if isinstance(value, int | str) and not isinstance(value, bool):
        return Entry(str(value))
    if isinstance(value, dict) and value.keys() <= _KEYS:
        uri, paused, priority = value.get("uri"), value.get("paused", False), value.get("priority")
        if isinstance(uri, int | str) and not isinstance(uri, bool) and isinstance(paused, bool):
            return Entry(str(uri), paused, None if priority is None else check_priority(name, priority))
    raise ConfigError(f"{name} needs an address, or {{uri: ..., paused: true, priority: 2}}")


def check_priority(name: str, value: Any) -> float:
    """The priority of a camera.

    Raises:
        ConfigError: it is no number, or out of range.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not LEAST_PRIORITY <= value <= MOST_PRIORITY:
        raise ConfigError(f"the priority of {name} must be {LEAST_PRIORITY:g} to {MOST_PRIORITY:g}")
    return float(value)


def read_text(path: Path) -> str:
    """The text of a file of cameras.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"cannot read the cameras file {path}: {reason}") from error


def parse_entries(path: Path, text: str, read: Callable[[str, Any], T]) -> dict[str, T]:
    """Name -> what ``read`` makes of that which stands behind it.

    Args:
        path: only for messages.
        text: of the file.
        read: takes name and value; raises ConfigError.

    Raises:
        ConfigError: it is no such YAML, or two names are alike. Shows no address.
    """
    try:
        entries = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        # The message of a YAML error quotes the file, which may hold passwords.
        raise ConfigError(f"the cameras file {path} is not valid YAML: 'name: address' in each line") from None
    if not isinstance(entries, dict):
        raise ConfigError(f"the cameras file {path} must hold 'name: address' in each line")
    found = {str(name): _read(path, str(name), value, read) for name, value in entries.items()}
    if len({name.casefold() for name in found}) < len(found):
        raise ConfigError(f"the cameras file {path} names two cameras alike: case does not count")
    return found


def _read(path: Path, name: str, value: Any, read: Callable[[str, Any], T]) -> T:
    if not CAMERA_NAME.match(name):
        raise ConfigError(f"the cameras file {path}: {name!r} is no name: letters, digits, space and . - _")
    try:
        return read(name, value)
    except ConfigError as error:
        raise ConfigError(f"the cameras file {path}: {error}") from None
