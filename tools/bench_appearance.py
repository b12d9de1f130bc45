"""What appearance is worth inside one camera, on real frames: none, on demand, every crop; and what a low rate costs.

    python -m tools.bench_appearance                                  # our detector, our OSNet x0.25
    python -m tools.bench_appearance --detector ../shared/data/weights/yolov5n_coco_fp16.onnx \\
        --embedder ../shared/data/weights/osnet_x0_25_msmt17_combineall.onnx
    python -m tools.bench_appearance --fps 10 5 2                     # every n-th picture, and what is lost by it

Beside it, motion only: our ``bytetrack`` in seconds and in frames, as public ones count, and those of others that are
installed (``tools/peers.py``). Detections and embeddings of the five sequences of ../shared/data/mot are made once and
kept in runs/track/. With every n-th picture, n different sets of pictures are left: figures are the mean over all n.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from reidpipe.build import SCORES_OF_YOLO
from reidpipe.evaluate.mot import count_sequence
from reidpipe.evaluate.mot_text import MotRows
from reidpipe.evaluate.paired import PairedSequence
from tools.bench_trackers import make
from tools.peers import installed
from tools.real_frames import SEQUENCES, Crops, RealSequence

METRICS = ("HOTA", "MOTA", "IDF1", "IDSW")
Figures: TypeAlias = dict[str, float]


def follow(sequence: RealSequence, tracker: Any, crops: Crops, frames: range) -> tuple[MotRows, int]:
    """Result rows over the chosen frames, and how many crops were embedded."""
    followed = list(sequence.follow(tracker, crops, frames))
    rows = MotRows.of_tracks((frame, tracks) for frame, _, _, tracks, _ in followed)
    return rows, sum(len(wanted) for *_, wanted in followed)


def score(sequence: RealSequence, make_tracker: Callable[[], Any], crops: Crops, fps: float | None) -> Figures:
    """Scores and crops embedded, the mean over all sets of every n-th picture."""
    step, found = sequence.step(fps), []
    for first in range(1, step + 1):
        frames = range(first, sequence.count + 1, step)
        result, embedded = follow(sequence, make_tracker(), crops, frames)
        scores = count_sequence(PairedSequence.of(sequence.truth_of(frames), result)).scores()
        found.append({name: float(scores[name]) for name in METRICS} | {"crops": float(embedded)})
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def rows() -> list[tuple[str, Crops]]:
    """Which trackers, with which crops."""
    motion = (*installed(), "bytetrack-in-frames", "bytetrack", "steady")
    return [*((name, "none") for name in motion), ("steady", "demand"), ("steady", "all")]


def show(title: str, results: Mapping[str, Mapping[str, Figures]]) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("tracker, appearance", *METRICS, "crops embedded", *SEQUENCES):
        table.add_column(heading, justify="right")
    for name, by_sequence in results.items():
        each = list(by_sequence.values())
        means = [f"{np.mean([one[metric] for one in each]):.1f}" for metric in METRICS[:3]]
        sums = [f"{sum(one[metric] for one in each):.0f}" for metric in ("IDSW", "crops")]
        table.add_row(name, *means, *sums, *(f"{one['IDF1']:.1f}" for one in each))
    Console(width=180).print(table)


def show_losses(by_rate: Mapping[float | None, Mapping[str, Mapping[str, Figures]]]) -> None:
    rates = [rate for rate in by_rate if rate is not None]
    table = Table(title="IDF1, mean of the sequences: all pictures, then fewer a second (loss)", title_justify="left")
    for heading in ("tracker, appearance", "all", *(f"{rate:g}" for rate in rates)):
        table.add_column(heading, justify="right")
    for name, at_full in by_rate[None].items():
        full = np.mean([one["IDF1"] for one in at_full.values()])
        fewer = [np.mean([one["IDF1"] for one in by_rate[rate][name].values()]) for rate in rates]
        table.add_row(name, f"{full:.1f}", *(f"{value:.1f} ({full - value:.1f})" for value in fewer))
    Console(width=180).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="person_n")
    parser.add_argument("--embedder", default="osnet_x0_25")
    for name in ("high", "new"):
        parser.add_argument(f"--{name}", type=float, default=SCORES_OF_YOLO[f"{name}_score"], help="as in a run")
    parser.add_argument("--fps", type=float, nargs="*", default=[], help="also every n-th picture")
    args = parser.parse_args()
    sequences = [RealSequence.load(name, args.detector, args.embedder) for name in SEQUENCES]
    limits = {"high_score": args.high, "new_score": args.new}
    by_rate: dict[float | None, dict[str, dict[str, Figures]]] = {}
    for fps in (None, *args.fps):
        by_rate[fps] = {
            f"{name}, {crops}": {one.name: score(one, partial(make, name, **limits), crops, fps) for one in sequences}
            for name, crops in rows()
        }
        show(f"{args.detector}, {args.embedder}: mean of {len(SEQUENCES)} sequences, {fps or 'all'} fps", by_rate[fps])
    if args.fps:
        show_losses(by_rate)


if __name__ == "__main__":
    main()
