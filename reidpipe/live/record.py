"""What a live run says about itself: run.json while it goes on, and its result at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from reidpipe.config import Config
from reidpipe.keeping import Keeping
from reidpipe.live.closing import shown_config, warnings_of
from reidpipe.live.lineup import Lineup
from reidpipe.live.outputs import Outputs
from reidpipe.live.overload import Governor
from reidpipe.live.scheduler import Scheduler
from reidpipe.live.tally import Tally
from reidpipe.pipeline import Pipeline
from reidpipe.recorded import CameraResult, RunResult
from reidpipe.sinks.runinfo import SourceReport, Status, write_run_info

__all__ = ["Record"]


class Record:
    """The account of one run, over the parts that count.

    Args:
        folder: Where run.json lies.
        config: As the run was started.
        pipeline: Its stages.
        scheduler: Knows the frames of each camera.
        tally: Knows ages, drops and tracks.
        governor: Knows the load.
        keeping: The store of the run, or None.
        lineup: The cameras of the run, which come and go.
        failures: Why a camera was given up, by its name; changes likewise.
        left_out: What the end of the run had no time for; changes likewise.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        pipeline: Pipeline,
        scheduler: Scheduler,
        tally: Tally,
        governor: Governor,
        keeping: Keeping | None,
        lineup: Lineup,
        failures: Mapping[str, str],
        left_out: Sequence[str],
    ) -> None:
        self._folder, self._config, self._pipeline = folder, config, pipeline
        self._scheduler, self._tally, self._governor, self._keeping = scheduler, tally, governor, keeping
        self._lineup, self._cameras, self._failures = lineup, lineup.running, failures
        self._left_out = left_out
        self._writing = threading.Lock()
        self._started = datetime.now(UTC)
        self._begun = time.monotonic()

    @property
    def uptime_s(self) -> float:
        """Seconds since the run was made; may be asked from any thread."""
        return time.monotonic() - self._begun

    def write(self, status: Status, outputs: Outputs | None, people: int, *, error: str | None = None) -> None:
        """Write run.json anew; from any thread.

        Raises:
            SinkError: It cannot be written.
        """
        with self._writing:
            self._write(status, outputs, people, error)

    def _write(self, status: Status, outputs: Outputs | None, people: int, error: str | None) -> None:
        reports = [
            SourceReport(
                name,
                camera.info,
                self._scheduler.frames(name),
                self._failures.get(name),
                self._pipeline.camera_motion(name),
            )
            for name, camera in self._cameras.items()
        ]
        write_run_info(
            self._folder / "run.json",
            status=status,
            started=self._started,
            config=shown_config(self._config),
            sources=reports,
            counts=self._counts(outputs, people),
            models=None if self._keeping is None else self._keeping.models,
            association=self._pipeline.association,
            stage_seconds=self._pipeline.seconds,
            wall_s=self.uptime_s,
            error=error,
            warnings=self._warnings(outputs),
            live=self._tally.info(
                level=self._governor.number,
                lost_lines=0 if outputs is None else outputs.lost_lines,
                paused=self._lineup.paused,
            ),
        )

    def result(self, status: Literal["complete", "interrupted"], outputs: Outputs | None, people: int) -> RunResult:
        """What the caller of a run is given."""
        seen = {} if outputs is None else outputs.memory.people()
        cameras = tuple(
            CameraResult(name, self._scheduler.frames(name), self._tally.tracks[name], seen.get(name, 0))
            for name in self._cameras
        )
        warnings = tuple(self._warnings(outputs))
        known = self._counts(outputs, people).get("identities_known_before")
        return RunResult(self._folder, status, people, cameras, warnings, dict(self._pipeline.seconds), known)

    def _warnings(self, outputs: Outputs | None) -> list[str]:
        return list(warnings_of(self._failures, self._cameras, outputs, self._left_out))

    def _counts(self, outputs: Outputs | None, people: int) -> dict[str, int]:
        counts = {**self._pipeline.counts, "identities": people}
        if self._keeping is not None and outputs is not None:
            counts |= self._keeping.counts(outputs.memory.global_ids())
        return counts
