"""What was said on the status page about the cameras of a file, kept beside it: it outlives the run.

The file itself belongs to whoever writes it, with its comments and its order, and is never touched. Beside
``cameras.yaml`` lies ``cameras.page.yaml``, which only reidpipe writes:

    yard: {uri: "rtsp://10.0.0.9/s", priority: 2.0}     added on the page
    gate: {paused: true, instead: 5f1c0a9be2d47731}     as the file says, but paused
    lobby: {removed: true, instead: 0b7e66a1c3d9f025}

``instead`` stands for what the file said at that time. Where it says something else now, that is the newer word, and
the amendment is void.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from reidpipe.errors import ConfigError, SinkError
from reidpipe.live.entry import Entry, parse_entries, read_entry, read_text
from reidpipe.sinks.files import replacing

__all__ = ["Amendments", "Wanted"]

_HEAD = "# Written by reidpipe: what the status page changed about the cameras of {}. Without this file it is undone.\n"


class Wanted(NamedTuple):
    """A camera as it shall be.

    Attributes:
        entry: address, pause, priority.
        of_page: its address was given on the status page.
    """

    entry: Entry
    of_page: bool = False


class Amendments:
    """Reads them once, and writes them anew when they change.

    Args:
        file: the cameras file.

    Raises:
        ConfigError: what was kept beside it cannot be read. Shows no address.
    """

    def __init__(self, file: Path) -> None:
        self.path = file.with_name(f"{file.stem}.page{file.suffix}")
        self._file = file
        self._records: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            self._records = parse_entries(self.path, read_text(self.path), _checked)

    def applied(self, entries: Mapping[str, Entry], *, taken: Iterable[str] = ()) -> dict[str, Wanted]:
        """The cameras of the file, as the page left them.

        Args:
            entries: what the file says, by name.
            taken: names of other cameras; case does not count.
        """
        wanted = {name: Wanted(entry) for name, entry in entries.items()}
        others = {name.casefold() for name in (*taken, *entries)}
        for name, record in self._records.items():
            said = entries.get(name)
            if record.get("instead") != _digest(said) or (said is None and name.casefold() in others):
                continue
            if record.get("removed"):
                wanted.pop(name, None)
            elif "uri" in record:
                wanted[name] = Wanted(read_entry(name, _without(record)), of_page=True)
            elif said is not None:
                wanted[name] = Wanted(read_entry(name, {**_without(record), "uri": said.uri}))
        return wanted

    def keep(self, entries: Mapping[str, Entry], wanted: Mapping[str, Wanted]) -> None:
        """Write down in what the cameras differ from the file.

        Args:
            entries: what the file says, by name.
            wanted: the cameras as they shall be.

        Raises:
            SinkError: it cannot be written.
        """
        records = {}
        for name in [*entries, *(name for name in wanted if name not in entries)]:
            said, now = entries.get(name), wanted.get(name)
            if now is None or now.entry != said:
                records[name] = _record(said, now)
        if records == self._records:
            return
        text = _HEAD.format(self._file.name) + yaml.safe_dump(records, sort_keys=False, allow_unicode=True)
        try:
            with replacing(self.path) as temporary:
                temporary.touch(mode=0o600)  # where cameras are is nobody else's business
                temporary.write_text(text, encoding="utf-8")
        except SinkError as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            raise SinkError(f"cannot write {self.path}: {reason}") from error
        self._records = records


def _checked(name: str, record: Any) -> dict[str, Any]:
    known = isinstance(record, dict) and record.keys() <= {"uri", "paused", "priority", "removed", "instead"}
    if not known or not isinstance(record.get("instead"), str | None):
        raise ConfigError(f"{name} is not as reidpipe wrote it: take it out")
    if not record.get("removed"):
        read_entry(name, {"uri": "", **_without(record)})
    return dict(record)


def _without(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("removed", "instead")}


def _record(said: Entry | None, now: Wanted | None) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if now is None:
        record["removed"] = True
    else:
        if said is None or said.uri != now.entry.uri:
            record["uri"] = now.entry.uri
        record["paused"] = now.entry.paused
        if now.entry.priority is not None:
            record["priority"] = now.entry.priority
    if said is not None:
        record["instead"] = _digest(said)
    return record


def _digest(said: Entry | None) -> str | None:
    """What stands for an entry, and does not show its address."""
    return None if said is None else hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
