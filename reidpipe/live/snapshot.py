"""What a live run looks like at a moment: for metrics, health and the status page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CameraSnapshot", "Snapshot", "resident_bytes", "to_prometheus"]


@dataclass(frozen=True, slots=True)
class CameraSnapshot:
    """One camera.

    Attributes:
        camera: its name.
        state: ``connecting``, ``up``, ``down``, ``ended`` or ``paused``.
        fps: pictures per second that it gives, 0.0 when unknown.
        received: pictures that came.
        processed: pictures that were worked on.
        detected: pictures that went through the detector.
        dropped: pictures that were not worked on.
        damaged: pictures that could not be decoded.
        reconnects: connections after the first.
        stalls: times that pictures stopped without an error.
        people: in the newest picture.
        age_s: of the newest result, seconds; None before the first.
    """

    camera: str
    state: str
    fps: float
    received: int
    processed: int
    detected: int
    dropped: int
    damaged: int
    reconnects: int
    stalls: int
    people: int
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole run.

    Attributes:
        cameras: in the order given.
        level: of load; 0: everything is done.
        busy: share of the time that was worked, 0..1.
        age_p50_s: from picture to result over the last minute or two, seconds; None without any.
        age_p99_s: the same.
        identities: people remembered now.
        stage_seconds: stage -> seconds of wall time so far.
        lost_lines: of output files.
        lost_pictures: of recorded video.
        beat_s: seconds since the loop last went round.
        uptime_s: seconds since the start.
    """

    cameras: tuple[CameraSnapshot, ...]
    level: int
    busy: float
    age_p50_s: float | None
    age_p99_s: float | None
    identities: int
    stage_seconds: Mapping[str, float]
    lost_lines: int
    lost_pictures: int
    beat_s: float
    uptime_s: float


_COUNTERS = {
    "received": "pictures that came from the camera",
    "processed": "pictures that were worked on",
    "detected": "pictures that went through the detector",
    "dropped": "pictures that were not worked on",
    "damaged": "pictures that could not be decoded",
}


def to_prometheus(snapshot: Snapshot) -> str:
    """The snapshot in Prometheus' text format 0.0.4. Holds no address and no credentials."""
    lines: list[str] = []
    cameras = snapshot.cameras
    for name, text in _COUNTERS.items():
        values = [({"camera": one.camera}, float(getattr(one, name))) for one in cameras]
        lines += _family(f"reidpipe_frames_{name}_total", "counter", text, values)
    per_camera: tuple[tuple[str, str, str, list[float]], ...] = (
        ("reconnects_total", "counter", "connections after the first", [float(c.reconnects) for c in cameras]),
        ("stalls_total", "counter", "times that pictures stopped", [float(c.stalls) for c in cameras]),
        ("camera_up", "gauge", "1 while pictures come", [float(c.state == "up") for c in cameras]),
        ("camera_fps", "gauge", "pictures per second that come", [c.fps for c in cameras]),
        ("people_now", "gauge", "people in the newest picture", [float(c.people) for c in cameras]),
    )
    for name, kind, text, numbers in per_camera:
        values = [({"camera": one.camera}, value) for one, value in zip(cameras, numbers, strict=True)]
        lines += _family(f"reidpipe_{name}", kind, text, values)
    quantiles = (("0.5", snapshot.age_p50_s), ("0.99", snapshot.age_p99_s))
    ages = [({"quantile": name}, age_s) for name, age_s in quantiles if age_s is not None]
    lines += _family("reidpipe_age_seconds", "gauge", "from picture to result, over the last minutes", ages)
    stages = [({"stage": name}, seconds) for name, seconds in snapshot.stage_seconds.items()]
    lines += _family("reidpipe_stage_seconds_total", "counter", "wall time spent in a stage", stages)
    singles = (
        ("reidpipe_identities", "gauge", "people remembered now", float(snapshot.identities)),
        ("reidpipe_load_level", "gauge", "0: everything is done for each picture", float(snapshot.level)),
        ("reidpipe_busy_ratio", "gauge", "share of the time that was worked", snapshot.busy),
        ("reidpipe_lost_lines_total", "counter", "lines that could not be written", float(snapshot.lost_lines)),
        ("reidpipe_lost_pictures_total", "counter", "missing in recorded video", float(snapshot.lost_pictures)),
        ("reidpipe_uptime_seconds", "gauge", "since the start", snapshot.uptime_s),
        ("process_resident_memory_bytes", "gauge", "memory of the process", float(resident_bytes())),
    )
    for name, kind, text, value in singles:
        lines += _family(name, kind, text, [({}, value)])
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, values: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in values:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inside}}} {value:.10g}" if inside else f"{name} {value:.10g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resident_bytes() -> int:
    """Memory of this process; the most it ever had where the system does not tell the present."""
    try:
        import os

        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        try:
            import resource
        except ImportError:  # Windows
            return 0
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most
