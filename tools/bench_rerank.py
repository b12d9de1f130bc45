"""CPU seconds and memory of scoring a retrieval test of Market-1501's size, plain and re-ranked, on made-up vectors.

    OMP_NUM_THREADS=1 python -m tools.bench_rerank [--queries 3368 --gallery 19732]

Vectors of 751 people with noise; memory is the peak of the process above what it held before.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from reidpipe.evaluate.rerank import rerank_blocks
from reidpipe.evaluate.retrieval import RetrievalScores, score_blocks, score_retrieval
from reidpipe.types import Ids, Vectors

PEOPLE, NOISE = 751, 1.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=3368)
    parser.add_argument("--gallery", type=int, default=19732)
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((PEOPLE, options.dim), dtype=np.float32)
    queries, gallery = (people(rng, centres, count) for count in (options.queries, options.gallery))
    labels = (queries[1], queries[2], gallery[1], gallery[2])
    before, start = peak_mib(), time.process_time()
    plain = score_retrieval(queries[0], *labels[:2], gallery[0], *labels[2:])
    show("plain", plain, time.process_time() - start, peak_mib() - before)
    start = time.process_time()
    reranked = score_blocks(rerank_blocks(queries[0], gallery[0]), *labels)
    show("re-ranked", reranked, time.process_time() - start, peak_mib() - before)


def people(rng: np.random.Generator, centres: Vectors, count: int) -> tuple[Vectors, Ids, Ids]:
    """Vectors, persons and cameras."""
    persons = rng.integers(0, len(centres), count)
    noise = rng.standard_normal((count, centres.shape[1]), dtype=np.float32)
    return centres[persons] + np.float32(NOISE) * noise, persons, rng.integers(0, 6, count)


def peak_mib() -> float:
    """Largest resident memory of the process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def show(name: str, scores: RetrievalScores, seconds: float, memory: float) -> None:
    print(
        f"{name:10} rank-1 {100 * scores.rank(1):5.1f}  mAP {100 * scores.mean_ap:5.1f}  "
        f"{seconds:6.1f} CPU s  {memory:6.0f} MiB more at the peak",
        flush=True,
    )


if __name__ == "__main__":
    main()
