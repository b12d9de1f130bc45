"""User names and passwords of cameras: from the address, the environment or a file; never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import yaml

from reidpipe.errors import ConfigError
from reidpipe.source.names import redact

__all__ = ["Credentials", "read_credentials", "scrub", "with_credentials"]

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ENTRY = "user:password"


class Credentials(NamedTuple):
    """A user name and a password."""

    user: str
    password: str


def with_credentials(
    uri: str,
    *,
    camera: str,
    environment: Mapping[str, str] = os.environ,
    file: str | Path | None = None,
    by_name: bool = True,
) -> tuple[str, tuple[str, ...]]:
    """The address to connect to, user and password filled in, and what of it must never be shown.

    In order: what stands in the address (``${NAME}`` is taken from the environment); the environment variable
    ``REIDPIPE_CREDENTIALS_<CAMERA>`` (``user:password``; what is no letter or digit in the camera's name is ``_``); the
    file, by the camera's name or by the host's.

    Args:
        uri: ``rtsp://host/path``, ``rtsp://user:password@host/path``, ``rtsp://${USER}:${PASSWORD}@host/path``.
        camera: name of the camera.
        environment: where variables are looked up.
        file: YAML, ``camera or host: user:password``.
        by_name: False: of the last two only what the file keeps for the host.

    Raises:
        ConfigError: a variable is not set, or the file cannot be read. The message shows no credentials.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri, ()
    own, bare = _split(rest)
    if own is None:
        named = _from_environment(camera, environment) if by_name else None
        found = named or _from_file(file, camera if by_name else None, uri)
        if found is None:
            return uri, ()
    else:
        found = Credentials(_value(own.user, camera, environment), _value(own.password, camera, environment))
    user, password = quote(found.user, safe=""), quote(found.password, safe="")
    # A user name of a letter or two would blank half of every message.
    hidden = {found.password, password, *(name for name in (found.user, user) if len(name) > 3)} - {""}
    secrets = tuple(sorted(hidden, key=len, reverse=True))
    return f"{scheme}://{user}{':' + password if password else ''}@{bare}", secrets


def scrub(text: str, secrets: Iterable[str]) -> str:
    """A text of somebody else's (FFmpeg, the system) as one line without any secret in it."""
    text = " ".join(text.split())
    text = re.sub(r"[A-Za-z][A-Za-z0-9+.-]+://\S+", lambda found: redact(found[0]), text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def read_credentials(file: str | Path) -> dict[str, Credentials]:
    """The entries of a credentials file.

    Raises:
        ConfigError: it cannot be read, or an entry is not ``name: user:password``.
    """
    try:
        entries = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"cannot read the credentials file {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        # The message of a YAML error quotes the file: not here.
        raise ConfigError(f"the credentials file {file} is not valid YAML: it holds 'camera: {_ENTRY}'") from None
    if not isinstance(entries, dict):
        raise ConfigError(f"the credentials file {file} must hold 'camera: {_ENTRY}' in each line")
    found = {}
    for name, value in entries.items():
        parsed = _parse(value) if isinstance(value, str) else None
        if parsed is None:
            raise ConfigError(f"the credentials file {file}: the entry {name} is not '{_ENTRY}'")
        found[str(name)] = parsed
    return found


def _split(rest: str) -> tuple[Credentials | None, str]:
    """What follows ``://`` as credentials and the rest; the same reading as that of ``redact``."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = authority.rpartition(":")[2] if ":" in authority and not authority.endswith("]") else ""
    if "@" in authority:
        length = authority.rindex("@")
    elif "@" in rest and port and not port.isdigit():  # a password with a slash in it
        length = rest.rindex("@")
    else:
        return None, rest
    user, _, password = rest[:length].partition(":")
    return Credentials(user, password), rest[length + 1 :]


def _parse(text: str) -> Credentials | None:
    user, colon, password = text.strip().partition(":")
    return Credentials(user, password) if colon and user else None


def _value(text: str, camera: str, environment: Mapping[str, str]) -> str:
    """A part of an address as it is meant: variables filled in, or ``%40`` read as ``@``."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise ConfigError(f"{camera}: the address names the environment variable {found[1]}, which is not set")
        return environment[found[1]]

    filled, count = _VARIABLE.subn(value, text)
    return filled if count else unquote(text)


def _from_environment(camera: str, environment: Mapping[str, str]) -> Credentials | None:
    name = "REIDPIPE_CREDENTIALS_" + re.sub(r"[^A-Za-z0-9]", "_", camera).upper()
    if name not in environment:
        return None
    found = _parse(environment[name])
    if found is None:
        raise ConfigError(f"the environment variable {name} is not '{_ENTRY}'")
    return found


def _from_file(file: str | Path | None, camera: str | None, uri: str) -> Credentials | None:
    if file is None:
        return None
    entries = read_credentials(file)
    named = None if camera is None else entries.get(camera)
    return named or entries.get(urlsplit(redact(uri)).hostname or "")
