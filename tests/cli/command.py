"""Runs the command line inside this process, as a user would see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from reidpipe.cli.app import app


def reidpipe(*arguments: str | Path) -> Result:
    """``reidpipe ARGUMENTS``; an exception that is no clean exit is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def complaint(result: Result) -> str:
    """The one line on stderr of a run that was refused."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("reidpipe: "), lines[0]
    return lines[0]


def run_info(folder: Path) -> dict[str, Any]:
    """What run.json says."""
    info: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return info


def frame_lines(folder: Path) -> list[dict[str, Any]]:
    """frames.jsonl, parsed; every line must be whole."""
    return [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
