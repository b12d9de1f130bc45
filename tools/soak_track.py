"""Memory of the trackers over a long film: 100,000 pictures, people who come and go all the time.

    python -m tools.soak_track                       # all trackers; steady also with looks
    python -m tools.soak_track steady --pictures 20000

Prints resident memory and what the tracker holds, early and at the end.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import numpy as np

from reidpipe.types import Detections
from tools.bench_trackers import CLASSES, make

STAY = 40
"""Pictures that a person stays, ten a second."""


def picture(k: int, people: int = 6) -> Detections:
    """Of picture ``k``: everybody walks for four seconds; they come one after the other."""
    who = [(k + STAY * i // people) // STAY * people + i for i in range(people)]
    boxes, looks = np.zeros((people, 4), np.float32), np.zeros((people, 32), np.float32)
    for row, person in enumerate(who):
        rng = np.random.default_rng(person)
        x, y, speed = rng.uniform(0, 1500), rng.uniform(0, 900), rng.uniform(-8, 8)
        age = (k + STAY * row // people) % STAY
        boxes[row] = (x + speed * age, y, x + speed * age + 50, y + 130)
        looks[row] = rng.normal(size=32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    return Detections(boxes, np.full(people, 0.9, np.float32), looks)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trackers", nargs="*", metavar="tracker", help=f"of {', '.join(sorted(CLASSES))}")
    parser.add_argument("--pictures", type=int, default=100_000)
    args = parser.parse_args()
    for name in args.trackers or sorted(CLASSES):
        tracker, early, last_id = make(name), "", 0
        for k in range(args.pictures):
            tracks = tracker.update(picture(k), k / 10)
            last_id = max(last_id, int(tracks.track_ids.max(initial=0)))
            if k + 1 in (args.pictures // 10, args.pictures):
                now = f"{resident_mb():.1f} MB resident, {len(pickle.dumps(tracker)) / 1000:.1f} kB held"
                early = early or now
        print(
            f"{name}: after {args.pictures // 10} pictures {early}; after {args.pictures} {now}; {last_id} ids",
            flush=True,
        )


if __name__ == "__main__":
    main()
