"""Tracklet association alone, on real tracklets with truth: Market-1501 names give camera, sequence and frame.

    python tools/bench_association.py ../shared/data --model ../shared/data/weights/osnet_x0_25_msmt17_combineall.onnx

Each (identity, camera, sequence) is a tracklet; its time comes from the frame numbers. Compared are what people glue
together today (mean vector, one cosine threshold, greedy; at the best threshold, found with labels) and reidpipe's
offline association (no label, no threshold), beside reidpipe at the best threshold found with labels. Features are
computed once and kept under ``runs/association``.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.likeness import UNKNOWN, Likeness, likeness_of
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.online import OnlineAssociator
from reidpipe.evaluate.clusters import ClusterScores, score_clusters
from reidpipe.pool.memory import POOLING, unit
from reidpipe.types import Ids, TrackKey, Tracklet, Vectors

Truth = list[tuple[int, Tracklet]]
FPS = 25.0
NAME = re.compile(r"(\d+)_c(\d)s(\d)_(\d+)_\d+")


def features(folder: Path, model: Path, cache: Path) -> tuple[list[str], Vectors]:
    """File stems in order and their vectors, from the cache when there."""
    kept = cache / f"{folder.parent.name}_{model.stem}.npz"
    if kept.exists():
        data = np.load(kept)
        return data["names"].tolist(), data["vectors"]
    import cv2

    from reidpipe.embed.osnet import OSNetEmbedder

    embedder = OSNetEmbedder(model, threads=1)
    files = sorted(folder.glob("*.jpg"))
    vectors = []
    for start in range(0, len(files), 64):
        images = [np.asarray(cv2.imread(str(f)), np.uint8) for f in files[start : start + 64]]
        boxes = [np.array([[0, 0, i.shape[1], i.shape[0]]], np.float32) for i in images]
        vectors += embedder.embed(images, boxes)
    kept.parent.mkdir(parents=True, exist_ok=True)
    stacked = np.concatenate(vectors)
    np.savez(kept, names=np.array([f.stem for f in files]), vectors=stacked)
    return [f.stem for f in files], stacked


def tracklets(names: Sequence[str], vectors: Vectors, method: str) -> Truth:
    """One tracklet for each (identity, camera, sequence)."""
    rows: dict[tuple[int, int, int], list[tuple[float, int]]] = {}
    for i, name in enumerate(names):
        found = NAME.match(name)
        if found is None:
            raise SystemExit(f"not a Market-1501 name: {name}")
        person, camera, sequence, frame = map(int, found.groups())
        rows.setdefault((person, camera, sequence), []).append((sequence * 10_000 + frame / FPS, i))
    out: Truth = []
    for number, ((person, camera, _), crops) in enumerate(sorted(rows.items())):
        crops.sort()
        mine = vectors[[i for _, i in crops]]
        pooled = unit(POOLING[method](mine.astype(np.float64), np.ones(len(mine))))
        quality = len(mine) / (len(mine) + 1.0)
        key = TrackKey(f"c{camera}", number)
        times = np.asarray([time_s for time_s, _ in crops])
        track = Tracklet(
            key, pooled, len(mine), quality, float(times[0]), float(times[-1]), True, mine, prototype_times_s=times
        )
        out.append((person, track))
    return out


def score(truth: Truth, ids: dict[TrackKey, int]) -> ClusterScores:
    """IDF1 counts crops."""
    people = np.asarray([p for p, _ in truth])
    labels = np.asarray([ids[t.key] for _, t in truth])
    return score_clusters(people, labels, np.asarray([float(t.count) for _, t in truth]))


def greedy(truth: Truth, threshold: float) -> dict[TrackKey, int]:
    """The baseline: each tracklet, in order of time, to the nearest mean of an identity above the threshold."""
    dim = len(truth[0][1].vector)
    sums: NDArray[np.float64] = np.zeros((len(truth), dim))
    norms: NDArray[np.float64] = np.zeros(len(truth))
    ids: dict[TrackKey, int] = {}
    count = 0
    for _, t in sorted(truth, key=lambda item: item[1].first_s):
        cosine = sums[:count] @ t.vector / norms[:count]
        best = int(np.argmax(cosine)) if count else -1
        if best < 0 or cosine[best] < threshold:
            best, count = count, count + 1
        sums[best] += t.vector
        norms[best] = np.linalg.norm(sums[best])
        ids[t.key] = best
    return ids


def offline(truth: Truth, threshold: float | None = None, *, likeness: Likeness = UNKNOWN) -> dict[TrackKey, int]:
    """Ours."""
    associator = OfflineAssociator(threshold=threshold, likeness=likeness)
    associator.update([t for _, t in truth], 0.0)
    return {link.key: link.global_id for link in associator.close()}


def online(truth: Truth, *, likeness: Likeness = UNKNOWN) -> dict[TrackKey, int]:
    """Ours, as the tracklets end."""
    associator = OnlineAssociator(likeness=likeness)
    ids: dict[TrackKey, int] = {}
    ordered = sorted((t for _, t in truth), key=lambda t: t.last_s)
    for t in ordered:
        ids |= {link.key: link.global_id for link in associator.update([t], t.last_s)}
    return ids | {link.key: link.global_id for link in associator.close()}


def subsets(truth: Truth, people: int, times: int, cameras: int | None = None) -> Iterator[Truth]:
    """Random people, their tracklets in all cameras or in so many random ones."""
    rng = np.random.default_rng(0)
    everybody = sorted({p for p, _ in truth})
    for _ in range(times):
        chosen = set(rng.choice(everybody, people, replace=False).tolist())
        views = sorted({t.key.camera for _, t in truth})
        if cameras is not None:
            views = rng.choice(views, min(cameras, len(views)), replace=False).tolist()
        yield [(p, t) for p, t in truth if p in chosen and t.key.camera in views]


def best_of(
    sets: list[Truth], make: Callable[[Truth, float], dict[TrackKey, int]], limits: Ids | NDArray[np.float64]
) -> tuple[float, float, float]:
    """Mean F1, mean IDF1 and the limit, at the one limit with the best mean IDF1 over all sets."""
    rows = []
    for limit in limits.tolist():
        scores = [score(truth, make(truth, limit)) for truth in sets]
        rows.append((float(np.mean([s.idf1 for s in scores])), float(np.mean([s.pair_f1 for s in scores])), limit))
    idf1, f1, limit = max(rows)
    return f1, idf1, limit


def table(name: str, sets: list[Truth], plain: list[Truth], likeness: Likeness) -> None:
    """Print one block: ``sets`` for reidpipe, ``plain`` the same with mean vectors for the baseline."""
    size = float(np.mean([len(t) for t in sets]))
    print(f"\n{name}: {len(sets)} x {size:.0f} tracklets   pairwise F1   IDF1 (crops)   ids / people")
    f1, idf1, limit = best_of(plain, greedy, np.arange(0.6, 0.96, 0.02))
    print(f"  mean + greedy, best threshold {limit:.2f} (labels)   {100 * f1:5.1f}   {100 * idf1:5.1f}")
    for label, make in (
        ("reidpipe offline, automatic", partial(offline, likeness=likeness)),
        ("reidpipe online, automatic", partial(online, likeness=likeness)),
    ):
        start = time.perf_counter()
        scores = [score(truth, make(truth)) for truth in sets]
        took = (time.perf_counter() - start) / len(sets)
        means = [float(np.mean([getattr(s, k) for s in scores])) for k in ("pair_f1", "idf1", "groups", "people")]
        percent = f"{100 * means[0]:5.1f}   {100 * means[1]:5.1f}"
        print(f"  {label:44s}  {percent}   {means[2]:.1f} of {means[3]:.1f}   {took:.1f} s")
    f1, idf1, limit = best_of(sets, partial(offline, likeness=likeness), np.arange(0.1, 0.75, 0.05))
    print(f"  reidpipe offline, best threshold {limit:.2f} (labels)  {100 * f1:5.1f}   {100 * idf1:5.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds reid/market1501")
    parser.add_argument("--model", type=Path, required=True, help="embedder, .onnx or .xml")
    parser.add_argument("--held-out", action="store_true", help="only the last 100 people, whom our training holds out")
    parser.add_argument("--cache", type=Path, default=Path("runs/association"))
    parser.add_argument("--people", type=int, nargs="*", default=[7, 20, 100], help="also random subsets of so many")
    parser.add_argument("--cameras", type=int, help="only so many of the six, random for each subset")
    parser.add_argument("--pooling", action="store_true", help="compare the pooling methods as well")
    args = parser.parse_args()
    names, vectors = features(args.data / "reid/market1501/bounding_box_train", args.model, args.cache)
    likeness = likeness_of(args.model)
    print(f"calibration: {likeness.source}")
    if args.held_out:
        last = set(sorted({int(name.split("_")[0]) for name in names})[-100:])
        rows = [i for i, name in enumerate(names) if int(name.split("_")[0]) in last]
        names, vectors = [names[i] for i in rows], vectors[rows]
    truth, plain = tracklets(names, vectors, "gem"), tracklets(names, vectors, "mean")
    for people in args.people:
        times = max(2, 150 // people)
        ours, bare = (list(subsets(one, people, times, args.cameras)) for one in (truth, plain))
        table(f"{people} people", ours, bare, likeness)
    if args.cameras is not None:
        return
    table(f"all {len({p for p, _ in truth})} people", [truth], [plain], likeness)
    if args.pooling:
        for method in sorted(POOLING):
            pooled = tracklets(names, vectors, method)
            scores = score(pooled, offline(pooled, likeness=likeness))
            print(f"  pooled by {method:10s} F1 {100 * scores.pair_f1:5.1f}   IDF1 {100 * scores.idf1:5.1f}")


if __name__ == "__main__":
    main()
