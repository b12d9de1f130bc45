"""Does the search for instance norms find a pattern, the same one every time, and does it help on unseen cameras?

    python -m tools.search_study configs/reid/nas.yaml configs/reid/study.yaml \\
        --search-seconds 900 --train-seconds 900

Searches with three seeds, then trains each child beside OSNet and OSNet-AIN of the same width under one equal budget by
the second recipe, and scores all of them on sets that nothing here is trained on. Stop it (Ctrl-C) and start it again:
finished parts are kept, the one that was going on continues. Everything lies under `--output`; a child is
`search_SEED/child.yaml`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from reidpipe.evaluate.protocols import evaluate_retrieval
from reidpipe.evaluate.tables import retrieval_table
from reidpipe.reid.embed import checkpoint_embedder
from reidpipe.reid.search import parse_search_config, search
from reidpipe.reid.spec import AIN, BLOCK_NAMES, OSNetSpec, get_spec
from tools.small_runs import Budget, Run, add_budget, budget_of, read, train_run


def main() -> None:
    options = _parser().parse_args()
    found = {seed: search_seed(options, seed, budget_of(options, "search_")) for seed in options.seeds}
    show_patterns(found)
    recipe, budget = read(options.recipe, options.set), budget_of(options, "train_")
    base = get_spec(read(options.search_recipe, options.search_set).get("base", "osnet_x0_25"))
    ain = base.model_copy(update={"norms": AIN, "stem_norm": "instance", "layout": "ain"})
    specs = {"OSNet": base, "OSNet-AIN": ain} | {f"child of seed {seed}": spec for seed, spec in found.items()}
    runs: dict[str, Run] = {}
    for number, (name, spec) in enumerate(specs.items(), start=1):
        print(f"training {number} of {len(specs)}: {name}", flush=True)
        runs[name] = train_run(recipe, spec, options.output / name.replace(" ", "_"), budget)
    show_scores(options, recipe, runs, budget)


def search_seed(options: argparse.Namespace, seed: int, budget: Budget) -> OSNetSpec:
    """Search, go on, or take the child of a search that is finished under this budget."""
    output = options.output / f"search_{seed}"
    finished = output / "finished.json"
    if finished.is_file() and json.loads(finished.read_text()) == budget:
        return get_spec(output / "child.yaml")
    print(f"search with seed {seed}: {budget}", flush=True)
    recipe = {**read(options.search_recipe, options.search_set), "seed": seed, "output": str(output), "budget": budget}
    child = search(parse_search_config(recipe))
    finished.write_text(json.dumps(budget))
    return child


def show_patterns(found: dict[int, OSNetSpec]) -> None:
    """The norm of each block by seed, and how many of the seeds agree."""
    print(f"\n{'block':10}" + "".join(f"{f'seed {seed}':>10}" for seed in found) + f"{'OSNet-AIN':>11}  agree")
    for place, block in enumerate(BLOCK_NAMES):
        norms = [spec.norms[place] for spec in found.values()]
        agree = Counter(norms).most_common(1)[0][1]
        row = "".join(f"{norm:>10}" for norm in norms)
        print(f"{block:10}{row}{AIN[place]:>11}  {agree} of {len(norms)}")
    same = sum(len({spec.norms[place] for spec in found.values()}) == 1 for place in range(len(BLOCK_NAMES)))
    print(f"blocks where all seeds agree: {same} of {len(BLOCK_NAMES)}")


def show_scores(options: argparse.Namespace, recipe: dict[str, Any], runs: dict[str, Run], budget: Budget) -> None:
    """Held-out people of the recipe, then the cross-domain table."""
    print(f"\nheld-out people of the training sets, after {budget} each")
    for name, run in runs.items():
        print(f"{name:20} rank-1 {100 * run.rank1:5.1f}  mAP {100 * run.mean_ap:5.1f}  images seen {run.images}")
    size = (recipe.get("stages") or [{}])[-1]
    height, width = size.get("height", 256), size.get("width", 128)
    folders = {name: Path(folder) for name, _, folder in (entry.partition("=") for entry in options.exam)}
    table = {
        name: evaluate_retrieval(checkpoint_embedder(run.spec, Path(run.weights), height=height, width=width), folders)
        for name, run in runs.items()
    }
    print(f"\nsets that nothing was trained on, {height}x{width}, cosine")
    Console(width=120).print(retrieval_table(table))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("search_recipe", type=Path)
    parser.add_argument("recipe", type=Path, help="how the children and the two others are trained")
    parser.add_argument("--output", type=Path, default=Path("runs/reid/study"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    data = "../shared/data/reid"
    parser.add_argument("--exam", nargs="+", default=[f"viper={data}/viper", f"grid={data}/grid"], metavar="SET=FOLDER")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes of the recipe")
    parser.add_argument("--search-set", nargs="+", default=[], metavar="KEY=VALUE", help="changes of the search recipe")
    add_budget(parser, "search-")
    add_budget(parser, "train-")
    return parser


if __name__ == "__main__":
    main()
