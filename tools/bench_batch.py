"""Does it pay to detect several pictures at once? Processor time a picture, and the memory that the engine keeps.

    python -m tools.bench_batch --threads 2

Runs the detector on 1, 2, 4 and 8 pictures of 640 x 480 by turns; prints the median processor time for one of them, and
the memory of the process once that many went through for the first time.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from reidpipe.detect.yolo import YoloDetector
from reidpipe.live.snapshot import resident_bytes
from reidpipe.live.trim import give_back_memory, settle_allocator

BATCHES = (1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="person_n")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    arguments = parser.parse_args()
    settle_allocator()  # as the command does
    detector = YoloDetector(arguments.model, threads=arguments.threads)
    pictures = list(np.random.default_rng(0).integers(0, 255, (max(BATCHES), 480, 640, 3), np.uint8))
    memory_mb = {}
    for count in BATCHES:
        detector.detect(pictures[:count])
        give_back_memory()
        memory_mb[count] = resident_bytes() / 1e6
    spent: dict[int, list[float]] = {count: [] for count in BATCHES}
    for _ in range(arguments.rounds):
        for count in BATCHES:
            begun = time.process_time()
            detector.detect(pictures[:count])
            spent[count].append((time.process_time() - begun) / count)
    for count in BATCHES:
        print(f"{count} at once: {1000 * statistics.median(spent[count]):.1f} ms each, {memory_mb[count]:.0f} MB")


if __name__ == "__main__":
    main()
