"""What a live run says of itself in run.json, and the report at its end, when there is time for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reidpipe.config import Config
from reidpipe.errors import ReidpipeError
from reidpipe.live.ending import Ending
from reidpipe.live.outputs import Outputs
from reidpipe.live.scheduler import LiveCamera
from reidpipe.report import build_report
from reidpipe.sinks.remote import shown_address

__all__ = ["report_at_end", "shown_config", "warnings_of"]

_MOST_BYTES = 16_000_000
_MOST_TRACKS = 1000
"""More than this is not even begun by a run that is told to stop."""
_PATIENCE_S, _READY_BY_S, _WORTH_S = 1.0, 2.0, 0.5
"""Of the five seconds that it has; where the rest took half of them already, a report would take longer, too."""


def report_at_end(folder: Path, *, tracks: int, ending: Ending, patience_s: float = _PATIENCE_S) -> str | None:
    """Build ``report.html``.

    Args:
        folder: of the run.
        tracks: remembered in identities.json.
        ending: of the run: when it was told to stop, a report that takes long is left for later.
        patience_s: how long is long, seconds.

    Returns:
        Why there is none, in one line; None when there is one.
    """
    if not ending.is_hurried:
        return _build(folder)
    later = f"the report takes a while: build it with  reidpipe report {folder}"
    patience_s = ending.seconds(patience_s, by=_READY_BY_S)
    if tracks > _MOST_TRACKS or patience_s < _WORTH_S or _bytes_of_frames(folder) > _MOST_BYTES:
        return later
    problems: list[str | None] = []
    builder = threading.Thread(target=lambda: problems.append(_build(folder)), name="report", daemon=True)
    builder.start()
    builder.join(patience_s)
    return problems[0] if problems else later


def _build(folder: Path) -> str | None:
    """Why there is no report, in one line; None when there is one."""
    try:
        build_report(folder)
    except ReidpipeError as error:
        return f"no report: {error}"
    return None


def _bytes_of_frames(folder: Path) -> int:
    files = [folder / "frames.jsonl", *(folder / "frames").glob("*.jsonl")]
    return sum(file.stat().st_size for file in files if file.exists())


def warnings_of(
    failures: Mapping[str, str],
    cameras: Mapping[str, LiveCamera],
    outputs: Outputs | None,
    left_out: Sequence[str] = (),
) -> Iterator[str]:
    """What the user should know, one line each.

    Args:
        failures: camera -> why it was given up.
        cameras: name -> camera.
        outputs: of the run; None: there were none yet.
        left_out: what the end of the run had no time for.
    """
    for name, reason in failures.items():
        yield f"{name}: {reason}"
    if left_out:
        yield f"left out, there was no time at the end: {', '.join(left_out)}"
    for name, camera in tuple(cameras.items()):
        counts = camera.box.counts
        if counts.dropped:
            yield f"{name}: {counts.dropped} of {counts.received} pictures were dropped"
    if outputs is None:
        return
    if outputs.lost_lines:
        yield f"{outputs.lost_lines} lines could not be written"
    if outputs.lost_pictures:
        yield f"{outputs.lost_pictures} pictures are missing in the recorded video"
    if outputs.memory.forgotten:
        yield f"identities.json holds the last tracks only: {outputs.memory.forgotten} older ones left out"


def shown_config(config: Config) -> dict[str, Any]:
    """The settings for run.json: where events are sent may be a secret."""
    shown: dict[str, Any] = config.model_dump(mode="json")
    shown["live"]["send"] = [shown_address(address) for address in config.live.send]
    return shown
