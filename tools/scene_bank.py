"""Small scenes with truth, as customers film them: few cameras, few people, some of whom only one camera sees.

    python -m tools.scene_bank                        # shipped embedders; several minutes of one core, then from cache
    python -m tools.scene_bank --seeds 1 --limits     # also the limit that is best with labels, for each scene
    python -m tools.scene_bank --crossfit             # calibration of one half of the people, scenes of the other

Tracklets are real: each stay of a person in front of a camera of Market-1501 (the file names say who, where and when).
Shipped embedders are held against the 100 people whom our training holds out, OSNet x0.25 of MSMT17, which knows nobody
of Market-1501, against 100 others with a calibration fitted to those 100. Each scene is cut from it at random:

    tracks   few: one track of a person in a camera; many: long tracks in two pieces, all stays
    times    filmed: as in the file names; clip: stays moved into half a minute, so that people are seen together
    looks    plain: as they are; poor: as poorer cameras would show them (``fit_calibration.poorer``, other seeds)

and a third of the people are strangers whom one camera sees. Printed are joint IDF1 (crops count), pairwise F1 of
tracklets, identities for each person, with ``--limits`` the limit chosen less the best one with labels, and how many
links are right, by the probability shown.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.likeness import Likeness, likeness_from, likeness_of
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.evaluate.clusters import ClusterScores, score_clusters
from reidpipe.types import TrackKey, Tracklet
from reidpipe.weights import model_sha256, resolve
from tools import fit_calibration as fitting
from tools.fit_calibration import ROOT, Crop, Domain

Truth = list[tuple[int, Tracklet]]
Wide = NDArray[np.float64]

PUBLIC = ROOT.parent / "shared/data/weights/osnet_x0_25_msmt17_combineall.onnx"
FOLDER = ROOT.parent / "shared/data/reid/market1501/bounding_box_train"
NETS = ("osnet_x0_25", "osnet_ain_x0_25", str(PUBLIC))
HELD_OUT, OTHERS = slice(-fitting.HELD_OUT, None), slice(0, 100)
POOR = (11, 12)
"""Not those that calibrations are fitted to."""

CAMERAS, PEOPLE = (2, 3, 4, 6), (5, 7, 10, 15)
TRACKS, TIMES, LOOKS = ("few", "many"), ("filmed", "clip"), ("plain", "poor")
LONERS = 1 / 3
LONG = 4
"""Crops of a track that can be cut in two."""
AROUND_S = 1.0
"""The pictures of Market-1501 are a few of each stay, which began before the first of them and ended after the last."""
CLIP_S, STAY_S, BREAK_S = 30.0, (4.0, 10.0), 1.0
LIMITS = np.arange(-0.2, 0.2001, 0.05)
ODDS = (-np.inf, 0, 1, 2, 3, 4, 6, np.inf)


@dataclass(frozen=True, slots=True)
class Plan:
    """What kind of scene, and which of its kind."""

    cameras: int
    people: int
    tracks: str
    times: str
    looks: str
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scene came out: ``shift`` is the limit chosen less the best with labels, ``best`` the IDF1 there.

    ``links`` is float64 ``(L, 2)``: the probability shown of each, and 1 where most of the rest is the same person.
    """

    net: str
    plan: Plan
    scores: ClusterScores
    limit: float
    links: Wide
    shift: float = np.nan
    best: float = np.nan


def read(folder: Path, people: slice) -> list[Crop]:
    """Crops of some of the people of Market-1501, in the order of their numbers."""
    files = [(fitting.NAME.match(file.stem), file) for file in sorted(folder.glob("*.jpg"))]
    numbers = sorted({int(found[1]) for found, _ in files if found})
    if not numbers:
        raise SystemExit(f"no Market-1501 pictures in {folder}")
    chosen = set(numbers[people])
    crops = []
    for found, file in files:
        if found and int(found[1]) in chosen:
            person, camera, stay, frame = map(int, found.groups())
            image = np.asarray(cv2.imread(str(file)), np.uint8)
            crops.append(Crop(person, camera, stay, stay * 10_000 + frame / 25.0, image))
    return crops


def domains(net: str, people: slice, kept: Path, folder: Path = FOLDER) -> list[Domain]:
    """Tracks of some people, plain and as poorer cameras show them, embedded once for each version of the net."""
    file = kept / f"{model_sha256(resolve(net, kind='embedder').path)[:12]}_{people.start or 0}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        embedder, crops = OSNetEmbedder(net, threads=1), read(folder, people)
        facts = np.asarray([(c.person, c.camera, c.stay, c.time_s) for c in crops])
        kinds = {"plain": crops} | {f"poor {seed}": fitting.poorer(crops, seed) for seed in POOR}
        vectors: dict[str, Any] = {kind: fitting.embed(some, embedder) for kind, some in kinds.items()}
        np.savez(file, facts=facts, **vectors)
    data, none = np.load(file), np.zeros((1, 1, 3), np.uint8)
    crops = [Crop(int(p), int(c), int(s), float(t), none) for p, c, s, t in data["facts"]]
    crops = fitting.stays(crops)
    return [fitting.group(kind, crops, data[kind]) for kind in data.files if kind != "facts"]


def cut(domain: Domain, plan: Plan) -> Truth:
    """One scene: tracklets and who they are, the same each time."""
    rng = np.random.default_rng([plan.seed, plan.cameras, plan.people, TRACKS.index(plan.tracks)])
    views = rng.permutation(sorted({t.key.camera for t in domain.tracklets}))[: plan.cameras].tolist()
    known: dict[int, dict[str, list[Tracklet]]] = {}
    for person, t in zip(domain.people.tolist(), domain.tracklets, strict=True):
        if t.key.camera in views:
            known.setdefault(person, {}).setdefault(t.key.camera, []).append(t)
    crossing = [person for person, seen in known.items() if len(seen) > 1]
    chosen = rng.permutation(crossing)[: plan.people].tolist()
    out: Truth = []
    for number, person in enumerate(chosen):
        seen = known[person]
        if number < round(LONERS * plan.people):
            seen = dict([list(seen.items())[int(rng.integers(len(seen)))]])
        for own in seen.values():
            some = [own[int(rng.integers(len(own)))]] if plan.tracks == "few" else pieces(own)
            out += [(person, t) for t in (moved(some, rng) if plan.times == "clip" else widened(some))]
    return [(who, replace(t, key=TrackKey(t.key.camera, i))) for i, (who, t) in enumerate(out)]


def pieces(whole: Sequence[Tracklet]) -> list[Tracklet]:
    """Long tracks in two halves, as trackers lose people."""
    out: list[Tracklet] = []
    for t in whole:
        half, times, crops = t.count // 2, t.prototype_times_s, t.prototypes
        if t.count < LONG or times is None or crops is None or times[half - 1] >= times[half]:
            out.append(t)
            continue
        out += [fitting.tracklet(t.key, crops[rows], times[rows]) for rows in (slice(0, half), slice(half, None))]
    return out


def widened(some: Sequence[Tracklet]) -> list[Tracklet]:
    """Stays of one person in one camera with what was not kept of them, none longer than up to the next."""
    gaps = [after.first_s - before.last_s for before, after in itertools.pairwise(some)]
    room = [min(AROUND_S, gap / 3) for gap in (np.inf, *gaps, np.inf)]
    return [
        replace(t, first_s=t.first_s - before, last_s=t.last_s + after)
        for t, before, after in zip(some, room, room[1:], strict=False)
    ]


def moved(some: Sequence[Tracklet], rng: np.random.Generator) -> list[Tracklet]:
    """Stays of one person in one camera one after the other, somewhere in a short clip."""
    lengths = rng.uniform(*STAY_S, size=len(some))
    start = float(rng.uniform(0.0, max(CLIP_S - lengths.sum(), 1.0)))
    out = []
    for t, length in zip(some, lengths.tolist(), strict=True):
        seen = np.linspace(start, start + length, t.count)
        out.append(replace(t, first_s=start, last_s=start + length, prototype_times_s=seen))
        start += length + BREAK_S
    return out


def decide(truth: Truth, likeness: Likeness, threshold: float | None = None) -> tuple[ClusterScores, float, Wide]:
    """Scores, the limit that was chosen, and the links."""
    associator = OfflineAssociator(threshold=threshold, likeness=likeness)
    associator.update([t for _, t in truth], 0.0)
    found = {link.key: link for link in associator.close()}
    links = [found[t.key] for _, t in truth]
    people, labels = np.asarray([p for p, _ in truth]), np.asarray([link.global_id for link in links])
    weights = np.asarray([float(t.count) for _, t in truth])
    shown = []
    for i, link in enumerate(links):
        rest = (labels == labels[i]) & (np.arange(len(labels)) != i)
        if link.probability is not None:
            shown.append((link.probability, weights[rest & (people == people[i])].sum() > weights[rest].sum() / 2))
    scores = score_clusters(people, labels, weights)
    return scores, float(associator.report["threshold"]), np.asarray(shown, dtype=np.float64).reshape(-1, 2)


def judge(net: str, plan: Plan, truth: Truth, likeness: Likeness, *, limits: bool) -> Outcome:
    """One scene decided, and if asked for at other limits as well."""
    scores, limit, links = decide(truth, likeness)
    if not limits:
        return Outcome(net, plan, scores, limit, links)
    tried = np.asarray([decide(truth, likeness, float(np.clip(limit + step, -1, 1)))[0].idf1 for step in LIMITS])
    best = LIMITS[tried >= tried.max() - 1e-9]
    shift, there = -float(best[np.argmin(np.abs(best))]), max(float(tried.max()), scores.idf1)
    return Outcome(net, plan, scores, limit, links, shift, there)


def plans(seeds: int) -> Iterator[Plan]:
    """All kinds of scenes."""
    for cameras, people, tracks, times, looks in itertools.product(CAMERAS, PEOPLE, TRACKS, TIMES, LOOKS):
        for seed in range(seeds):
            yield Plan(cameras, people, tracks, times, looks, seed)


def half(domain: Domain, which: int) -> Domain:
    """Every second person."""
    chosen = np.isin(domain.people, np.unique(domain.people)[which::2])
    return Domain(
        domain.name, domain.people[chosen], [t for t, own in zip(domain.tracklets, chosen, strict=True) if own]
    )


def fit(some: Sequence[Domain]) -> Likeness:
    """A calibration, by the steps of ``fit_calibration``."""
    centre = np.stack([t.vector for d in some for t in d.tracklets]).astype(np.float64).mean(axis=0)
    return likeness_from(fitting.fit_domains(some, centre)[0], centre, "fitted by scene_bank")


def sources(net: str, kept: Path, *, crossfit: bool) -> list[tuple[list[Domain], Likeness]]:
    """Domains of a net, each set with the calibration that its scenes are decided with."""
    held_out = domains(net, HELD_OUT, kept)
    if net == str(PUBLIC):
        return [(domains(net, OTHERS, kept), fit(held_out))]
    if not crossfit:
        return [(held_out, likeness_of(net))]
    return [([half(d, i) for d in held_out], fit([half(d, 1 - i) for d in held_out])) for i in (0, 1)]


def bank(nets: Sequence[str], kept: Path, seeds: int, *, crossfit: bool) -> Iterator[tuple[str, Plan, Truth, Likeness]]:
    """All scenes."""
    for net in nets:
        for own, likeness in sources(net, kept, crossfit=crossfit):
            for plan in plans(seeds):
                yield (
                    net,
                    plan,
                    cut(own[0] if plan.looks == "plain" else own[1 + plan.seed % len(POOR)], plan),
                    likeness,
                )


def table(outcomes: Sequence[Outcome]) -> None:
    """Print what came out, by kind of scene."""
    limits = any(np.isfinite(o.shift) for o in outcomes)
    print(
        f"{'':26s} scenes   IDF1   p10   worst   pair F1   ids/people"
        + ("   limit-best   IDF1 there" if limits else "")
    )
    for name in ("net", "cameras", "people", "tracks", "times", "looks"):
        values = dict.fromkeys(o.net if name == "net" else getattr(o.plan, name) for o in outcomes)
        for value in values:
            some = [o for o in outcomes if (o.net if name == "net" else getattr(o.plan, name)) == value]
            print(row(f"{Path(value).stem[:26] if name == 'net' else f'{value} {name}'}", some, limits=limits))
    print(row("all", outcomes, limits=limits))
    links = np.concatenate([o.links for o in outcomes])
    odds = np.log(np.clip(links[:, 0], 1e-9, 1 - 1e-9) / np.clip(1 - links[:, 0], 1e-9, 1))
    for low, high in itertools.pairwise(ODDS):
        some = links[(odds >= low) & (odds < high)]
        if len(some):
            shown, right = 100 * some.mean(axis=0)
            print(f"links at {low:4.0f} to {high:4.0f}: {len(some):6d}, shown {shown:5.1f} %, right {right:5.1f} %")
    print(end="", flush=True)


def row(name: str, some: Sequence[Outcome], *, limits: bool) -> str:
    """One line of the table."""
    idf1 = 100 * np.asarray([o.scores.idf1 for o in some])
    pair = 100 * np.mean([o.scores.pair_f1 for o in some])
    ratio = np.mean([o.scores.groups / o.scores.people for o in some])
    text = f"{name:26s} {len(some):6d} {idf1.mean():6.2f} {np.quantile(idf1, 0.1):5.1f} {idf1.min():7.1f}"
    text += f" {pair:9.2f} {ratio:12.3f}"
    if limits:
        shift, best = np.mean([o.shift for o in some]), 100 * np.mean([o.best for o in some])
        text += f" {shift:+12.3f} {best:12.2f}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", nargs="*", default=NETS, help="embedders, names or files")
    parser.add_argument("--seeds", type=int, default=2, help="scenes of each kind")
    parser.add_argument("--limits", action="store_true", help="also decide with other limits, and say which is best")
    parser.add_argument(
        "--crossfit", action="store_true", help="calibration of one half of the people, scenes of the other"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/scene_bank"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    start = time.process_time()
    scenes = bank(args.net, args.cache, args.seeds, crossfit=args.crossfit)
    outcomes = [judge(net, plan, truth, like, limits=args.limits) for net, plan, truth, like in scenes]
    table(outcomes)
    print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
