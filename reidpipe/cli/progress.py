"""What a run shows: a bar for each camera on a terminal, plain lines elsewhere; and how Ctrl-C stops it."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from reidpipe.progress import Silent

if TYPE_CHECKING:
    from reidpipe.progress import Progress as RunProgress
    from reidpipe.recorded import RunResult

__all__ = ["console_progress", "print_summary", "stop_on_signals"]

PLAIN_EVERY_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def console_progress(*, quiet: bool, as_json: bool = False) -> Iterator[RunProgress]:
    """Bars on a terminal, a line every ten seconds elsewhere, nothing when quiet. All of it on stderr.

    Args:
        quiet: say nothing.
        as_json: one JSON object a line, for what happens and not for how far it is.
    """
    console = Console(stderr=True, highlight=False)
    if as_json:
        yield JsonLines()
    elif quiet:
        yield Silent()
    elif console.is_terminal:
        with _bars(console) as bars:
            yield Bars(bars)
    else:
        yield Lines(console)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.fields[phase]:>5} {task.fields[camera]}"),
        BarColumn(),
        TextColumn("{task.completed:>6.0f}/{task.fields[total_text]}"),
        TextColumn("{task.fields[fps]:>6.1f} fps"),
        TimeRemainingColumn(),
        TextColumn("people now {task.fields[people]}, most {task.fields[most]}"),
        console=console,
    )


class Bars:
    """One bar a camera: pictures done, speed, time left, people in the newest picture."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._started = time.monotonic()
        self._most: dict[str, int] = {}

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None:
        """Replace the bars by those of a new pass."""
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._started = time.monotonic()
        self._most = dict.fromkeys(totals, 0)
        self._tasks = {
            camera: self._bars.add_task(
                "", total=total, phase=name, camera=camera, total_text=total or "?", fps=0.0, people=0, most=0
            )
            for camera, total in totals.items()
        }

    def frame(self, camera: str, *, people: int) -> None:
        """Move one bar."""
        task = self._tasks[camera]
        done = self._bars.tasks[self._bars.task_ids.index(task)].completed + 1
        self._most[camera] = max(self._most[camera], people)
        fps = done / max(time.monotonic() - self._started, 1e-6)
        self._bars.update(task, advance=1, fps=fps, people=people, most=self._most[camera])

    def note(self, message: str) -> None:
        """Print above the bars."""
        self._bars.console.print(message, markup=False)


class Lines:
    """A line when a pass begins and every ten seconds: fit for a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._name = ""
        self._totals: Mapping[str, int | None] = {}
        self._done: dict[str, int] = {}
        self._said = time.monotonic()

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None:
        """Say which pass begins."""
        self._name, self._totals, self._done = name, totals, dict.fromkeys(totals, 0)
        self._said = time.monotonic()
        self.note(f"{name}: " + ", ".join(f"{camera} ({total or '?'} pictures)" for camera, total in totals.items()))

    def frame(self, camera: str, *, people: int) -> None:
        """Count, and speak now and then."""
        self._done[camera] += 1
        if time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            parts = [f"{name} {done}/{self._totals[name] or '?'}" for name, done in self._done.items()]
            self.note(f"{self._name}: " + ", ".join(parts))

    def note(self, message: str) -> None:
        """One plain line."""
        self._console.print(message, markup=False, soft_wrap=True)


class JsonLines:
    """A JSON object for each thing that happens: ``time`` (ISO 8601, UTC) and ``message``; for log collectors."""

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None:
        """Say which pass begins, and its cameras."""
        self._write(f"{name} begins", cameras=list(totals))

    def frame(self, camera: str, *, people: int) -> None:
        """Nothing: lines tell what happens, not every picture."""

    def note(self, message: str) -> None:
        """One line."""
        self._write(message)

    def _write(self, message: str, **more: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sys.stderr.write(json.dumps({"time": now, "message": message, **more}, ensure_ascii=False) + "\n")
        sys.stderr.flush()


@contextmanager
def stop_on_signals(*, as_json: bool = False) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets, so that a run can end in order; a second one ends it at once."""
    stop, told = threading.Event(), threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        told.set()
        stop.set()
        if as_json:
            JsonLines().note("stopping, finishing what is open (again to stop at once)")
        else:
            sys.stderr.write("\nreidpipe: stopping, finishing what is open (again to stop at once)\n")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        with _set_at_once(stop):
            yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _set_at_once(stop: threading.Event) -> Iterator[None]:
    """Handlers run between two lines of Python, and a net on a busy machine takes seconds: a thread is told sooner."""
    ours, theirs = socket.socketpair()

    def listen() -> None:
        while number := ours.recv(1):
            if number[0] in _SIGNALS:
                stop.set()

    theirs.setblocking(False)
    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()  # ends the thread
        listener.join()
        ours.close()


def print_summary(result: RunResult, *, quiet: bool, as_json: bool = False) -> None:
    """Who was seen where, and where the results are."""
    if as_json:
        lines = JsonLines()
        for warning in result.warnings:
            lines.note(f"warning: {warning}")
        lines.note(f"{result.status}: {_people(result)}; results in {result.out}")
        return
    console = Console(stderr=True, highlight=False)
    for warning in result.warnings:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    if quiet:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("camera", "pictures", "tracks", "people"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    for camera in result.cameras:
        table.add_row(camera.camera, str(camera.frames), str(camera.tracks), str(camera.people))
    console.print(table)
    console.print(f"{_people(result)}; results in {result.out}", markup=False, soft_wrap=True)


def _people(result: RunResult) -> str:
    """How many, and how many of them were no strangers."""
    known = "" if result.known_before is None else f", {result.known_before} of them known before"
    return f"{result.people} people over all cameras{known}"
