"""Before a live run: its settings, cameras and stages."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from reidpipe.build import build_associator, build_detector, build_embedder, build_pooler
from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.keeping import Keeping, run_note
from reidpipe.live.background import BackgroundAssociator
from reidpipe.live.ending import Ending
from reidpipe.live.scheduler import LiveCamera
from reidpipe.live.stages import RationedPooler, RenumberedTracker
from reidpipe.pipeline import Pipeline
from reidpipe.settings import OnlineSettings
from reidpipe.source import is_live, name_cameras, open_source, redact
from reidpipe.source.backoff import Backoff
from reidpipe.source.live import LiveSource
from reidpipe.source.realtime import RealtimeSource
from reidpipe.source.wallclock import RunClock
from reidpipe.stages import Embedder, stage_class

__all__ = ["build_stages", "close_cameras", "live_config", "open_camera", "open_cameras"]

_CLOSE_S = 1.0


def live_config(config: Config) -> Config:
    """The settings of a live run: identities online, with a bounded memory; load, not a count, rations detection.

    Raises:
        ConfigError: a setting makes no sense live.
    """
    if config.source.start_s:
        raise ConfigError("source.start_s: a live camera has no start to skip")
    if config.source.every != 1:
        raise ConfigError("source.every counts pictures, of which live cameras drop some: use live.detect_gap_s")
    online = config.associate
    if not isinstance(online, OnlineSettings):
        # What both associators know is kept; the rest belongs to the other one.
        shared = online.model_fields_set & OnlineSettings.model_fields.keys() - {"name"}
        online = OnlineSettings(**{name: getattr(online, name) for name in shared})
    if "max_identities" not in online.model_fields_set:
        online = online.model_copy(update={"max_identities": config.live.max_identities})
    return config.model_copy(update={"associate": online})


def open_cameras(
    sources: Sequence[str], config: Config, *, clock: RunClock, realtime: bool, of_page: Collection[str] = ()
) -> list[LiveCamera]:
    """One camera for each source, none started yet.

    Args:
        sources: ``uri`` or ``name=uri``.
        config: the settings.
        clock: of the run.
        realtime: recordings are played as cameras.
        of_page: names whose address was given on the status page: nothing that is kept under them goes there.

    Raises:
        ConfigError: a name twice, or a recording without ``realtime``.
        SourceError: a recording cannot be opened.
    """
    cameras: list[LiveCamera] = []
    try:
        for name, uri in name_cameras(sources):
            named = name not in of_page
            camera = open_camera(name, uri, config=config, clock=clock, realtime=realtime, named_credentials=named)
            cameras.append(camera)
    except BaseException:
        close_cameras(cameras)
        raise
    return cameras


def open_camera(
    name: str, uri: str, *, config: Config, clock: RunClock, realtime: bool, named_credentials: bool = True
) -> LiveCamera:
    """A camera, not started yet.

    Args:
        name: of the camera.
        uri: where it is.
        config: the settings.
        clock: of the run.
        realtime: recordings are played as cameras.
        named_credentials: user and password that are kept under ``name`` may be sent there.

    Raises:
        ConfigError: a recording without ``realtime``.
        SourceError: a recording cannot be opened.
    """
    live = config.live
    if is_live(uri):
        return LiveSource(
            uri,
            camera=name,
            transport=live.transport,
            open_timeout_s=live.open_timeout_s,
            stall_s=live.stall_s,
            max_retries=live.max_retries,
            credentials=live.credentials,
            named_credentials=named_credentials,
            backoff=Backoff(first_s=live.retry_s, longest_s=max(live.retry_s, live.retry_max_s)),
            clock=clock,
        )
    if realtime:
        return RealtimeSource(open_source(uri, camera=name), clock=clock)
    raise ConfigError(f"{redact(uri)} is a recording among live cameras: add --realtime to play it as one")


def build_stages(
    config: Config,
    names: Sequence[str],
    *,
    embedder: Embedder | None = None,
    keeping: Keeping | None = None,
    ending: Ending | None = None,
) -> tuple[Pipeline, RationedPooler]:
    """The stages, with ids that are never given twice and embeddings that can be rationed.

    Args:
        config: the settings.
        names: of the cameras.
        embedder: made before; None: made here.
        keeping: the store, if there is one.
        ending: of the run, for what takes long at its end.
    """
    store = {}
    if keeping is not None:
        store = {
            "store": keeping.store,
            "album": keeping.album,
            "note": run_note(names),
            "retain_days": config.store.retain_days,
        }
    ids = itertools.count(1)
    make = partial(stage_class("track", config.track.name), **config.track.model_dump(exclude={"name"}))
    pooler = RationedPooler(build_pooler(config))
    pipeline = Pipeline(
        detector=build_detector(config, cameras=names),
        embedder=embedder or build_embedder(config),
        tracker=lambda: RenumberedTracker(make(), partial(next, ids)),
        pooler=pooler,
        associator=BackgroundAssociator(build_associator(config, **store), ending=ending),
        camera_watch=stage_class("camera", "flow"),
    )
    return pipeline, pooler


def close_cameras(cameras: Iterable[LiveCamera], *, within_s: float = _CLOSE_S) -> None:
    """All at once, within a second: none waits for another one's FFmpeg. What lasts longer ends by itself."""
    threads = [threading.Thread(target=camera.close, daemon=True) for camera in cameras]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
