"""What a live run counts for each camera."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from reidpipe.live.ages import Ages, RecentAges
from reidpipe.live.scheduler import LiveCamera, Scheduler
from reidpipe.live.snapshot import CameraSnapshot
from reidpipe.source.wallclock import RunClock
from reidpipe.types import FrameResult

__all__ = ["Tally"]


class Tally:
    """Ages, people and tracks, picture by picture.

    Args:
        cameras: name -> camera.
        scheduler: counts what was taken and detected.
        clock: of the run.

    Attributes:
        ages: of all results.
        recent: of the last minute or two.
        tracks: camera -> tracks that were shown.
    """

    def __init__(self, cameras: Mapping[str, LiveCamera], scheduler: Scheduler, clock: RunClock) -> None:
        self._cameras = cameras
        self._scheduler = scheduler
        self._clock = clock
        self._people: defaultdict[str, int] = defaultdict(int)
        self._newest_s: dict[str, float] = {}
        self._last_id: defaultdict[str, int] = defaultdict(int)
        self.ages = Ages()
        self.recent = RecentAges()
        self.tracks: defaultdict[str, int] = defaultdict(int)

    def note(self, result: FrameResult, age_s: float, now: float) -> None:
        """Take one picture; ``now`` in monotonic seconds."""
        camera, ids = result.frame.camera, result.tracks.track_ids
        self.ages.add(age_s)
        self.recent.add(age_s, now)
        self._people[camera] = len(ids)
        self._newest_s[camera] = result.frame.time_s
        if len(ids):
            # Ids of a live run only grow: those above the largest one so far are new.
            self.tracks[camera] += int((ids > self._last_id[camera]).sum())
            self._last_id[camera] = max(self._last_id[camera], int(ids.max()))

    def gone(self, camera: str) -> None:
        """A camera gives no pictures: nobody is seen there now."""
        self._people[camera] = 0

    def forget(self, camera: str) -> None:
        """A camera is not counted any more, but for its tracks."""
        self._people.pop(camera, None)
        self._newest_s.pop(camera, None)

    def now(self) -> tuple[CameraSnapshot, ...]:
        """All cameras as they are now; may be called from any thread."""
        found = []
        for name in tuple(self._cameras):
            with suppress(KeyError):  # taken out at this very moment
                found.append(self.camera(name))
        return tuple(found)

    def camera(self, name: str) -> CameraSnapshot:
        """One camera as it is now.

        Raises:
            KeyError: there is none of this name.
        """
        camera = self._cameras[name]
        counts, newest_s = camera.box.counts, self._newest_s.get(name)
        return CameraSnapshot(
            camera=name,
            state=camera.box.state,
            fps=camera.info.fps,
            received=counts.received,
            processed=self._scheduler.frames(name),
            detected=self._scheduler.detections(name),
            dropped=counts.dropped,
            damaged=counts.damaged,
            reconnects=camera.reconnects,
            stalls=camera.stalls,
            people=self._people.get(name, 0),
            age_s=None if newest_s is None else max(0.0, self._clock.now() - newest_s),
        )

    def info(self, *, level: int, lost_lines: int, paused: Iterable[CameraSnapshot]) -> dict[str, Any]:
        """The part of run.json that is about a live run."""
        cameras = {}
        for one in (*self.now(), *paused):
            cameras[one.camera] = {
                "state": one.state,
                "received": one.received,
                "processed": one.processed,
                "detected": one.detected,
                "dropped": one.dropped,
                "damaged": one.damaged,
                "reconnects": one.reconnects,
                "stalls": one.stalls,
            }
        return {
            "level": level,
            "age_p50_s": _rounded(self.ages.percentile(0.5)),
            "age_p99_s": _rounded(self.ages.percentile(0.99)),
            "lost_lines": lost_lines,
            "cameras": cameras,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
