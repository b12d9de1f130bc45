"""What requests to the status page ask for, read without trust."""

from __future__ import annotations

import json
import re
from typing import Any

from reidpipe.errors import ConfigError
from reidpipe.live.control import AskedCamera
from reidpipe.live.entry import CAMERA_NAME, check_priority

__all__ = ["asked_camera", "asked_id", "asked_number"]

_LONGEST_URI = 2000
_ADDRESS = re.compile(r"(?:rtsps?|https?)://[^\s\x00-\x1f\x7f]+|[0-9]{1,2}", re.IGNORECASE)


def asked_number(values: list[str] | None) -> int | None:
    """A person on a photo, from 1; None when the query names none.

    Raises:
        ConfigError: it is no such number.
    """
    if values is None:
        return None
    if len(values[0]) > 3 or not (values[0].isascii() and values[0].isdigit()):
        raise ConfigError("person takes a number from 1, counted from left to right")
    return int(values[0])


def asked_id(body: bytes) -> int:
    """The identity that ``{"global_id": 7}`` names.

    Raises:
        ConfigError: it is no such JSON.
    """
    asked = _json(body)
    number = asked.get("global_id") if isinstance(asked, dict) and len(asked) == 1 else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise ConfigError('this takes {"global_id": 7} as JSON')
    return number


def asked_camera(body: bytes, *, adds: bool) -> AskedCamera:
    """The camera that ``{"camera": "gate"}`` names, or ``{"camera": "gate", "uri": "rtsp://...", "priority": 2}`` adds.

    Raises:
        ConfigError: it is no such JSON, or the address is none that may come from outside. Shows no address.
    """
    asked = _json(body)
    needed, allowed = ({"camera", "uri"}, {"camera", "uri", "priority"}) if adds else ({"camera"}, {"camera"})
    if not isinstance(asked, dict) or not needed <= asked.keys() <= allowed:
        example = '{"camera": "gate", "uri": "rtsp://host/stream"}' if adds else '{"camera": "gate"}'
        raise ConfigError(f"this takes {example} as JSON")
    name, uri, priority = asked["camera"], asked.get("uri", ""), asked.get("priority")
    if not isinstance(name, str) or not CAMERA_NAME.match(name):
        raise ConfigError("the name of a camera is of letters, digits, space and . - _, 64 at most")
    if adds and not (isinstance(uri, str) and len(uri) <= _LONGEST_URI and _ADDRESS.fullmatch(uri)):
        raise ConfigError("a camera's address is rtsp://..., http://... or the number of a webcam")
    if "${" in uri:
        # It would be filled in with what this machine keeps secret, and sent to whoever is at that address.
        raise ConfigError("an address from here cannot name environment variables: put the camera into the file")
    return AskedCamera(name, uri, None if priority is None else check_priority(name, priority))


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
