"""Which pictures are worked on next: the newest of every camera, who waited longest first, no step too long."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reidpipe.live.overload import Level
from reidpipe.source.mailbox import Mailbox
from reidpipe.stages import SourceInfo
from reidpipe.types import Frame

__all__ = ["LiveCamera", "Scheduler", "Step"]

_SLACK_S = 2e-3
_SMOOTH = 0.2


class LiveCamera(Protocol):
    """A camera with a mailbox: ``LiveSource`` or ``RealtimeSource``."""

    box: Mailbox
    reconnects: int
    stalls: int

    @property
    def camera(self) -> str: ...  # noqa: D102
    @property
    def info(self) -> SourceInfo: ...  # noqa: D102

    def start(self) -> None:
        """Begin to read, in a thread of its own."""
        ...

    def close(self) -> None:
        """Stop, within half a second."""
        ...


@dataclass(slots=True)
class _Turn:
    """What one camera had so far."""

    source: LiveCamera
    served: int = -1
    had: float = 0.0
    detected_s: float = float("-inf")
    taken_s: float = float("-inf")
    frames: int = 0
    detections: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """Pictures to work on.

    Attributes:
        frames: at most one of each camera.
        detect: for each, whether it goes through the detector or is predicted.
    """

    frames: list[Frame]
    detect: list[bool]


class Scheduler:
    """Takes pictures from mailboxes. Used by one thread.

    Args:
        sources: the cameras.
        max_batch: most pictures in one detection.
        step_s: time that one step should take at most, seconds.

    Attributes:
        level: what is done for each picture; its gaps are those of a camera of priority 1.
        priorities: camera -> priority, 1 where it is not named. When there is too much to do, a camera of priority 2
            has twice as many pictures worked on as one of 1.
    """

    def __init__(self, sources: Sequence[LiveCamera], *, max_batch: int = 1, step_s: float = 0.1) -> None:
        self._turns: dict[str, _Turn] = {}
        self._max_batch = max_batch
        self._step_s = step_s
        self._cost_s: float | None = None
        self._steps = 0
        self._had = 0.0
        self._wake = threading.Event()
        self.level = Level()
        self.priorities: dict[str, float] = {}
        for source in sources:
            self.add(source)

    def add(self, source: LiveCamera) -> None:
        """One more camera."""
        self._turns[source.camera] = _Turn(source)
        source.box.listen(self._wake.set)

    def remove(self, camera: str) -> None:
        """A camera is not asked any more."""
        del self._turns[camera]

    def wait(self, timeout_s: float) -> None:
        """Until something happens in a mailbox."""
        self._wake.wait(timeout_s)
        self._wake.clear()

    @property
    def batch(self) -> int:
        """Most pictures that go through the detector in the next step."""
        if self._cost_s is None:
            return 1
        return max(1, min(self._max_batch, int(self._step_s / max(self._cost_s, 1e-6))))

    def took(self, seconds: float, pictures: int) -> None:
        """A step with so many detected pictures took so long: the next ones are cut to fit."""
        if pictures:
            cost_s = seconds / pictures
            self._cost_s = cost_s if self._cost_s is None else self._cost_s + _SMOOTH * (cost_s - self._cost_s)

    def next(self) -> Step | None:
        """The next step; None when no camera has a picture that is due."""
        frames: list[Frame] = []
        detect: list[bool] = []
        room = self.batch
        self._steps += 1
        for turn in sorted(self._turns.values(), key=self._urgency):
            waiting_s, priority = turn.source.box.waiting_s, self._priority(turn)
            if waiting_s is None or waiting_s < turn.taken_s + self.level.frame_gap_s / priority - _SLACK_S:
                continue
            due = waiting_s >= turn.detected_s + self.level.detect_gap_s / priority - _SLACK_S
            if due and not room:
                continue  # it stays where it is, or a newer one takes its place; this camera is first next time
            frame = turn.source.box.take()
            if frame is None:
                continue
            self._note(turn, frame, due)
            room -= due
            frames.append(frame)
            detect.append(due)
        return Step(frames, detect) if frames else None

    def _priority(self, turn: _Turn) -> float:
        return self.priorities.get(turn.source.camera, 1.0)

    def _urgency(self, turn: _Turn) -> tuple[float, int, int]:
        """First who had least for its priority, then who waited longest."""
        return max(turn.had, self._had), turn.served, turn.frames

    def _note(self, turn: _Turn, frame: Frame, due: bool) -> None:
        # Stride scheduling: who was idle for long does not come back with a claim to all that it missed.
        self._had = max(turn.had, self._had)
        turn.had = self._had + 1.0 / self._priority(turn)
        turn.served = self._steps
        turn.taken_s = frame.time_s
        turn.frames += 1
        if due:
            turn.detected_s = frame.time_s
            turn.detections += 1

    def frames(self, camera: str) -> int:
        """Pictures taken of a camera."""
        return self._turns[camera].frames

    def detections(self, camera: str) -> int:
        """Pictures of a camera that went through the detector."""
        return self._turns[camera].detections

    def anew(self, camera: str) -> None:
        """A camera begins anew: its first picture is detected."""
        self._turns[camera].detected_s = float("-inf")
