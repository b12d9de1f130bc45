"""Whether people keep their ids when a run stops and another one goes on with its store.

    python tools/bench_restart.py samples --seconds 18
    python tools/bench_restart.py --world 77 --people 8 --cameras 2 --seconds 24

Three runs: the whole clips; their first half with a new store; their second half with that store. Every box of the
results is held against the truth, and each person's id in each half is the one most of its boxes have. Counted are the
people seen in both halves: how many keep their id, in one run and over the restart, and how many ids they share out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from reidpipe.boxes import iou
from reidpipe.config import Config
from reidpipe.recorded import run
from reidpipe.synth.clip import write_world
from reidpipe.synth.world import World

LEAST_BOXES = 15
"""Boxes in a half from which somebody counts as seen."""

Votes = dict[int, Counter[int]]


def truth_of(path: Path) -> dict[int, tuple[np.ndarray, list[int]]]:
    """Frame from 0 -> boxes ``(N, 4)`` and people."""
    rows: defaultdict[int, list[tuple[int, list[float]]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        values = [float(x) for x in line.split(",")]
        x, y, w, h = values[2:6]
        rows[int(values[0]) - 1].append((int(values[1]), [x, y, x + w, y + h]))
    return {f: (np.asarray([b for _, b in r], np.float32), [p for p, _ in r]) for f, r in rows.items()}


def votes(out: Path, folder: Path, fps: float, start_s: float, end_s: float) -> Votes:
    """Person -> how many of its boxes between two times have which id."""
    truth = {path.stem: truth_of(path) for path in (folder / "truth").glob("*.txt")}
    found: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for line in (out / "frames.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        known = truth[record["camera"]].get(round(record["time_s"] * fps))
        people = [p for p in record["people"] if p["global_id"] is not None]
        if not start_s <= record["time_s"] < end_s or known is None or not people:
            continue
        overlap = iou(np.asarray([p["box"] for p in people], np.float32), known[0])
        for person, row in zip(people, overlap, strict=True):
            if row.max() >= 0.5:
                found[known[1][int(row.argmax())]][person["global_id"]] += 1
    return {who: count for who, count in found.items() if sum(count.values()) >= LEAST_BOXES}


def said(name: str, first: Votes, second: Votes) -> None:
    """One line: who keeps the id."""
    both = sorted(set(first) & set(second))
    before = {who: first[who].most_common(1)[0][0] for who in both}
    after = {who: second[who].most_common(1)[0][0] for who in both}
    same = [who for who in both if before[who] == after[who]]
    changed = ", ".join(f"{who}: {before[who]} -> {after[who]}" for who in both if who not in same)
    ids = len(set(after.values()))
    share = 100 * len(same) / max(len(both), 1)
    print(f"  {name:12s} {len(same)} of {len(both)} people keep their id ({share:.0f} %), {ids} ids for them {changed}")
    came = {who: second[who].most_common(1)[0][0] for who in sorted(set(second) - set(first))}
    known = {own for count in first.values() for own in count}
    right = sum(own not in known for own in came.values())
    print(f"  {'':12s} {right} of {len(came)} people who come later get a new id")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="clips, and their truth in truth/")
    parser.add_argument("--world", type=int, help="draw a world of that seed instead")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=18.0)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--set", action="append", default=[], help="settings of the runs")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        scratch, folder = Path(made), args.folder
        if args.world is not None:
            options = {"people": args.people, "cameras": args.cameras, "fps": args.fps, "duration_s": args.seconds}
            world = World.make(args.world, layout="overlap", **options)
            folder = scratch / "world"
            write_world(world, folder, duration_s=args.seconds)
        clips = sorted(folder.glob("*.mp4"))
        half = args.seconds / 2
        parts = {
            "one": {},
            "first": {"source.duration_s": half, "store.path": str(scratch / "site.db")},
            "second": {"source.start_s": half, "store.path": str(scratch / "site.db")},
        }
        for name, values in parts.items():
            config = Config.load(values={"output.video": False, "output.report": False, **values}, overrides=args.set)
            result = run(clips, scratch / name, config=config)
            print(f"  {name}: {result.people} people")
        one = [votes(scratch / "one", folder, args.fps, a, b) for a, b in ((0, half), (half, 1e9))]
        said("one run", *one)
        first = votes(scratch / "first", folder, args.fps, 0, half)
        second = votes(scratch / "second", folder, args.fps, half, 1e9)
        said("with a store", first, second)


if __name__ == "__main__":
    main()
