"""What requests to the status page ask for, read without trust."""

from __future__ import annotations

import json

from reidpipe.errors import ConfigError

__all__ = ["asked_id", "asked_number"]


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
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    number = asked.get("global_id") if isinstance(asked, dict) and len(asked) == 1 else None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise ConfigError('this takes {"global_id": 7} as JSON')
    return number
