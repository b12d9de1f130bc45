"""What identities cost: deciding many tracklets at the end, reviewing a live run, one tracklet in a large gallery.

    OMP_NUM_THREADS=1 python -m tools.bench_scale offline 10000 100000
    OMP_NUM_THREADS=1 python -m tools.bench_scale review 125 250 500 1000
    OMP_NUM_THREADS=1 python -m tools.bench_scale online 10000

The tracklets are drawn: people come to one of several places, each watched by two cameras whose views overlap, walk
about for 20 s, and come again elsewhere later; some tracks break. A look is a direction for the person (of 64
dimensions in 512, as nets have about as many that matter), the light of the camera, and noise for the track and for
each crop. Seconds are of the processor (``time.process_time``), memory is the peak of the process, both also without
what drawing took. ``digest`` is of the ids that came out: two versions of the code that decide alike print the same.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.decide import Rules
from reidpipe.associate.evidence import Views
from reidpipe.associate.features import unit_rows
from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.online import OnlineAssociator
from reidpipe.associate.review import Review
from reidpipe.evaluate.clusters import score_clusters
from reidpipe.pool.memory import unit
from reidpipe.types import TrackKey, Tracklet
from tools.bench_rerank import peak_mib

Wide = NDArray[np.float64]
Truth = list[tuple[int, Tracklet]]

DIM, MATTER = 512, 64
STAY_S, STEP_S, CROPS = 20.0, 0.2, 6
VISITS, BREAKS = 5, 0.2
EYES = ((-6.0, -5.0), (6.0, -5.0))


def view(eye: tuple[float, float]) -> Wide:
    """Projection ``(3, 4)`` of a camera 3 m above the floor that looks at its middle, metres to pixels."""
    place = np.array([*eye, 3.0])
    forward = np.array([0.0, 0.0, 1.0]) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    inner = np.array([[800.0, 0, 640], [0, 800.0, 360], [0, 0, 1]])
    return np.asarray(inner @ np.concatenate([rotation, (-rotation @ place)[:, None]], axis=1))


def draw(
    count: int, *, places: int = 2, seed: int = 0, visits: int = VISITS, busy_s: float = 2.0, noise: float = 0.5
) -> Truth:
    """So many tracklets, in order of time, with the person of each.

    Args:
        count: how many.
        places: how many; each has two cameras.
        seed: of everything that is drawn.
        visits: about how often each person comes.
        busy_s: somebody comes to a place this often.
        noise: length of what changes from track to track, in units of what belongs to the person.
    """
    rng = np.random.default_rng(seed)
    axes, lights = site(rng, places)
    # A visit is two tracklets (two cameras), and so much more as some break.
    people = rng.normal(size=(max(round(count / (2 * (1 + BREAKS)) / visits), 2 * places), MATTER))
    queue: list[int] = []
    views = [view(eye) for eye in EYES]
    out: Truth = []
    number = 0
    while len(out) < count:
        begins = busy_s / places * number + 0.1 * rng.random()
        queue = queue or rng.permutation(len(people)).tolist()
        who, place = queue.pop(), number % places
        times = begins + np.arange(0.0, STAY_S, STEP_S)
        ground = walk(rng, times)
        for side in (0, 1):
            own = people[who] + lights[place, side] + noise * 0.7 * rng.normal(size=MATTER)
            path = look(rng, views[side], times, ground)
            parts = [slice(0, 45), slice(50, None)] if rng.random() < BREAKS else [slice(None)]
            for k, part in enumerate(parts):
                key = TrackKey(f"place{place}{'ab'[side]}", 2 * number + k)
                out.append((who, track(rng, key, own, axes, path[part], noise)))
        number += 1
    out = sorted(out, key=lambda item: (item[1].first_s, item[1].key))
    return out[:count]


def site(rng: np.random.Generator, places: int) -> tuple[Wide, Wide]:
    """The directions in which looks differ ``(MATTER, DIM)``, and what each camera adds ``(places, 2, MATTER)``."""
    axes = np.linalg.qr(rng.normal(size=(DIM, MATTER)))[0].T / np.sqrt(MATTER)
    lights = rng.normal(size=(places, 2, MATTER)) * 0.4
    return axes, lights + rng.normal(size=MATTER) * 0.7


def walk(rng: np.random.Generator, times: Wide) -> Wide:
    """Across a floor of 6 by 6 metres, ``(T, 2)``."""
    corners = rng.uniform(-3, 3, size=(6, 2))
    knots = np.linspace(times[0], times[-1], 6)
    return np.stack([np.interp(times, knots, corners[:, k]) for k in (0, 1)], axis=1)


def look(rng: np.random.Generator, camera: Wide, times: Wide, ground: Wide) -> Wide:
    """The path in the picture, ``(T, 5)``."""
    points = []
    for height in (0.0, 1.75):
        one = np.column_stack([ground, np.full(len(ground), height), np.ones(len(ground))]) @ camera.T
        points.append(one[:, :2] / one[:, 2:])
    feet, top = points
    tall = np.abs(feet[:, 1] - top[:, 1])
    feet = feet + rng.normal(size=feet.shape) * 2.0
    return np.stack([times, feet[:, 0] - tall / 5, feet[:, 1] - tall, feet[:, 0] + tall / 5, feet[:, 1]], axis=1)


def track(rng: np.random.Generator, key: TrackKey, own: Wide, axes: Wide, path: Wide, noise: float) -> Tracklet:
    """A tracklet that has ended."""
    crops = unit_rows((own + noise * 0.7 * rng.normal(size=(CROPS, MATTER))) @ axes)
    times = np.linspace(path[0, 0], path[-1, 0], CROPS)
    vector, quality = unit(crops.mean(axis=0)), float(rng.uniform(0.5, 0.9))
    return Tracklet(key, vector, CROPS, quality, path[0, 0], path[-1, 0], True, crops, path, times)


def digest(pairs: Iterator[tuple[TrackKey, object]]) -> str:
    """Short name of a set of decisions."""
    return hashlib.sha256(repr(sorted(pairs, key=lambda p: p[0])).encode()).hexdigest()[:12]


def scored(truth: Truth, ids: dict[TrackKey, int]) -> str:
    """How good the ids are."""
    known = [(who, ids[t.key]) for who, t in truth if t.key in ids]
    scores = score_clusters(*(np.asarray(column) for column in zip(*known, strict=True)))
    f1, idf1 = 100 * scores.pair_f1, 100 * scores.idf1
    return f"F1 {f1:5.1f}  IDF1 {idf1:5.1f}  {scores.groups} ids for {scores.people} people"


def offline(count: int, *, places: int) -> None:
    """All at once."""
    truth = draw(count, places=places)
    drawn, begun, wall = peak_mib(), time.process_time(), time.perf_counter()
    associator = OfflineAssociator()
    associator.update([t for _, t in truth], 0.0)
    ids = {link.key: link.global_id for link in associator.close()}
    took, wall = time.process_time() - begun, time.perf_counter() - wall
    memory = f"peak {peak_mib():.0f} MiB ({drawn:.0f} of it when drawn)"
    views = len(associator.report["overlapping_views"])
    print(f"offline {count:6d} tracklets  {took:7.1f} CPU s  {wall:7.1f} s  {memory}")
    print(f"  {scored(truth, ids)}  {views} overlaps  digest {digest(iter(ids.items()))}", flush=True)


def review(count: int, *, places: int, rounds: int, news: float = 0.25) -> None:
    """A review of the last ``count`` tracklets, again and again as a quarter of them are new."""
    fresh = round(news * count)
    truth = draw(count + fresh * rounds, places=places)
    reviewer = Review(limit=count, rules=Rules(), views=Views(), margin=1.0)
    gallery = Gallery(limit=100_000, members=12)
    rng = np.random.default_rng(1)
    ids: dict[TrackKey, int] = {}
    spent: list[float] = []
    told: list[tuple[TrackKey, object]] = []
    for number, (who, t) in enumerate(truth, 1):
        # One track in ten is somebody else's at first: a review has something to say.
        ids[t.key] = (who if rng.random() < 0.9 else int(rng.integers(count))) + 1
        gallery.means.add(t.key.camera, t.vector)
        gallery.put(ids[t.key], Member(t.key, t.vector, t.quality, t.first_s, t.last_s, live=False))
        reviewer.note(t)
        if number < count or (number - count) % fresh:
            continue
        begun = time.process_time()
        thoughts = reviewer.second_thoughts({k: g for k, g in ids.items() if k in reviewer.recent}, gallery)
        spent.append(time.process_time() - begun)
        told += thoughts.items()
    first, later = spent[0], np.asarray(spent[1:])
    each = 1e3 * later.mean() / fresh
    print(f"review of {count:5d} tracklets: first {first:6.2f} CPU s, later mean {later.mean():6.2f}, ", end="")
    print(f"most {later.max():6.2f}\n  {each:.2f} ms for each new tracklet; ", end="")
    print(f"{len(told)} told, digest {digest(iter(told))}", flush=True)


def online(known: int, *, places: int, count: int, review_s: float) -> None:
    """Tracklets one after the other, each decided alone, in a gallery of so many."""
    truth = draw(count, places=places)
    associator = OnlineAssociator(window_s=0.0, review_s=review_s)
    # Whom earlier runs knew: seen by the same cameras, long ago.
    axes, lights = site(np.random.default_rng(0), places)
    others = np.random.default_rng(2).normal(size=(known, MATTER)) + lights[np.arange(known) % places, 0]
    members = [
        Member(TrackKey(f"place{i % places}a", -1 - i), v, 0.7, -1e6 - i, -1e6 - i + 1, live=False)
        for i, v in enumerate(unit_rows(others @ axes))
    ]
    associator._gallery.load([(10**6 + i, member) for i, member in enumerate(members)])
    spent: list[float] = []
    ids: dict[TrackKey, int] = {}
    for _, t in sorted(truth, key=lambda item: (item[1].last_s, item[1].key)):
        begun = time.process_time()
        ids |= {link.key: link.global_id for link in associator.update([t], t.last_s)}
        spent.append(time.process_time() - begun)
    begun = time.process_time()
    ids |= {link.key: link.global_id for link in associator.close()}
    closed = time.process_time() - begun
    ms = 1e3 * np.asarray(spent)
    tenths = [part.mean() for part in np.array_split(ms, 10)]
    print(f"{known} identities, {count} tracklets, {'reviews' if review_s else 'no reviews'}: ", end="")
    print(
        f"mean {ms.mean():.2f} ms of the processor, median {np.median(ms):.2f}, 95 % {np.percentile(ms, 95):.2f}, ",
        end="",
    )
    print(f"most {ms.max():.0f}; second tenth {tenths[1]:.2f}, last {tenths[-1]:.2f}; closed in {closed:.2f} s")
    print(f"  {scored(truth, ids)}  digest {digest(iter(ids.items()))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["offline", "review", "online"])
    parser.add_argument("counts", type=int, nargs="+", help="tracklets (offline, review) or identities known (online)")
    parser.add_argument("--tracklets", type=int, default=2000, help="online: so many come")
    parser.add_argument("--rounds", type=int, default=4, help="review: so many after the first")
    parser.add_argument("--places", type=int, default=2, help="each is watched by two cameras")
    args = parser.parse_args()
    for count in args.counts:
        if args.what == "offline":
            offline(count, places=args.places)
        elif args.what == "review":
            review(count, places=args.places, rounds=args.rounds)
        else:
            for review_s in (0.0, 10.0):
                online(count, places=args.places, count=args.tracklets, review_s=review_s)


if __name__ == "__main__":
    main()
