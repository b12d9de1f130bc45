"""A live run: the newest pictures of all cameras, identities as they are decided, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reidpipe.build import build_embedder, fitted
from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.keeping import Keeping
from reidpipe.live.ending import Ending
from reidpipe.live.job import LiveRun
from reidpipe.live.lineup import Lineup
from reidpipe.live.roster import Roster
from reidpipe.live.setup import build_stages, close_cameras, live_config, open_camera, open_cameras
from reidpipe.progress import Progress, Silent
from reidpipe.recorded import RunResult
from reidpipe.sinks.files import prepare_folder
from reidpipe.source import name_cameras
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
    cut: Callable[[], None] | None = None,
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
        stop: set it from another thread or a signal handler to end the run in order, within five seconds. What there
            is no time for is left out, and told in the log and in run.json.
        cut: called in another thread when the end takes longer all the same; made to end the process. What was written
            until then is valid, and run.json says ``interrupted``. None: the end takes as long as it takes.

    Raises:
        ReidpipeError: a setting, a model or the folder is not usable, or a stage failed on the way (what was written so
            far is valid, and run.json says ``failed``), or every camera was given up.
    """
    config = fitted(live_config(config or Config.load()))
    progress, stop = progress or Silent(), stop or threading.Event()
    with ExitStack() as stack:
        ending = stack.enter_context(Ending(stop, progress.note, cut=cut))
        clock = RunClock()
        lineup = _lineup(list(map(str, sources)), config, clock=clock, realtime=realtime)
        cameras = tuple(lineup.running.values())
        stack.callback(lambda: close_cameras(lineup.running.values(), within_s=ending.seconds(1.0, by=1.0)))
        embedder = build_embedder(config)
        keeping = Keeping(config, embedder, progress)
        stack.callback(keeping.close)
        pipeline, rations = build_stages(config, lineup.names, embedder=embedder, keeping=keeping, ending=ending)
        recordings = [camera.info.uri for camera in cameras if camera.info.frame_count is not None]
        folder = prepare_folder(out, overwrite=force, inputs=[*recordings, *config.detect.files.values()])
        parts = lineup, pipeline, rations, folder, clock, progress, stop
        return LiveRun(config, *parts, keeping=keeping, ending=ending).run()


def _lineup(sources: list[str], config: Config, *, clock: RunClock, realtime: bool) -> Lineup:
    """The cameras that were named, and those of the file."""
    roster = None
    if config.live.cameras is not None:
        roster = Roster(config.live.cameras, taken=[name for name, _ in name_cameras(sources)])
    wanted = {} if roster is None else roster.wanted
    running = {name: one for name, one in wanted.items() if not one.entry.paused}
    given = [*sources, *(f"{name}={one.entry.uri}" for name, one in running.items())]
    if not given and roster is None:
        raise ConfigError("no source given: name a camera, for instance rtsp://host/stream")
    if roster is None:
        _check_priorities(config.live.priority, [camera.camera for camera in name_cameras(given)])
    of_page = {name for name, one in running.items() if one.of_page}
    return Lineup(
        open_cameras(given, config, clock=clock, realtime=realtime, of_page=of_page),
        addresses=dict(name_cameras(given)),
        priorities=config.live.priority,
        roster=roster,
        open_one=partial(open_camera, config=config, clock=clock, realtime=realtime),
    )


def _check_priorities(priorities: Mapping[str, float], names: Sequence[str]) -> None:
    unknown = next((name for name in priorities if name not in names), None)
    if unknown is not None:
        raise ConfigError(f"live.priority names the camera {unknown!r}, which there is not: {', '.join(names)}")
