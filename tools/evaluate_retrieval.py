"""Cross-domain table of embedders: retrieval on VIPeR and GRID, which nothing here is trained on, by their protocols.

    python tools/evaluate_retrieval.py osnet_x0_25 ../shared/data/weights/osnet_x0_25_msmt17_combineall.onnx
    python tools/evaluate_retrieval.py osnet_x0_25 --data cuhk03=../shared/data/reid/cuhk03_p1 --rerank

A model is a name of the manifest or a file. Pictures go through the pipeline's own embedder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.evaluate.protocols import Protocol, embedder_of_files, evaluate_retrieval
from reidpipe.evaluate.tables import retrieval_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", action="append", metavar="SET=FOLDER", help="default: viper and grid of --root")
    parser.add_argument("--root", type=Path, default=Path("../shared/data/reid"))
    parser.add_argument("--metric", choices=["cosine", "euclidean"], default="cosine")
    parser.add_argument("--split", choices=["all", "ten"], default="all")
    parser.add_argument("--rerank", action="store_true", help="k-reciprocal re-ranking")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    pairs = [entry.split("=", 1) for entry in options.data or ()]
    folders = {name: Path(folder) for name, folder in pairs}
    folders = folders or {name: options.root / name for name in ("viper", "grid")}
    console = Console()
    for model in options.models:
        embedder = OSNetEmbedder(model, backend=options.backend, threads=options.threads)
        scores = evaluate_retrieval(
            embedder_of_files(embedder),
            folders,
            protocol=Protocol(metric=options.metric, split=options.split, rerank=options.rerank),
        )
        height, width = embedder.facts.input_size
        console.print(retrieval_table({f"{Path(model).name}, {height}x{width}": scores}))


if __name__ == "__main__":
    main()
