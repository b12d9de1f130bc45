"""JSON Schemas (draft 2020-12) of what runs write (``run``, ``frame``, ``identities``, ``event``) or commands print."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from reidpipe.errors import ConfigError

__all__ = ["SCHEMAS", "load_schema"]

SCHEMAS = ("event", "find", "frame", "identities", "people", "run")


def load_schema(name: str) -> dict[str, Any]:
    """The schema of that name, as a dict.

    Raises:
        ConfigError: there is no such schema.
    """
    if name not in SCHEMAS:
        raise ConfigError(f"no schema called {name!r}: there are {', '.join(SCHEMAS)}")
    schema: dict[str, Any] = json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return schema
