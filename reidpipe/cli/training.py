"""What a training shows: bars on a terminal, plain lines elsewhere; all of it on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["console_training", "row_text"]

PLAIN_EVERY_S = 10.0
_SKIPPED = ("progress", "height", "seconds", "weights")


class Training(Protocol):
    """Told how a training goes."""

    def prepare(self, what: str, done: int, total: int) -> None:
        """Decoding and teacher features."""
        ...

    def log(self, row: Mapping[str, Any]) -> None:
        """A row of the log."""
        ...


@contextmanager
def console_training(*, quiet: bool) -> Iterator[Training]:
    """Bars on a terminal, a line for each row of the log elsewhere, nothing when quiet."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield Silent()
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f} %"))
        with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[said]}"), console=console) as bars:
            yield Bars(bars)
    else:
        yield Lines(console)


class Silent:
    """Says nothing."""

    def prepare(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Nothing."""


class Lines:
    """A line now and then: fit for a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = time.monotonic()

    def prepare(self, what: str, done: int, total: int) -> None:
        """Every ten seconds, and at the end."""
        if done == total or time.monotonic() - self._said >= PLAIN_EVERY_S:
            self._said = time.monotonic()
            self._console.print(f"{what}: {done} of {total}", markup=False)

    def log(self, row: Mapping[str, Any]) -> None:
        """Every row."""
        self._console.print(row_text(row), markup=False, soft_wrap=True)


class Bars:
    """A bar for each preparation and one for the training; validations are printed above."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def prepare(self, what: str, done: int, total: int) -> None:
        """Move the bar of what is prepared."""
        self._move(what, done, total, f"{done} of {total}")

    def log(self, row: Mapping[str, Any]) -> None:
        """Move the bar of the training."""
        if "rank1" in row or "weights" in row:
            self._bars.console.print(row_text(row), markup=False)
        if "progress" in row:
            self._move("train", row["progress"], 1.0, row_text(row))

    def _move(self, what: str, done: float, total: float, said: str) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total, said="")
        self._bars.update(self._tasks[what], completed=done, said=said)


def row_text(row: Mapping[str, Any]) -> str:
    """A row of the log for people: `4.1 %, 96 rows, step 50, images 6400, ...`."""
    parts = []
    if "progress" in row:
        parts.append(f"{100 * row['progress']:.1f} %")
    if "height" in row:
        parts.append(f"{row['height']} rows")
    parts += [f"{name} {_value(value)}" for name, value in row.items() if name not in _SKIPPED]
    if "weights" in row:
        best = [f"{block} {max(shares, key=shares.get)}" for block, shares in row["weights"].items()]
        parts.append("best " + ", ".join(best))
    return ", ".join(parts)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
