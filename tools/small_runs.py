"""Trainings under one equal budget, kept when they are finished: what the ablation and the search study share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reidpipe.reid.config import parse_train_config
from reidpipe.reid.recipes import read_recipe
from reidpipe.reid.spec import OSNetSpec, save_spec
from reidpipe.reid.trainer import train

Budget = dict[str, float]


@dataclass(frozen=True)
class Run:
    """A finished training: scores on the held-out people as fractions, and what it saw."""

    rank1: float
    mean_ap: float
    images: int
    weights: str
    spec: str


def add_budget(parser: argparse.ArgumentParser, name: str = "") -> None:
    """`--images` or `--seconds`, exactly one of them."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(f"--{name}images", type=int, help="training images of each run: the same result every time")
    group.add_argument(f"--{name}seconds", type=float, help="seconds of each run: equal time, not equal images")


def budget_of(options: argparse.Namespace, name: str = "") -> Budget:
    images, seconds = (getattr(options, f"{name}{unit}") for unit in ("images", "seconds"))
    return {"images": images} if images is not None else {"seconds": seconds}


def read(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    return read_recipe(path, overrides=changes)


def train_run(recipe: dict[str, Any], spec: OSNetSpec, output: Path, budget: Budget) -> Run:
    """Train one net, continue it, or take what it left when it was finished under this budget."""
    finished = output / "result.json"
    if finished.is_file():
        stored = json.loads(finished.read_text())
        if stored.pop("budget") == budget:
            return Run(**stored)
    save_spec(spec, output / "spec.yaml")
    model, weights = str(output / "spec.yaml"), output / "model.pth"
    train(parse_train_config({**recipe, "model": model, "output": str(output), "budget": budget}))
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    last = next(row for row in reversed(rows) if "rank1" in row)
    run = Run(last["rank1"], last["mean_ap"], last["images"], str(weights), model)
    finished.write_text(json.dumps({**asdict(run), "budget": budget}, indent=2))
    return run
