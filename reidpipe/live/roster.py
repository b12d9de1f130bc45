"""The file that names the cameras, and may be changed while they run.

gate: rtsp://10.0.0.7/stream
lobby: {uri: "rtsp://10.0.0.8/stream", paused: true, priority: 2}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from reidpipe.live.amendments import Amendments, Wanted
from reidpipe.live.entry import Entry, parse_entries, read_entry, read_text

__all__ = ["Roster"]


class Roster:
    """Reads the file, and again when it was written; keeps what was said on the status page beside it.

    Args:
        path: YAML: name -> address, or name -> ``{uri: address, paused: true, priority: 2}``.
        taken: names of cameras that are not of this file.

    Raises:
        ConfigError: it cannot be read, or is not as above.

    Attributes:
        entries: name -> what the file says of it, as it was read last.
        wanted: name -> how it shall be at the start: as the file says, and as it was changed on the page since.
    """

    def __init__(self, path: str | Path, *, taken: Iterable[str] = ()) -> None:
        self._path = Path(path)
        self._text = read_text(self._path)
        self.entries = self._parse(self._text)
        self._amendments = Amendments(self._path)
        self.wanted = self._amendments.applied(self.entries, taken=taken)

    def poll(self) -> dict[str, Entry | None] | None:
        """What the file says anew since the last call: name -> entry, None for those that are gone; None: nothing is.

        Raises:
            ConfigError: it cannot be read now, or is not as it should be (told once); everything stays as it is.
        """
        text = read_text(self._path)
        if text == self._text:
            return None
        self._text = text
        before, self.entries = self.entries, self._parse(text)
        names = [*before, *(name for name in self.entries if name not in before)]
        changed = {name: self.entries.get(name) for name in names if before.get(name) != self.entries.get(name)}
        return changed or None

    def keep(self, wanted: Mapping[str, Wanted]) -> None:
        """Have the cameras be so at the next start, too.

        Raises:
            SinkError: it cannot be written.
        """
        self._amendments.keep(self.entries, wanted)

    def _parse(self, text: str) -> dict[str, Entry]:
        return parse_entries(self._path, text, read_entry)
