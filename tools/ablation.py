"""Ablation of OSNet at a small scale: T = 1 to 4 and six ways to join the streams, each trained under one equal budget.

    python -m tools.ablation configs/reid/study.yaml --images 64000        # or --seconds 600

Stop it whenever you like (Ctrl-C) and start it again: finished runs are kept, the one that was going on continues. The
recipe says how to train; `model`, `output` and `budget` are replaced for each run. Scores are rank-1 and mAP on the
held-out people of the recipe. Beside them stands the rank-1 of the paper (arXiv 1905.00953, table 5, Market-1501, width
1.0, trained to the end), and the last lines say plainly which of the paper's orders the small runs repeat.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

from reidpipe.reid.spec import get_spec
from tools.small_runs import Run, add_budget, budget_of, read, train_run

STREAMS = {1: 86.5, 2: 91.7, 3: 92.8, 4: 93.6}
FUSIONS = {"concat": 91.4, "add": 92.0, "separate": 92.9, "stream": 92.6, "fixed": 91.6, "unified": 93.6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/reid/ablation"))
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes of the recipe")
    add_budget(parser)
    options = parser.parse_args()
    recipe, budget = read(options.recipe, options.set), budget_of(options)
    base = get_spec(recipe.get("model", "osnet_x0_25"))
    specs = {f"T={count}": base.model_copy(update={"streams": count}) for count in STREAMS}
    specs |= {name: base.model_copy(update={"fusion": name}) for name in FUSIONS if name != "unified"}
    runs = {}
    for number, (name, spec) in enumerate(specs.items(), start=1):
        print(f"{number} of {len(specs)}: {name}", flush=True)
        runs[name] = train_run(recipe, spec, options.output / name.replace("=", ""), budget)
    runs["unified"] = runs["T=4"]
    print(f"\nbudget of each run: {budget}; images seen: {min(r.images for r in runs.values())} or more")
    report("streams T", {f"T={key}": value for key, value in STREAMS.items()}, runs)
    report("fusion", FUSIONS, runs)


def report(title: str, paper: dict[str, float], ours: dict[str, Run]) -> None:
    """Print one table and the pairs of neighbours in the paper's order that ours repeats."""
    print(f"\n{title:12} rank-1   mAP   paper rank-1   images seen")
    for name, published in paper.items():
        run = ours[name]
        print(f"{name:12} {100 * run.rank1:6.1f} {100 * run.mean_ap:5.1f}   {published:12.1f}   {run.images:11d}")
    order = sorted(paper, key=lambda name: paper[name])
    kept = [f"{low} < {high}" for low, high in pairwise(order) if ours[low].rank1 < ours[high].rank1]
    lost = [f"{low} < {high}" for low, high in pairwise(order) if ours[low].rank1 >= ours[high].rank1]
    print(f"orders of the paper that repeat: {', '.join(kept) or 'none'}")
    print(f"orders of the paper that do not: {', '.join(lost) or 'none'}")


if __name__ == "__main__":
    main()
