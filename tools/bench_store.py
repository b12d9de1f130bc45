"""A store of many people: how long it takes to make, to open, to decide a tracklet while it grows, and to search.

    python tools/bench_store.py --people 10000

People are random directions with stated noise, four tracklets each over four cameras, a picture of 4 kB each. The
online association then gets tracklets of people known and new, window by window, and writes each window into the store.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from reidpipe.associate.diary import Album
from reidpipe.associate.online import OnlineAssociator
from reidpipe.associate.store import Store
from reidpipe.associate.store_types import Picture
from reidpipe.find import load_store, rank
from reidpipe.types import TrackKey, Tracklet, Vectors

DIM = 512
NOISE = 0.5


def looks(rng: np.random.Generator, person: Vectors) -> Vectors:
    """A track of somebody: the direction with noise of ``NOISE`` times its length."""
    row = person + NOISE * rng.normal(size=person.shape) / np.sqrt(DIM)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def tracklet(camera: str, number: int, vector: Vectors, start_s: float, *, closed: bool = True) -> Tracklet:
    """Five seconds long."""
    return Tracklet(TrackKey(camera, number), vector, 6, 0.8, start_s, start_s + 5.0, closed, vector[None])


def fill(path: Path, people: Vectors, rng: np.random.Generator) -> float:
    """A store with four tracklets of everybody; returns seconds."""
    jpeg = rng.bytes(4000)
    begun = time.perf_counter()
    with Store(path, embedder="bench", dim=DIM) as store:
        for start in range(0, len(people), 1000):
            known, pictures = [], {}
            for i in range(start, min(start + 1000, len(people))):
                for camera in range(4):
                    one = tracklet(f"cam{camera}", i, looks(rng, people[i]), 100.0 * camera)
                    known.append((i + 1, one))
                    pictures[one.key] = Picture(0.5, jpeg)
            store.write(known, now_s=time.time(), pictures=pictures)
    return time.perf_counter() - begun


def online(path: Path, people: Vectors, rng: np.random.Generator, rounds: int, batch: int, review_s: float) -> None:
    """Tracklets of people known (three in four) and new ones, a window at a time."""
    jpeg = rng.bytes(4000)
    begun, worked = time.perf_counter(), time.process_time()
    with Store(path, embedder="bench", dim=DIM) as store:
        opened = time.perf_counter() - begun
        album = Album()
        associator = OnlineAssociator(store=store, album=album, window_s=0.0, review_s=review_s)
        ready = time.perf_counter() - begun
        print(f"opened in {1e3 * opened:.0f} ms, gallery of {associator.report['gallery']} after {ready:.2f} s", end="")
        print(f" ({time.process_time() - worked:.2f} s of the processor)")
        times: list[float] = []
        work: list[float] = []
        right, known = 0, 0
        for window in range(rounds):
            now_s = 1e6 + 5.0 * window
            seen = {}
            for i in range(batch):
                who = int(rng.integers(len(people)))
                new = rng.random() < 0.25
                look = rng.normal(size=DIM).astype(np.float32) if new else people[who]
                one = tracklet(
                    f"cam{i % 4}",
                    10_000_000 + int(review_s) * 1_000_000 + window * batch + i,
                    looks(rng, look),
                    now_s - 5.0,
                )
                seen[one.key] = None if new else who + 1
                album.offer(one.key, 0.5, jpeg)
                times.append(0.0)
                begun, worked = time.perf_counter(), time.process_time()
                links = associator.update([one], now_s + 0.01 * i)
                times[-1] += time.perf_counter() - begun
                work.append(time.process_time() - worked)
                for link in links:
                    if link.previous is None and seen.get(link.key) is not None:
                        known += 1
                        right += link.global_id == seen[link.key]
        begun = time.perf_counter()
        associator.close()
        closed = time.perf_counter() - begun
        for name, ms in (("wall", 1e3 * np.asarray(times)), ("processor", 1e3 * np.asarray(work))):
            high = ", ".join(f"{p} % {np.percentile(ms, p):.2f}" for p in (95, 99))
            spread = f"mean {ms.mean():.2f} ms, median {np.median(ms):.2f}, {high}"
            print(f"{len(ms)} tracklets, each decided and written alone, {name}: {spread}")
        print(f"{right} of {known} known people known again; closed in {closed:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    people = rng.normal(size=(args.people, DIM)).astype(np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "site.db"
        print(f"{args.people} people written in {fill(path, people, rng):.1f} s, {path.stat().st_size / 1e6:.0f} MB")
        begun = time.perf_counter()
        with Store.open(path, readonly=True) as store:
            opened = time.perf_counter() - begun
            count = len(store.people())
        print(f"opened in {1e3 * opened:.0f} ms, {count} people listed after {time.perf_counter() - begun:.2f} s")
        for review_s in (0.0, 10.0):
            print(f"reviews every {review_s:.0f} s:" if review_s else "without reviews:")
            online(path, people, rng, args.rounds, args.batch, review_s)
        begun = time.perf_counter()
        gallery = load_store(path)
        loaded = time.perf_counter() - begun
        rank(looks(rng, people[0]), gallery)
        print(f"find: loaded in {loaded:.1f} s, ranked after {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
