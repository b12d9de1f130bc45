"""The loop of a live run, and what it tells."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Literal

from reidpipe.associate.likeness import likeness_of
from reidpipe.associate.store_care import DAY_S
from reidpipe.config import Config
from reidpipe.errors import ReidpipeError, SinkError, SourceError
from reidpipe.keeping import Keeping
from reidpipe.live.board import Board
from reidpipe.live.closing import report_at_end
from reidpipe.live.control import CameraDesk
from reidpipe.live.desk import Desk
from reidpipe.live.ending import Ending
from reidpipe.live.lineup import Lineup
from reidpipe.live.outputs import Outputs, open_outputs
from reidpipe.live.overload import Governor, Level
from reidpipe.live.people import PeopleDesk
from reidpipe.live.record import Record
from reidpipe.live.scheduler import LiveCamera, Scheduler, Step
from reidpipe.live.server import StatusServer
from reidpipe.live.setup import close_cameras
from reidpipe.live.snapshot import CameraSnapshot, Snapshot
from reidpipe.live.stages import RationedPooler
from reidpipe.live.tally import Tally
from reidpipe.live.trim import give_back_memory
from reidpipe.pipeline import Pipeline
from reidpipe.progress import Progress
from reidpipe.recorded import RunResult
from reidpipe.sinks.blur import Hider
from reidpipe.sinks.spool import Lines
from reidpipe.source.mailbox import Change
from reidpipe.source.wallclock import RunClock
from reidpipe.types import Detections, FrameResult

__all__ = ["LiveRun"]

_IDLE_S = 0.1
_CLOCK_EVERY_S = 1.0
_LINEUP_EVERY_S = 1.0
_CLOCK_SET_S = 2.0
_INFO_EVERY_S = 60.0
_TRIM_EVERY_S = 30.0
_PICTURES_BY_S = 2.5


class LiveRun:
    """One run: the loop, and what it counts."""

    def __init__(
        self,
        config: Config,
        lineup: Lineup,
        pipeline: Pipeline,
        rations: RationedPooler,
        folder: Path,
        clock: RunClock,
        progress: Progress,
        stop: threading.Event | None,
        *,
        governor: Governor | None = None,
        stream: Lines | None = None,
        keeping: Keeping | None = None,
        ending: Ending | None = None,
    ) -> None:
        self._stream, self._keeping = stream, keeping
        self._config = config
        self._lineup, self._cameras = lineup, lineup.running
        self._pipeline = pipeline
        self._rations = rations
        self._folder = folder
        self._clock = clock
        self._progress = progress
        self._stop = stop or threading.Event()
        self._ending = ending or Ending(self._stop, progress.note)
        self._scheduler = Scheduler(
            tuple(self._cameras.values()), max_batch=config.live.max_batch, step_s=config.live.step_s
        )
        self._governor = governor or Governor()
        self._scheduler.level = self._level()
        self._prioritise()
        self._tally = Tally(self._cameras, self._scheduler, clock)
        self._board: Board | None = None
        self._beat = time.monotonic()
        self._failures: dict[str, str] = {}
        self._told_drops = dict.fromkeys(self._cameras, 0)
        self._people = 0
        self._due: dict[str, float] = {}
        self._hider = Hider(config.output.blur)
        self._clock_off = False
        self._output_errors: tuple[str, ...] = ()
        self._desk = Desk()
        self._gone: deque[int] = deque(maxlen=1000)
        counting = self._scheduler, self._tally, self._governor
        told = self._failures, self._ending.left_out
        self._record = Record(folder, config, pipeline, *counting, keeping, lineup, *told)

    def run(self) -> RunResult:
        """Until stopped. run.json is written first and last, however it ends."""
        outputs: Outputs | None = None
        self._record.write("running", outputs, self._people)
        try:
            with ExitStack() as stack:
                outputs = self._open_outputs()
                stack.callback(outputs.close, self._ending)
                self._ending.at_once = self._stop_cameras
                self._ending.at_last = partial(self._cut_off, outputs)
                self._serve(stack, outputs)
                self._progress.phase("live", dict.fromkeys(self._cameras))
                left = partial(self._left, outputs=outputs)
                self._lineup.begin(joined=self._joined, left=left, said=self._progress.note)
                self._loop(outputs)
                self._finish(outputs)
            self._raise_when_all_failed()
        except Exception as error:
            text = str(error) if isinstance(error, ReidpipeError) else f"{type(error).__name__}: {error}"
            with suppress(SinkError):
                self._record.write("failed", outputs, self._people, error=text)
            raise
        # A live camera has no end of its own: to be stopped is how its run is complete.
        cut_short = self._stop.is_set() and not self._lineup.is_endless
        status: Literal["complete", "interrupted"] = "interrupted" if cut_short else "complete"
        self._record.write(status, outputs, self._people)
        if self._config.output.report and outputs is not None:
            self._ending.doing = "report.html"
            self._ending.at_last = partial(self._record.write, status, outputs, self._people)
            problem = report_at_end(self._folder, tracks=len(outputs.memory), ending=self._ending)
            if problem is not None:
                self._progress.note(problem)
        return self._record.result(status, outputs, self._people)

    def _open_outputs(self) -> Outputs:
        return open_outputs(
            self._folder,
            self._config,
            fps=lambda name: self._cameras[name].info.fps if name in self._cameras else 0.0,
            stream=self._stream,
            album=None if self._keeping is None else self._keeping.album,
        )

    def _serve(self, stack: ExitStack, outputs: Outputs) -> None:
        """The status page, when it is wanted."""
        address = self._config.live.serve
        if address is None:
            return
        self._board = Board(crops=self._config.output.thumbnails)
        self._board.warm()
        people = PeopleDesk(
            self._desk,
            self._pipeline,
            outputs.memory,
            present=self._rations.present,
            store=None if self._keeping is None else self._keeping.store,
            detects=self._config.detect.name != "replay",
            likeness=likeness_of(self._config.embed.model),
            forgotten=lambda global_id, tracks: self._forgotten(global_id, tracks, outputs),
        )
        server = StatusServer(
            address,
            snapshot=lambda: self.snapshot(outputs),
            board=self._board,
            people=people,
            cameras=CameraDesk(self._desk, self._lineup, changed=self._prioritise),
            token=os.environ.get("REIDPIPE_TOKEN") or None,
        )
        stack.callback(server.close)
        stack.callback(self._desk.close)
        self._progress.note(f"status page: {server.url}")

    def _follow_store(self, outputs: Outputs) -> None:
        """Whom somebody deleted from the store is forgotten here, too."""
        for global_id in self._pipeline.take_forgotten():
            self._forgotten(global_id, outputs.memory.forget(global_id), outputs)

    def _forgotten(self, global_id: int, tracks: int, outputs: Outputs) -> None:
        """Somebody shall not be known any more; told once, whoever says so first."""
        self._pipeline.forget(global_id)
        if global_id in self._gone:
            return
        self._gone.append(global_id)
        if self._board is not None:
            self._board.forget(global_id)
        outputs.events.forget(self._clock.now(), global_id, tracks)
        self._progress.note(f"identity {global_id} is forgotten, {tracks} tracks deleted")

    def snapshot(self, outputs: Outputs) -> Snapshot:
        """How the run is now; may be called from any thread."""
        now = time.monotonic()
        return Snapshot(
            cameras=(*self._tally.now(), *self._lineup.paused),
            level=self._governor.number,
            busy=self._governor.busy,
            age_p50_s=self._tally.recent.percentile(0.5),
            age_p99_s=self._tally.recent.percentile(0.99),
            identities=outputs.memory.identities,
            stage_seconds=dict(self._pipeline.seconds),
            lost_lines=outputs.lost_lines,
            lost_pictures=outputs.lost_pictures,
            beat_s=now - self._beat,
            uptime_s=self._record.uptime_s,
        )

    def _loop(self, outputs: Outputs) -> None:
        self._ending.doing, duration_s = "the last pictures", self._config.source.duration_s
        while not self._stop.is_set():
            now = self._beat = time.monotonic()
            if duration_s is not None and self._record.uptime_s >= duration_s:
                return
            self._housekeeping(now, outputs)
            self._desk.serve()
            step = self._scheduler.next()
            if step is not None:
                self._work(step, outputs)
            elif self._lineup.is_over:
                self._housekeeping(now, outputs)
                return
            else:
                self._scheduler.wait(_IDLE_S)
            worked_s = 0.0 if step is None else time.monotonic() - now
            if self._governor.worked(worked_s, time.monotonic()):
                self._new_level(outputs)

    def _work(self, step: Step, outputs: Outputs) -> None:
        """Detect some, follow all, write."""
        begun = time.monotonic()
        chosen = [frame for frame, detect in zip(step.frames, step.detect, strict=True) if detect]
        found = iter(self._pipeline.detect(chosen) if chosen else [])
        detections: list[Detections | None] = [next(found) if detect else None for detect in step.detect]
        for whole, found_here in zip(self._pipeline.follow(step.frames, detections), detections, strict=True):
            result = self._hider.hide(whole, found_here)  # from here on pictures leave
            age_s = self._clock.now() - result.frame.time_s
            outputs.write(result, age_s)
            self._note(result, age_s)
        outputs.memory.closed(self._pipeline.take_closed())
        self._follow_store(outputs)
        self._scheduler.took(time.monotonic() - begun, len(chosen))

    def _note(self, result: FrameResult, age_s: float) -> None:
        self._tally.note(result, age_s, self._beat)
        if self._board is not None:
            self._board.see(result)
            self._board.corrected(result.links)
        self._progress.frame(result.frame.camera, people=len(result.tracks))

    def _level(self) -> Level:
        """What the governor says, with detections no closer than the settings allow."""
        level = self._governor.level
        return level._replace(detect_gap_s=max(level.detect_gap_s, self._config.live.detect_gap_s))

    def _prioritise(self) -> None:
        """Some cameras are worked on more often than others when there is too much to do."""
        self._scheduler.priorities = self._rations.priorities = self._lineup.priorities

    def _new_level(self, outputs: Outputs) -> None:
        level = self._level()
        self._scheduler.level = level
        self._rations.gap_s = level.embed_gap_s
        outputs.events.load(self._clock.now(), level=self._governor.number, busy=self._governor.busy, **level._asdict())

    def _housekeeping(self, now: float, outputs: Outputs) -> None:
        for camera in self._cameras.values():
            for change in camera.box.changes():
                self._changed(camera.camera, change, outputs)
        if self._is_due("lineup", now, _LINEUP_EVERY_S):
            self._lineup.follow()
            self._prioritise()
        if self._is_due("clock", now, _CLOCK_EVERY_S):
            self._follow_clock(outputs)
        if outputs.errors != self._output_errors:
            self._output_errors = outputs.errors
            self._progress.note("; ".join(self._output_errors) or "all outputs can be written again")
        if self._is_due("drops", now, self._config.live.report_s):
            self._tell_drops(outputs)
        if self._is_due("memory", now, _TRIM_EVERY_S):
            give_back_memory()
            if (days := self._config.store.retain_days) is not None:
                outputs.memory.expire(self._clock.now() - DAY_S * days)
        if self._is_due("info", now, _INFO_EVERY_S):
            with suppress(SinkError):  # a full disk must not end the run
                self._record.write("running", outputs, self._people)

    def _joined(self, camera: LiveCamera) -> None:
        """One more camera; it is started after this."""
        self._told_drops[camera.camera] = 0
        self._scheduler.add(camera)
        self._progress.phase("live", dict.fromkeys(self._cameras))

    def _left(self, name: str, reason: str, outputs: Outputs) -> CameraSnapshot:
        """A camera is taken out; how it was in the end."""
        seen = self._tally.camera(name)
        self._tell_drops(outputs)
        outputs.events.camera_end(name, self._clock.now(), reason)
        self._end_tracks(name, self._clock.now(), outputs)
        outputs.end_camera(name)
        self._scheduler.remove(name)
        self._tally.forget(name)
        self._rations.forget(name)
        del self._told_drops[name]
        self._failures.pop(name, None)
        if self._board is not None:
            self._board.remove(name)
        return seen

    def _is_due(self, name: str, now: float, every_s: float) -> bool:
        if now < self._due.setdefault(name, now + every_s):
            return False
        self._due[name] = now + every_s
        return True

    def _follow_clock(self, outputs: Outputs) -> None:
        offset_s = self._clock.follow()
        off = abs(offset_s) > _CLOCK_SET_S
        if off and not self._clock_off:
            outputs.events.clock(self._clock.now(), offset_s)
            self._progress.note(f"the system's clock was set by {offset_s:.0f} s: times of this run follow slowly")
        self._clock_off = off

    def _tell_drops(self, outputs: Outputs) -> None:
        for name, camera in self._cameras.items():
            dropped = camera.box.counts.dropped
            if dropped > self._told_drops[name]:
                outputs.events.drops(name, self._clock.now(), dropped - self._told_drops[name])
                self._told_drops[name] = dropped

    def _changed(self, name: str, change: Change, outputs: Outputs) -> None:
        """A camera came, went, or will not come again."""
        if change.state == "up":
            self._scheduler.anew(name)
            outputs.events.camera_up(name, change.time_s)
            self._progress.note(f"{name}: up")
            return
        if change.state == "down":
            outputs.events.camera_down(name, change.time_s, change.reason)
            self._progress.note(f"{name}: down, {change.reason}")
        elif change.state == "ended":
            outputs.events.camera_end(name, change.time_s, change.reason)
            if change.reason:
                self._failures[name] = change.reason
                self._progress.note(f"{name}: given up, {change.reason}")
        self._end_tracks(name, change.time_s, outputs)

    def _end_tracks(self, name: str, time_s: float, outputs: Outputs) -> None:
        """Whoever was in the picture of a camera that is gone has left: nothing waits for its return."""
        box = self._cameras[name].box
        if box.state != "up":
            box.drop()  # from before; it would begin tracks that nothing ends
        self._tally.gone(name)
        links = self._pipeline.close_camera(name)
        outputs.events.links(links)
        outputs.events.end_camera(name, time_s)
        outputs.memory.links(links)
        outputs.memory.closed(self._pipeline.take_closed())
        outputs.memory.end_camera(name)

    def _stop_cameras(self) -> None:
        close_cameras(tuple(self._cameras.values()), within_s=self._ending.seconds(1.0, by=1.0))

    def _cut_off(self, outputs: Outputs) -> None:
        """There is no time to end in order: what is written already stays."""
        self._record.write("interrupted", outputs, self._people)

    def _finish(self, outputs: Outputs) -> None:
        """Cameras first, so that nothing new comes; then what is open is decided and written."""
        self._ending.doing = "who is who of the last tracks"
        outputs.end_pictures()
        self._stop_cameras()
        now_s = self._clock.now()
        outputs.memory.offer_all()
        links = self._pipeline.close()
        outputs.memory.closed(self._pipeline.take_closed())
        outputs.events.links(links)
        outputs.memory.links(links)
        for name in self._cameras:
            outputs.events.end_camera(name, now_s)
        self._tell_drops(outputs)
        self._ending.doing = "identities.json"
        with self._pipeline.timed("write"):
            names = {} if self._keeping is None else self._keeping.names()
            hurried = partial(self._ending.is_too_late, "pictures of some people", by=_PICTURES_BY_S)
            self._people = outputs.memory.write(self._folder, names=names, hurried=hurried)
        self._ending.doing = "the last lines and the video"

    def _raise_when_all_failed(self) -> None:
        if self._failures and len(self._failures) == len(self._cameras) and not self._stop.is_set():
            name, reason = next(iter(self._failures.items()))
            raise SourceError(reason, camera=name)
