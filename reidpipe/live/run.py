"""A live run: the newest pictures of all cameras, identities as they are decided, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reidpipe.build import build_embedder, fitted
from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.keeping import Keeping
from reidpipe.live.job import LiveRun
from reidpipe.live.roster import Roster
from reidpipe.live.setup import build_stages, close_cameras, live_config, open_camera, open_cameras
from reidpipe.progress import Progress, Silent
from reidpipe.recorded import RunResult
from reidpipe.sinks.files import prepare_folder
from reidpipe.source.wallclock import RunClock

__all__ = ["run_live"]


def run_live(
    sources: Sequence[str | Path],
    out: str | Path = "out",
    *,
    config: Config | None = None,
    force: bool = False,
    realtime: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> RunResult:
    """Follow people through live cameras until stopped, or until every camera has ended.

    The newest picture of each camera is worked on; what there is no time for is dropped and counted, on all cameras
    alike. Global ids are given while people are seen, and corrected by events.

    Args:
        sources: ``rtsp://``, ``http://``, numbers of webcams; with ``realtime`` also recordings; ``name=uri`` names it.
        out: folder for the results; must be empty or new.
        config: settings; the defaults when None. ``source.duration_s`` ends the run after so many seconds.
        force: replace the results of an earlier run in ``out``.
        realtime: play recordings as if they were cameras.
        progress: told about every picture.
        stop: set it from another thread or a signal handler to end the run in order, within five seconds.

    Raises:
        ReidpipeError: a setting, a model or the folder is not usable, or a stage failed on the way (what was written so
            far is valid, and run.json says ``failed``), or every camera was given up.
    """
    config = fitted(live_config(config or Config.load()))
    with ExitStack() as stack:
        clock = RunClock()
        roster = None if config.live.cameras is None else Roster(config.live.cameras)
        given = [*map(str, sources), *(() if roster is None else (f"{n}={uri}" for n, uri in roster.cameras.items()))]
        if not given and roster is None:
            raise ConfigError("no source given: name a camera, for instance rtsp://host/stream")
        cameras = open_cameras(given, config, clock=clock, realtime=realtime)
        stack.callback(close_cameras, cameras)
        names = [camera.camera for camera in cameras]
        if roster is None:
            _check_priorities(config.live.priority, names)
        progress = progress or Silent()
        embedder = build_embedder(config)
        keeping = Keeping(config, embedder, progress)
        stack.callback(keeping.close)
        pipeline, rations = build_stages(config, names, embedder=embedder, keeping=keeping)
        recordings = [camera.info.uri for camera in cameras if camera.info.frame_count is not None]
        folder = prepare_folder(out, overwrite=force, inputs=[*recordings, *config.detect.files.values()])
        return LiveRun(
            config,
            cameras,
            pipeline,
            rations,
            folder,
            clock,
            progress,
            stop,
            keeping=keeping,
            roster=roster,
            open_one=partial(open_camera, config=config, clock=clock, realtime=realtime),
        ).run()


def _check_priorities(priorities: Mapping[str, float], names: Sequence[str]) -> None:
    unknown = next((name for name in priorities if name not in names), None)
    if unknown is not None:
        raise ConfigError(f"live.priority names the camera {unknown!r}, which there is not: {', '.join(names)}")
