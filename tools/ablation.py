"""Ablation of OSNet at a small scale: T = 1 to 4 and six ways to join the streams, each trained under one equal budget.

    python tools/ablation.py configs/reid/ablation.yaml --images 200000

The recipe says how to train; `model` and `output` are replaced for each run. Scores are rank-1 and mAP on the held-out
people of the recipe. Beside them stands the rank-1 of the paper (arXiv 1905.00953, table 5, Market-1501, width 1.0,
trained to the end), and the last lines say plainly which of the paper's orders the small runs repeat.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from reidpipe.reid.config import TrainConfig, parse_train_config
from reidpipe.reid.spec import OSNetSpec, get_spec, save_spec
from reidpipe.reid.trainer import train

STREAMS = {1: 86.5, 2: 91.7, 3: 92.8, 4: 93.6}
FUSIONS = {"concat": 91.4, "add": 92.0, "separate": 92.9, "stream": 92.6, "fixed": 91.6, "unified": 93.6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--images", type=int, required=True, help="training images of each run")
    parser.add_argument("--output", type=Path, default=Path("runs/reid/ablation"))
    options = parser.parse_args()
    recipe = yaml.safe_load(options.recipe.read_text())
    base = get_spec(recipe.get("model", "osnet_x0_25"))
    runs = {f"T={count}": base.model_copy(update={"streams": count}) for count in STREAMS}
    runs |= {name: base.model_copy(update={"fusion": name}) for name in FUSIONS if name != "unified"}
    scores = {name: run(recipe, spec, options.output / name, options.images) for name, spec in runs.items()}
    scores["unified"] = scores["T=4"]
    report(
        "streams T",
        {str(key): value for key, value in STREAMS.items()},
        {k[2:]: v for k, v in scores.items() if k[:2] == "T="},
    )
    report("fusion", FUSIONS, {name: scores[name] for name in FUSIONS})


def run(recipe: dict[str, Any], spec: OSNetSpec, output: Path, images: int) -> tuple[float, float]:
    """Train one variant (or continue it) and return its last rank-1 and mAP."""
    save_spec(spec, output / "spec.yaml")
    changed = {**recipe, "model": str(output / "spec.yaml"), "output": str(output), "budget": {"images": images}}
    config: TrainConfig = parse_train_config(changed)
    train(config)
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    last = next(row for row in reversed(rows) if "rank1" in row)
    return last["rank1"], last["mean_ap"]


def report(title: str, paper: dict[str, float], ours: dict[str, tuple[float, float]]) -> None:
    """Print one table and the pairs of neighbours in the paper's order that ours repeats."""
    print(f"\n{title:12} rank-1   mAP   paper rank-1")
    for name, published in paper.items():
        rank1, mean_ap = ours[name]
        print(f"{name:12} {100 * rank1:6.1f} {100 * mean_ap:5.1f}   {published:.1f}")
    order = sorted(paper, key=lambda name: paper[name])
    kept = [f"{low} < {high}" for low, high in pairwise(order) if ours[low][0] < ours[high][0]]
    lost = [f"{low} < {high}" for low, high in pairwise(order) if ours[low][0] >= ours[high][0]]
    print(f"orders of the paper that repeat: {', '.join(kept) or 'none'}")
    print(f"orders of the paper that do not: {', '.join(lost) or 'none'}")


if __name__ == "__main__":
    main()
