"""The report at the end of a live run: when there is time for it."""

from __future__ import annotations

from pathlib import Path

from reidpipe.errors import ReidpipeError
from reidpipe.report import build_report

__all__ = ["report_at_end"]

_MOST_BYTES = 16_000_000
_MOST_TRACKS = 1000
"""A run that is told to stop has five seconds, and a slow machine needs two of them for so much."""


def report_at_end(folder: Path, *, tracks: int, hurry: bool) -> str | None:
    """Build ``report.html``.

    Args:
        folder: of the run.
        tracks: remembered in identities.json.
        hurry: the run was told to stop: a large report is left for later.

    Returns:
        Why there is none, in one line; None when there is one.
    """
    if hurry and (tracks > _MOST_TRACKS or _bytes_of_frames(folder) > _MOST_BYTES):
        return f"the report takes a while: build it with  reidpipe report {folder}"
    try:
        build_report(folder)
    except ReidpipeError as error:
        return f"no report: {error}"
    return None


def _bytes_of_frames(folder: Path) -> int:
    files = [folder / "frames.jsonl", *(folder / "frames").glob("*.jsonl")]
    return sum(file.stat().st_size for file in files if file.exists())
