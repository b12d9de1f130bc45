"""What a search found: before, after, and on sequences that had no say in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidpipe.config import Config
from reidpipe.evaluate.mot import MotReport
from reidpipe.sinks.files import write_bytes, write_json

__all__ = ["Outcome"]

METRICS = ("HOTA", "MOTA", "IDF1")
TUNE_SCHEMA = "reidpipe.tune/1"


@dataclass(frozen=True)
class Outcome:
    """The end of a search, or where it stands when it was interrupted.

    Attributes:
        objective: ``HOTA``, ``IDF1`` or ``MOTA``, of all sequences together, percent.
        tracker: name.
        config: with the limits found; what ``reidpipe run --config`` takes.
        changed: limit -> value before and after, only those that are worth a change.
        before: scores with the limits there were.
        after: scores with the limits found, on the sequences they were found on.
        held_out: each sequence with limits that were found without it; None: not asked for, not finished, or there is
            one sequence only.
        trials: settings tried, in all searches together.
        complete: False when time ran out, or it was interrupted: the same command goes on.
    """

    objective: str
    tracker: str
    config: Config
    changed: Mapping[str, tuple[float, float]]
    before: MotReport
    after: MotReport
    held_out: MotReport | None
    trials: int
    complete: bool

    @property
    def gain(self) -> float:
        """What the objective gained on the sequences searched, percent points."""
        return self.after.combined[self.objective] - self.before.combined[self.objective]

    @property
    def held_out_gain(self) -> float | None:
        """What it gained on sequences that had no say: what to expect elsewhere."""
        if self.held_out is None:
            return None
        return self.held_out.combined[self.objective] - self.before.combined[self.objective]

    def verdict(self) -> str:
        """One line that says whether to use it."""
        name = self.objective
        if not self.changed:
            return f"nothing found that is worth a change: keep the limits there were ({name} {self._of(self.before)})"
        line = f"{name} {self._of(self.before)} -> {self._of(self.after)} ({self.gain:+.1f})"
        if self.held_out_gain is None:
            return f"{line}, on the sequences it was fitted to; what it does elsewhere is not known"
        line += f"; on sequences that had no say {self._of(self.held_out)} ({self.held_out_gain:+.1f})"
        if self.held_out_gain <= 0:
            return f"{line}: fitted to these sequences only, better keep the limits there were or annotate more"
        return line

    def write(self, folder: Path) -> Path:
        """Write ``config.yaml`` and ``outcome.json`` into the folder; returns the first.

        Raises:
            SinkError: they cannot be written.
        """
        head = [f"# Found by `reidpipe tune` ({self.tracker}, {self.trials} settings tried).", f"# {self.verdict()}"]
        head += [f"# track.{name}: {old:g} -> {new:g}" for name, (old, new) in self.changed.items()]
        path = folder / "config.yaml"
        write_bytes(path, "\n".join([*head, "", self.config.to_yaml()]).encode())
        write_json(folder / "outcome.json", self.to_json())
        return path

    def to_json(self) -> dict[str, Any]:
        """Everything but the config, as plain values."""
        return {
            "schema": TUNE_SCHEMA,
            "objective": self.objective,
            "tracker": self.tracker,
            "complete": self.complete,
            "trials": self.trials,
            "changed": {name: {"before": old, "after": new} for name, (old, new) in self.changed.items()},
            "verdict": self.verdict(),
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "held_out": None if self.held_out is None else self.held_out.to_json(),
        }

    def _of(self, report: MotReport | None) -> str:
        return "?" if report is None else f"{report.combined[self.objective]:.1f}"
