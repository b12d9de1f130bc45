"""Update cost of the trackers, one thread, beside whatever peers are installed: compare the ratios, not the times.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tools.bench_track_speed bytetrack steady

Peers are taken when they can be imported: ``ultralytics`` (with ``lap``) and roboflow's ``trackers``. Boxes move at
constant velocity with a little noise; trackers take turns picture by picture; CPU time of the thread, so that a busy
machine does not count; median over the pictures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from reidpipe.types import Detections
from tools.bench_trackers import make
from tools.peers import Peer, installed

SIZES = (10, 50, 100, 200, 500)
Update: TypeAlias = Callable[[Detections, float], object]


def started(name: str) -> Update:
    """A new tracker's call; of others their own, with nothing of ours around it."""
    tracker = make(name)
    if isinstance(tracker, Peer):
        return lambda found, _: tracker.raw(found)
    update: Update = tracker.update
    return update


def scene(count: int, pictures: int) -> list[Detections]:
    rng = np.random.default_rng(0)
    place, speed = rng.uniform(0, 1, (count, 2)) * [1920, 1080], rng.uniform(-3, 3, (count, 2))
    height = rng.uniform(60, 180, count)
    half = np.stack((0.2 * height, 0.5 * height), axis=1)
    result = []
    for k in range(pictures):
        centre = place + speed * k
        boxes = np.concatenate((centre - half, centre + half), axis=1) + rng.normal(0, 0.5, (count, 4))
        result.append(Detections(boxes.astype(np.float32), rng.uniform(0.7, 1, count).astype(np.float32)))
    return result


def main() -> None:
    names = [*installed(), *(sys.argv[1:] or ["bytetrack", "steady"])]
    print("microseconds a picture:", ", ".join(names))
    for count in SIZES:
        pictures = scene(count, 100 if count < 500 else 40)
        updates = {name: started(name) for name in names}
        times: dict[str, list[float]] = {name: [] for name in updates}
        for k, detections in enumerate(pictures):
            for name, update in updates.items():
                start = time.thread_time()
                update(detections, k / 30)
                times[name].append(time.thread_time() - start)
        medians = {name: float(np.median(values[5:])) * 1e6 for name, values in times.items()}
        first = next(iter(medians.values()))
        print(f"{count:4d}", "  ".join(f"{name} {value:.0f} ({value / first:.2f})" for name, value in medians.items()))


if __name__ == "__main__":
    main()
