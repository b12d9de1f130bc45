"""run.json: what was run, on what, with what, how it ended and where the time went."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from reidpipe.sinks.files import write_json
from reidpipe.stages import SourceInfo

__all__ = ["RUN_SCHEMA", "SourceReport", "Status", "versions", "write_run_info"]

RUN_SCHEMA = "reidpipe.run/1"
Status = Literal["running", "complete", "interrupted", "failed"]
_PACKAGES = (
    "reidpipe",
    "av",
    "numpy",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "scipy",
    "supervision",
    "torch",
)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How one camera did.

    Attributes:
        camera: its name.
        info: what its source says at the end, warnings included.
        frames: pictures that were read.
        failure: what ended it before its time, one line, or None.
        camera_motion: ``fixed``, ``moving`` or ``unknown``.
    """

    camera: str
    info: SourceInfo
    frames: int
    failure: str | None = None
    camera_motion: str = "unknown"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result, those that are installed."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_run_info(
    path: Path | str,
    *,
    status: Status,
    started: datetime,
    config: Mapping[str, Any],
    sources: Sequence[SourceReport],
    counts: Mapping[str, int],
    stage_seconds: Mapping[str, float],
    wall_s: float,
    error: str | None = None,
    warnings: Sequence[str] = (),
    models: Mapping[str, Mapping[str, str]] | None = None,
    association: Mapping[str, Any] | None = None,
    live: Mapping[str, Any] | None = None,
) -> None:
    """Write ``run.json`` (schema ``reidpipe.run/1``), all or nothing. May be written again as the run goes on.

    Args:
        path: the file.
        status: ``running``, ``complete``, ``interrupted`` (Ctrl-C) or ``failed``.
        started: when, with a time zone.
        config: the resolved configuration, as plain JSON values and without credentials.
        sources: one for each camera.
        counts: name -> how many (frames, detections, crops, tracklets, identities, ...).
        stage_seconds: stage -> seconds of wall time.
        wall_s: seconds from start to end.
        error: why it failed, one line.
        warnings: what else the user should know; those of the sources stand with the sources.
        models: stage -> ``name`` and ``sha256`` of its net.
        association: how it was decided who is who: limit, its uncertainty, what was learned about the cameras.
        live: of a live run: load, ages, and what each camera dropped.

    Raises:
        SinkError: it cannot be written.
    """
    record = {
        "schema": RUN_SCHEMA,
        "status": status,
        "error": error,
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "wall_s": round(wall_s, 3),
        "versions": versions(),
        "config": dict(config),
        **({} if models is None else {"models": {stage: dict(facts) for stage, facts in models.items()}}),
        "sources": [_source(report) for report in sources],
        "counts": dict(counts),
        "stage_seconds": {name: round(seconds, 4) for name, seconds in stage_seconds.items()},
        "warnings": list(warnings),
        **({} if not association else {"association": dict(association)}),
        **({} if live is None else {"live": dict(live)}),
    }
    write_json(Path(path), record)


def _source(report: SourceReport) -> dict[str, Any]:
    info = report.info
    return {
        "camera": report.camera,
        "uri": info.uri,
        "width": info.width,
        "height": info.height,
        "fps": info.fps,
        "live": info.live,
        "frames_expected": info.frame_count,
        "frames": report.frames,
        "failure": report.failure,
        "camera_motion": report.camera_motion,
        "warnings": list(info.warnings),
    }
