"""Where the time of a run goes, and what all of it costs beyond its heaviest part alone.

Everything is measured in one process, round after round in turn, so that other load on the machine hits all alike; the
figures are medians over the rounds. Ratios can be compared between machines, milliseconds cannot.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidpipe.build import build_detector
from reidpipe.config import Config
from reidpipe.detect.ultralytics_peer import ultralytics_tracking
from reidpipe.errors import ConfigError
from reidpipe.recorded import run
from reidpipe.source import open_sources
from reidpipe.source.merge import CameraMerger
from reidpipe.stages import Detector, FrameDetector
from reidpipe.types import Frame

__all__ = ["BenchResult", "bench"]


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Medians over the rounds.

    Attributes:
        frames: pictures of one round, over all cameras.
        parts_ms: what was measured -> milliseconds of wall time for each picture: ``decode`` and ``detect`` alone,
            ``run`` (no video), ``run with video``, and the peer where one was asked for.
        stages_ms: stage of the run with video -> milliseconds for each picture. Detection overlaps the others.
        ratio: ``run`` over the larger of ``decode`` and ``detect``.
        video_ratio: ``run with video`` over the same.
        peer_ratio: ``run`` over the peer; None without one.
    """

    frames: int
    parts_ms: dict[str, float]
    stages_ms: dict[str, float]
    ratio: float
    video_ratio: float
    peer_ratio: float | None


def bench(
    sources: Sequence[str | Path], *, config: Config | None = None, rounds: int = 5, peer: str | Path | None = None
) -> BenchResult:
    """Measure decoding alone, detection alone and whole runs on the same files.

    Args:
        sources: video files, as for ``run``.
        config: the settings to run with.
        rounds: how often everything is repeated.
        peer: a YOLO model for ultralytics' ``track(persist=True)`` with ByteTrack, measured in the same rounds.

    Raises:
        ConfigError: ``rounds`` is not positive.
        MissingExtraError: a peer is asked for and ultralytics is not installed.
    """
    if rounds < 1:
        raise ConfigError(f"rounds must be 1 or more, got {rounds}")
    config = config or Config.load()
    paths = [str(source) for source in sources]
    groups = list(_groups(paths, config))
    parts = _parts(paths, groups, config, peer)
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    stages: list[dict[str, float]] = []
    for _ in range(rounds):
        for name, measure in parts.items():
            seconds[name].append(measure(stages))
    frames = sum(map(len, groups))
    parts_ms = {name: 1000 * statistics.median(values) / frames for name, values in seconds.items()}
    alone = max(parts_ms["decode"], parts_ms["detect"])
    return BenchResult(
        frames=frames,
        parts_ms=parts_ms,
        stages_ms={name: 1000 * statistics.median(s[name] for s in stages) / frames for name in stages[0]},
        ratio=parts_ms["run"] / alone,
        video_ratio=parts_ms["run with video"] / alone,
        peer_ratio=parts_ms["run"] / parts_ms["peer"] if "peer" in parts_ms else None,
    )


Measure = Callable[[list[dict[str, float]]], float]


def _parts(paths: list[str], groups: list[list[Frame]], config: Config, peer: str | Path | None) -> dict[str, Measure]:
    """What is measured, in order; each gives seconds. The run with video also notes its stages."""
    detector = build_detector(config, cameras=[frame.camera for frame in groups[0]])
    _find(detector, groups[0])  # the first inference allocates

    def decode(_: list[dict[str, float]]) -> float:
        start = time.perf_counter()
        for _group in _groups(paths, config):
            pass
        return time.perf_counter() - start

    def detect(_: list[dict[str, float]]) -> float:
        start = time.perf_counter()
        for group in groups:
            _find(detector, group)
        return time.perf_counter() - start

    parts: dict[str, Measure] = {
        "decode": decode,
        "detect": detect,
        "run": lambda _: _run(paths, config, video=False)[0],
        "run with video": lambda stages: _note(_run(paths, config, video=True), stages),
    }
    if peer is not None:
        cameras = [frame.camera for frame in groups[0]]
        track = ultralytics_tracking(peer, cameras=cameras, input_size=config.detect.input_size)

        def measure_peer(_: list[dict[str, float]]) -> float:
            start = time.perf_counter()
            for group in groups:
                track(group)
            return time.perf_counter() - start

        parts["peer"] = measure_peer
    return parts


def _groups(paths: list[str], config: Config) -> Any:
    opened = open_sources(paths, start_s=config.source.start_s, duration_s=config.source.duration_s)
    try:
        yield from CameraMerger(opened, queue_size=config.source.queue)
    finally:
        for source in opened:
            source.close()


def _find(detector: Detector | FrameDetector, group: Sequence[Frame]) -> None:
    if isinstance(detector, FrameDetector):
        detector.detect_frames(group)
    else:
        detector.detect([frame.image for frame in group])


def _run(paths: list[str], config: Config, *, video: bool) -> tuple[float, dict[str, float]]:
    output = config.output.model_copy(update={"video": video})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = run(paths, folder, config=config.model_copy(update={"output": output}))
        return time.perf_counter() - start, dict(result.stage_seconds)


def _note(measured: tuple[float, dict[str, float]], stages: list[dict[str, float]]) -> float:
    stages.append(measured[1])
    return measured[0]
