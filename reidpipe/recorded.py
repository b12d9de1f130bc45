"""A run over recorded cameras, in three passes: follow everybody, decide who is who, then draw it.

    track     every picture once, in order of time; tracks go to ``frames.jsonl`` as they are found
    identify  the associator has seen all tracklets; its global ids are written into the results
    draw      the pictures once more, with the global ids: right from the first frame on

Whenever a run stops (Ctrl-C, a stage that raises, a full disk) what was written so far is valid.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from reidpipe.associate.store import Store
from reidpipe.build import build_associator, build_embedder, build_pipeline, fitted
from reidpipe.config import Config
from reidpipe.drawing import draw_videos
from reidpipe.errors import ConfigError, ReidpipeError, SinkError, SourceError
from reidpipe.keeping import Keeping, keep_people, run_note
from reidpipe.pipeline import Pipeline
from reidpipe.progress import Progress, Silent
from reidpipe.refining import Refining
from reidpipe.report import build_report
from reidpipe.sinks.blur import blurred
from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.files import prepare_folder
from reidpipe.sinks.identities import write_identities
from reidpipe.sinks.jsonl import FramesSink, assign_global_ids, read_frames
from reidpipe.sinks.mot import MOTSink
from reidpipe.sinks.runinfo import SourceReport, Status, write_run_info
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.source import open_sources
from reidpipe.source.merge import CameraMerger
from reidpipe.stages import Source
from reidpipe.types import NOT_KNOWN, Detections, Frame, FrameResult, Link, TrackKey, Tracklet

__all__ = ["CameraResult", "RunResult", "run"]


@dataclass(frozen=True, slots=True)
class CameraResult:
    """What came out of one camera: pictures read, tracks found, global identities seen."""

    camera: str
    frames: int
    tracks: int
    people: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did.

    Attributes:
        out: the folder with the results.
        status: ``complete``, or ``interrupted`` when it was asked to stop before the end.
        people: global identities over all cameras.
        cameras: one entry for each camera, in the order given.
        warnings: one line each: a truncated file, a camera that failed.
        stage_seconds: stage -> seconds of wall time spent in it.
        known_before: how many of the people the store knew already; None: there is no store.
    """

    out: Path
    status: Literal["complete", "interrupted"]
    people: int
    cameras: tuple[CameraResult, ...]
    warnings: tuple[str, ...]
    stage_seconds: Mapping[str, float]
    known_before: int | None = None


def run(
    sources: Sequence[str | Path],
    out: str | Path = "out",
    *,
    config: Config | None = None,
    force: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> RunResult:
    """Follow people through recorded cameras and write who was where, when.

    Args:
        sources: video files, image folders or MOTChallenge sequences; ``name=path`` names a camera.
        out: folder for the results; must be empty or new.
        config: settings; the defaults when None.
        force: replace the results of an earlier run in ``out``.
        progress: told about every picture.
        stop: set it from another thread or a signal handler to end the run in order, with what there is.

    Raises:
        ReidpipeError: a source, a model, a setting or the folder is not usable (nothing was written then), or a stage
            or an output failed on the way (what was written so far is valid, and run.json says ``failed``).
    """
    config = fitted(config or Config.load())
    with ExitStack() as stack:
        opened = open_sources(
            [str(source) for source in sources], start_s=config.source.start_s, duration_s=config.source.duration_s
        )
        for source in opened:
            stack.callback(source.close)
        live = next((source for source in opened if source.info.live), None)
        if live is not None:
            raise ConfigError(f"{live.camera} is a live camera: use reidpipe.live.run_live")
        progress = progress or Silent()
        cameras = [source.camera for source in opened]
        embedder = build_embedder(config)
        keeping = Keeping(config, embedder, progress)
        stack.callback(keeping.close)
        # The store is written when the results are: a run that fails on the way leaves it as it was.
        associator = build_associator(config, store=keeping.store, write=False)
        pipeline = build_pipeline(config, cameras=cameras, embedder=embedder, associator=associator)
        inputs = [*(source.info.uri for source in opened), *config.detect.files.values()]
        folder = prepare_folder(out, overwrite=force, inputs=inputs)
        job = _Job(config, opened, pipeline, folder, progress, stop or threading.Event(), keeping=keeping)
        return job.run()


class _Job:
    """One run: what its passes hand to each other."""

    def __init__(
        self,
        config: Config,
        sources: list[Source],
        pipeline: Pipeline,
        folder: Path,
        progress: Progress,
        stop: threading.Event,
        *,
        keeping: Keeping,
    ) -> None:
        self._config = config
        self._keeping = keeping
        self._store_error: SinkError | None = None
        self._names: dict[int, str] = {}
        self._sources = sources
        self._pipeline = pipeline
        self._folder = folder
        self._progress = progress
        self._stop = stop
        self._started = datetime.now(UTC)
        self._clock = time.perf_counter()
        self._frames = Counter({source.camera: 0 for source in sources})
        self._links: list[Link] = []
        self._tracklets: list[Tracklet] = []
        self._failures: dict[str, SourceError] = {}
        self._video_warnings: tuple[str, ...] = ()
        self._last_s: dict[str, float] = {}
        self._tracks: dict[str, set[int]] = {source.camera: set() for source in sources}
        self._people: dict[str, set[int]] = {source.camera: set() for source in sources}

    def run(self) -> RunResult:
        """All passes. run.json is written first and last, however it ends."""
        self._write_info("running")
        try:
            with ExitStack() as stack:
                thumbnails = None
                if self._config.output.thumbnails:
                    thumbnails = ThumbnailKeeper(self._folder)
                    stack.callback(thumbnails.close)
                refining = None
                if self._config.refine.enabled:
                    refining = Refining(self._folder, list(self._frames), self._config.refine)
                    stack.callback(refining.close)
                self._track(thumbnails, refining)
                self._identify(thumbnails, refining)
            if self._config.output.video and not self._stop.is_set():
                self._draw()
        except ReidpipeError as error:
            self._write_info("failed", error=str(error))
            raise
        status: Literal["complete", "interrupted"] = "interrupted" if self._stop.is_set() else "complete"
        if self._store_error is None:
            self._write_info(status)
        else:
            self._write_info("failed", error=str(self._store_error))
        if self._config.output.report:
            build_report(self._folder)
        if self._store_error is not None:
            raise self._store_error
        return self._result(status)

    def _track(self, thumbnails: ThumbnailKeeper | None, refining: Refining | None) -> None:
        """Follow everybody. The pipeline's detector works one moment ahead of the stages that keep state."""
        self._progress.phase("track", {source.camera: source.info.frame_count for source in self._sources})
        with ExitStack() as stack:
            frames = FramesSink(self._folder / "frames.jsonl")
            stack.callback(frames.close)
            events = EventsSink(self._folder / "events.jsonl")
            stack.callback(events.close)
            merger = CameraMerger(
                self._sources,
                queue_size=self._config.source.queue,
                on_failure=lambda error: self._camera_failed(error, events),
            )
            stack.callback(merger.close)
            for group, found in _ahead(self._pipeline, merger):
                for result, detections in zip(self._pipeline.follow(group, found), found, strict=True):
                    frames.write(result)
                    events.write(result)
                    if refining is not None:
                        refining.note(result, detections)
                    if thumbnails is not None:
                        with self._pipeline.timed("thumbnails"):
                            thumbnails.update(blurred(result, self._config.output.blur))
                    self._note(result)
                if self._stop.is_set():
                    break
            self._end(events, refining)

    def _note(self, result: FrameResult) -> None:
        """Keep what the later passes need."""
        camera = result.frame.camera
        self._frames[camera] += 1
        self._last_s[camera] = result.frame.time_s
        self._links += result.links
        self._tracklets += self._pipeline.take_closed()
        self._progress.frame(camera, people=len(result.tracks))

    def _camera_failed(self, error: SourceError, events: EventsSink) -> None:
        self._failures[error.camera] = error
        events.camera_down(error.camera, self._last_s.get(error.camera, 0.0), str(error))
        self._progress.note(str(error))

    def _end(self, events: EventsSink, refining: Refining | None) -> None:
        """All pictures are through: close the tracks, mend them, decide what is left to decide."""
        for camera, time_s in self._last_s.items():
            events.end_camera(camera, time_s)
        last = self._pipeline.close_cameras()
        self._tracklets += self._pipeline.take_closed()
        if refining is not None:
            with self._pipeline.timed("refine"):
                mended = refining.mend(self._tracklets, regroup=self._pipeline.is_undecided)
            if self._pipeline.is_undecided:
                self._tracklets = mended
                self._pipeline.replace_tracklets(mended)
        last += self._pipeline.close()
        events.links(last)
        self._links += last

    def _identify(self, thumbnails: ThumbnailKeeper | None, refining: Refining | None) -> None:
        """Write the global ids into what was written, and the files that are about identities."""
        final = {link.key: link.global_id for link in self._links}
        if refining is not None:
            with self._pipeline.timed("refine"):
                refining.write(self._links, thumbnails)
        else:
            with self._pipeline.timed("write"):
                assign_global_ids(self._folder / "frames.jsonl", final)
                assign_global_ids(self._folder / "events.jsonl", final)
        with self._pipeline.timed("write"):
            self._write_mot()
            shown = [t for t in self._tracklets if final.get(t.key) in self._people[t.key.camera]]
            self._names = self._keeping.names()
            write_identities(self._folder, shown, self._links, thumbnails=thumbnails, names=self._names)
        if self._keeping.store is not None:
            self._keep(self._keeping.store, shown, final, thumbnails)

    def _keep(
        self, store: Store, shown: Sequence[Tracklet], final: Mapping[TrackKey, int], thumbnails: ThumbnailKeeper | None
    ) -> None:
        """Write the store. When that fails the results are worth having all the same; it is told at the end."""
        try:
            with self._pipeline.timed("store"):
                keep_people(store, shown, final, thumbnails=thumbnails, note=run_note(self._frames))
        except SinkError as error:
            self._store_error = error

    def _write_mot(self) -> None:
        """The MOT files, and who was seen by which camera."""
        with ExitStack() as stack:
            mot = MOTSink(self._folder / "mot", cameras=tuple(source.camera for source in self._sources))
            stack.callback(mot.close)
            for result in read_frames(self._folder / "frames.jsonl"):
                mot.write(result)
                camera = result.frame.camera
                self._people[camera].update(result.global_ids[result.global_ids != NOT_KNOWN].tolist())
                self._tracks[camera].update(result.tracks.track_ids.tolist())

    def _draw(self) -> None:
        with self._pipeline.timed("draw"):
            self._video_warnings = draw_videos(
                self._sources,
                self._folder,
                self._config.output,
                frames=self._frames,
                progress=self._progress,
                stop=self._stop,
                names=self._names,
            )

    def _result(self, status: Literal["complete", "interrupted"]) -> RunResult:
        cameras = tuple(
            CameraResult(name, count, len(self._tracks[name]), len(self._people[name]))
            for name, count in self._frames.items()
        )
        everybody = set().union(*self._people.values())
        known = self._keeping.counts(everybody).get("identities_known_before")
        seconds = dict(self._pipeline.seconds)
        return RunResult(self._folder, status, len(everybody), cameras, tuple(self._warnings()), seconds, known)

    def _warnings(self) -> Iterator[str]:
        for source in self._sources:
            for warning in source.info.warnings:
                yield f"{source.camera}: {warning}"
        yield from map(str, self._failures.values())
        yield from self._video_warnings
        if self._pipeline.counts["detections"] == 0 and self._pipeline.counts["frames"] > 0:
            yield "no person was found in any picture"
        if self._stop.is_set() and self._config.output.video and self._pipeline.counts["frames"] > 0:
            yield f"stopped before all was drawn: `reidpipe draw {self._folder}` makes the videos of what was seen"

    def _write_info(self, status: Status, *, error: str | None = None) -> None:
        reports = [
            SourceReport(
                source.camera,
                source.info,
                self._frames[source.camera],
                _text(self._failures, source.camera),
                self._pipeline.camera_motion(source.camera),
            )
            for source in self._sources
        ]
        people = set().union(*self._people.values())
        counts = {**self._pipeline.counts, "identities": len(people), **self._keeping.counts(people)}
        write_run_info(
            self._folder / "run.json",
            status=status,
            started=self._started,
            config=self._config.model_dump(mode="json"),
            models=self._keeping.models,
            association=self._pipeline.association,
            sources=reports,
            counts=counts,
            stage_seconds=self._pipeline.seconds,
            wall_s=time.perf_counter() - self._clock,
            error=error,
            warnings=list(self._warnings()),
        )


def _text(failures: dict[str, SourceError], camera: str) -> str | None:
    return str(failures[camera]) if camera in failures else None


def _ahead(
    pipeline: Pipeline, groups: Iterable[list[Frame]]
) -> Iterator[tuple[list[Frame], Sequence[Detections | None]]]:
    """Each group with its detections, found in another thread while the one before is being followed."""
    with ThreadPoolExecutor(1, thread_name_prefix="detect") as worker:
        waiting = None
        for group in groups:
            found = worker.submit(pipeline.detect, group)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = (group, found)
        if waiting is not None:
            yield waiting[0], waiting[1].result()
