"""What a camera is called, and how its address is shown without its password."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from reidpipe.errors import ConfigError

__all__ = ["CameraUri", "camera_names", "is_live", "name_cameras", "redact", "split_name"]

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_NAMED = re.compile(r"^(?P<name>[\w][\w .-]{0,63})=(?P<uri>.+)$", re.DOTALL)
# Some cameras take them in the path: /user=admin_password=x_channel=1, /user=admin&password=x. What only sounds like
# the name of a secret goes, too.
_SECRET_KEY = re.compile(
    r"(?i)([?&;/_](?:(?!_)[\w.-])*?(?:user|usr|login|pass|pwd|pw|token|auth|key|secret|sig)(?:(?!_\w+=)[\w.-])*=)"
    r"(?:(?!_[a-z]+=)[^&;#])*"
)
_UNSAFE = re.compile(r"[^\w.-]+")


class CameraUri(NamedTuple):
    """A camera's name and where it comes from. ``uri`` may hold credentials: show ``redact(uri)``."""

    camera: str
    uri: str


def redact(uri: str) -> str:
    """The address without user and password, and with secrets in its query or path (``password=x``) blanked.

    A password with an unescaped ``/`` or ``@`` goes too: what is dropped may then be more than needed, never less.
    """
    if not _URL.match(uri):
        return uri
    scheme, _, rest = uri.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2] if ":" in authority and not authority.endswith("]") else ""
    if "@" in authority:
        # An @ further on may end a password that holds both an @ and a slash.
        path, mark, query = rest.partition("?")
        rest = path.rpartition("@")[2] + mark + query
    elif "@" in rest and port and not port.isdigit():
        rest = rest.rpartition("@")[2]
    return _SECRET_KEY.sub(r"\1***", f"{scheme}://{rest}")


def is_live(uri: str) -> bool:
    """True for an address (``rtsp://``, ``http://``, ...) or the number of a webcam."""
    return bool(_URL.match(uri)) or (uri.isdigit() and not Path(uri).exists())


def split_name(text: str) -> tuple[str | None, str]:
    """``"gate=rtsp://host/1"`` -> ``("gate", "rtsp://host/1")``; no name given -> ``(None, text)``.

    A file whose own name holds ``=`` is taken as the file when it exists.
    """
    found = _NAMED.match(text)
    if found is None or Path(text).exists():
        return None, text
    return found["name"], found["uri"]


def _plain_name(uri: str) -> str:
    """A name from the address: never its credentials or its query."""
    if _URL.match(uri):
        try:
            parts = urlsplit(redact(uri))
            stem = f"{parts.hostname or ''}{parts.path}"
        except ValueError:
            stem = "camera"
    elif is_live(uri):
        stem = f"webcam{uri}"
    else:
        path = Path(uri)
        stem = path.name if path.is_dir() else path.stem
        stem = stem or path.resolve().name
    return _UNSAFE.sub("_", stem).strip("._-") or "camera"


def camera_names(uris: Sequence[str]) -> list[str]:
    """One unique name for each source, from its file stem, folder or host.

    The second of two equal names becomes ``name-2``; the same file given twice is allowed and gets two names. Names
    that differ in case only count as equal, since they would share a file on some systems. ``name=uri`` sets a name.

    Raises:
        ConfigError: a name was given twice with ``name=``.
    """
    given = [split_name(uri) for uri in uris]
    taken: set[str] = set()
    for name, _ in given:
        if name is not None and name.casefold() in taken:
            raise ConfigError(f"two sources are called {name!r}: give each its own name, as in {name}-2=...")
        if name is not None:
            taken.add(name.casefold())
    names = []
    for name, uri in given:
        if name is None:
            name = stem = _plain_name(uri)
            number = 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.casefold())
        names.append(name)
    return names


def name_cameras(arguments: Sequence[str]) -> list[CameraUri]:
    """What the command line was given (``uri`` or ``name=uri``), as named sources in the same order.

    Raises:
        ConfigError: a name was given twice.
    """
    names = camera_names(arguments)
    return [CameraUri(name, split_name(text)[1]) for name, text in zip(names, arguments, strict=True)]
