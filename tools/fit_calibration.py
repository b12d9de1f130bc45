"""What an embedder's cosines mean: measured on people whom it never saw, written beside the model.

    python tools/fit_calibration.py                         # osnet_x0_25 and osnet_ain_x0_25, as they are now
    python tools/fit_calibration.py osnet_x0_25             # one of them, after each export
    python tools/fit_calibration.py /models/mine.onnx       # any embedder: writes /models/mine.likeness.json

People: the last 100 of ../shared/data/reid/market1501, which our training holds out, as they are and twice as poorer
cameras would show them (few pixels, other light and colours, loose boxes); and three synthetic worlds that are made
here. Who is away for ten seconds and comes back begins a new track, so that tracks of one person are far apart in time.
Of each domain small scenes are put together, 2 to 20 people in 2 to 6 cameras. They go through the product's own steps
(camera bias removed, common scale, shared neighbours), and logistic curves are fitted to pairs of one person (8 in 100,
as in such scenes) and of two; each domain counts the same. Under a minute of one core for each model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from reidpipe.associate.calibrate import Calibration
from reidpipe.associate.likeness import LIKENESS_SCHEMA, UNKNOWN, Likeness, likeness_file
from reidpipe.associate.scene import Scene, see
from reidpipe.associate.steadiness import measure, steadiness
from reidpipe.associate.weigh import gather, look
from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.find.ranking import compare
from reidpipe.pool.memory import POOLING, unit
from reidpipe.synth.world import World
from reidpipe.types import Ids, Image, TrackKey, Tracklet, Vectors
from reidpipe.weights import model_sha256, resolve

Wide = NDArray[np.float64]
Bits = NDArray[np.bool_]

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("osnet_x0_25", "osnet_ain_x0_25")
NAME = re.compile(r"(\d+)_c(\d)s(\d)_(\d+)_\d+")
HELD_OUT = 100
AWAY_S = 10.0
"""Who is not seen for so long left and came back: a track of its own."""
POOR = (1, 2)
WORLDS = (101, 102, 103)
SCENES = 40
SHARE = 0.08
"""Pairs of one person among all pairs, where it has to be right: decisions fall at these odds, not at even ones."""
FEW = 3.0
"""Tracks for each person from which on ``compare_looks`` averages over neighbours."""


@dataclass(frozen=True)
class Crop:
    """One picture of somebody: who, in which camera, in which stay there, when, and the pixels."""

    person: int
    camera: int
    stay: int
    time_s: float
    image: Image


@dataclass(frozen=True)
class Domain:
    """Labelled tracks of one kind of footage."""

    name: str
    people: Ids
    tracklets: list[Tracklet]


def market(folder: Path) -> list[Crop]:
    """The held-out people of Market-1501."""
    files = sorted(folder.glob("*.jpg"))
    known = sorted({int(file.stem.split("_")[0]) for file in files})[-HELD_OUT:]
    crops = []
    for file in files:
        found = NAME.match(file.stem)
        if found is None:
            raise SystemExit(f"not a Market-1501 name: {file.name}")
        person, camera, stay, frame = map(int, found.groups())
        if person in known:
            image = np.asarray(cv2.imread(str(file)), np.uint8)
            crops.append(Crop(person, camera, stay, stay * 10_000 + frame / 25.0, image))
    if not crops:
        raise SystemExit(f"no Market-1501 pictures in {folder}")
    return stays(crops)


def stays(crops: Sequence[Crop]) -> list[Crop]:
    """The same crops with stays numbered anew: one ends when its person is not seen for a while."""
    rows: dict[tuple[int, int], list[int]] = {}
    for i, crop in enumerate(crops):
        rows.setdefault((crop.person, crop.camera), []).append(i)
    number = [0] * len(crops)
    for own in rows.values():
        own.sort(key=lambda i: crops[i].time_s)
        for before, after in itertools.pairwise(own):
            number[after] = number[before] + int(crops[after].time_s - crops[before].time_s > AWAY_S)
    return [replace(crop, stay=stay) for crop, stay in zip(crops, number, strict=True)]


def poorer(crops: Sequence[Crop], seed: int) -> list[Crop]:
    """The same people as other, poorer cameras would show them: each camera has its own light, colours and distance."""
    cameras = {c: _camera(np.random.default_rng([seed, c])) for c in sorted({crop.camera for crop in crops})}
    rngs = (np.random.default_rng([seed, 9, i]) for i in range(len(crops)))
    return [replace(c, image=_shown(c.image, cameras[c.camera], rng)) for c, rng in zip(crops, rngs, strict=True)]


def _camera(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "tall": float(rng.choice([36, 48, 64, 96])),
        "gamma": float(np.exp(rng.normal(0, 0.25))),
        "gain": np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.08, 3)),
        "colour": float(np.exp(rng.normal(-0.1, 0.25))),
        "noise": abs(float(rng.normal(0, 0.02))),
        "quality": int(rng.integers(40, 90)),
    }


def _shown(image: Image, camera: dict[str, Any], rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    shift, zoom = rng.uniform(-0.08, 0.08, 2) * (width, height), rng.uniform(0.9, 1.12)
    corner = (1 - zoom) * np.array([width, height]) / 2 + shift
    loose = cv2.warpAffine(
        image,
        np.array([[zoom, 0, corner[0]], [0, zoom, corner[1]]]),
        (width, height),
        borderMode=cv2.BORDER_REPLICATE,
    )
    tall = int(np.clip(camera["tall"] * rng.uniform(0.8, 1.25), 24, 128))
    light = cv2.resize(loose, (max(12, tall // 2), tall), interpolation=cv2.INTER_AREA).astype(np.float64) / 255
    light = light ** camera["gamma"] * camera["gain"] + rng.normal(0, camera["noise"], light.shape)
    grey = light.mean(axis=2, keepdims=True)
    pixels = ((grey + (light - grey) * camera["colour"]).clip(0, 1) * 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, camera["quality"]])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def synthetic() -> Iterator[list[Crop]]:
    """People of synthetic worlds, drawn at some moments; a stay lasts ten seconds."""
    for seed in WORLDS:
        world = World.make(
            seed, people=16, cameras=3, layout="overlap", duration_s=30.0, fps=15.0, size=(640, 360), light=1.0
        )
        crops = []
        for number, camera in enumerate(world.cameras):
            for time_s in np.arange(14) * 2.1:
                seen = world.render(camera, float(time_s))
                for box, person, share in zip(seen.boxes, seen.ids.tolist(), seen.visibility.tolist(), strict=True):
                    x1, y1, x2, y2 = box.astype(int).tolist()
                    if share > 0.6 and y2 - y1 > 40 and x2 - x1 > 12:
                        image = np.ascontiguousarray(seen.image[y1:y2, x1:x2])
                        crops.append(Crop(person, number, int(time_s // 10), float(time_s), image))
        yield crops


def embed(crops: Sequence[Crop], net: OSNetEmbedder) -> Vectors:
    """Vectors of crops, float32 ``(N, D)``."""
    vectors = []
    for start in range(0, len(crops), 32):
        images = [crop.image for crop in crops[start : start + 32]]
        vectors += net.embed(images, [np.array([[0, 0, i.shape[1], i.shape[0]]], np.float32) for i in images])
    return np.concatenate(vectors)


def group(name: str, crops: Sequence[Crop], vectors: Vectors) -> Domain:
    """One tracklet for each stay of a person in a camera."""
    rows: dict[tuple[int, int, int], list[tuple[float, int]]] = {}
    for i, crop in enumerate(crops):
        rows.setdefault((crop.person, crop.camera, crop.stay), []).append((crop.time_s, i))
    people, tracklets = [], []
    for number, ((person, camera, _), stay) in enumerate(sorted(rows.items())):
        times, own = zip(*sorted(stay), strict=True)
        tracklets.append(tracklet(TrackKey(f"c{camera}", number), vectors[list(own)], np.asarray(times)))
        people.append(person)
    return Domain(name, np.asarray(people), tracklets)


def tracklet(key: TrackKey, vectors: Vectors, times_s: Wide) -> Tracklet:
    """A track of crops ``(N, D)``, in order of time."""
    pooled = unit(POOLING["gem"](vectors.astype(np.float64), np.ones(len(vectors))))
    count, first_s, last_s = len(vectors), float(times_s[0]), float(times_s[-1])
    quality = count / (count + 1.0)
    return Tracklet(key, pooled, count, quality, first_s, last_s, True, vectors, prototype_times_s=times_s)


def scenes(domain: Domain, likeness: Likeness) -> Iterator[tuple[Scene, Ids]]:
    """Small scenes of one domain, the same each time: 2 to 20 people in 2 to 6 cameras, and who each track is."""
    rng = np.random.default_rng(1)
    people, cameras = np.unique(domain.people), sorted({t.key.camera for t in domain.tracklets})
    owner = {t.key: int(p) for p, t in zip(domain.people, domain.tracklets, strict=True)}
    for _ in range(SCENES):
        some = set(rng.choice(people, min(int(rng.integers(2, 21)), len(people)), replace=False).tolist())
        views = set(rng.choice(cameras, min(int(rng.integers(2, 7)), len(cameras)), replace=False).tolist())
        chosen = [t for t in domain.tracklets if owner[t.key] in some and t.key.camera in views]
        if len(chosen) > 1:
            scene = see(chosen, likeness=likeness)
            yield scene, np.asarray([owner[t.key] for t in scene.tracklets])


@dataclass(frozen=True)
class Pairs:
    """Similarities, whether both are one person, and the ease of the scene that each is from."""

    similarity: Wide
    same: Bits
    ease: Wide

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        columns = zip(*((p.similarity, p.same, p.ease) for p in parts), strict=True)
        similarity, same, ease = map(np.concatenate, columns)
        return cls(similarity, same, ease)

    def odds(self, slope: float, even: float) -> Wide:
        """As ``Calibration.eased`` has them, for each pair by its own ease."""
        return Calibration(slope, 0.0).log_odds(np.sqrt(self.ease) * (self.similarity - even * self.ease))

    def loss(self, slope: float, even: float) -> float:
        """Log-loss where ``SHARE`` of the pairs are of one person, as a share of that of knowing nothing."""
        weights = np.where(self.same, SHARE / max(self.same.sum(), 1), (1 - SHARE) / max((~self.same).sum(), 1))
        odds = self.odds(slope, even) + float(np.log(SHARE / (1 - SHARE)))
        nothing = -SHARE * float(np.log(SHARE)) - (1 - SHARE) * float(np.log(1 - SHARE))
        return float(weights @ np.logaddexp(0.0, np.where(self.same, -odds, odds))) / nothing


def fit(domains: Sequence[Pairs]) -> Calibration:
    """Least loss, each domain counting the same."""

    def loss(values: Wide) -> float:
        return float(np.mean([one.loss(max(float(values[0]), 0.1), float(values[1])) for one in domains]))

    tries = [minimize(loss, [12.0, even], method="Nelder-Mead") for even in (0.2, 0.4)]
    best = min(tries, key=lambda found: float(found.fun))
    return Calibration(round(float(best.x[0]), 2), round(float(best.x[1]), 4))


def gather_pairs(domain: Domain, likeness: Likeness) -> dict[str, Pairs]:
    """All that is fitted to, of one domain: name of the comparison -> pairs."""
    found: dict[str, list[Pairs]] = {"cosine": [], "near": [], "far": [], "photo": []}
    rng = np.random.default_rng(2)
    for scene, owners in scenes(domain, likeness):
        gathered = gather(scene, views=None)
        same = owners[gathered.pairs[:, 0]] == owners[gathered.pairs[:, 1]]
        ease = np.full(len(same), gathered.scale.ease)
        found["cosine"].append(Pairs(gathered.cosines[0], same, ease))
        # The product's neighbourhoods follow the number of tracks that each person turns out to have.
        size = len(scene) / len(np.unique(owners))
        found["near" if size < FEW else "far"].append(Pairs(look(scene, gathered, size=size).similarity, same, ease))
        found["photo"] += photos(scene, owners, likeness, rng)
    return {name: Pairs.joined(parts) for name, parts in found.items() if parts}


def photos(scene: Scene, owners: Ids, likeness: Likeness, rng: np.random.Generator) -> Iterator[Pairs]:
    """One crop of some tracks against all tracks of the other cameras."""
    vectors = np.stack([t.vector for t in scene.tracklets])
    for i in rng.permutation(len(scene))[:5].tolist():
        others = np.flatnonzero(scene.cameras != scene.cameras[i])
        rows = scene.tracklets[i].prototypes
        if len(others) > 1 and rows is not None:
            crop = rows[int(rng.integers(len(rows)))]
            similarity = compare(crop, vectors[others], scene.cameras[others], likeness)
            yield Pairs(similarity, owners[others] == owners[i], np.ones(len(others)))


def usual(domains: Sequence[Domain], likeness: Likeness) -> Likeness:
    """With the spread of strangers and the steadiness of people that these domains have on the mean."""
    spread = np.mean([np.median([measure(s).spread for s, _ in scenes(d, likeness)]) for d in domains])
    likeness = replace(likeness, spread=round(float(spread), 4))
    steady = []
    for domain in domains:
        found = [steadiness(scene, measure(scene)) for scene, _ in scenes(domain, likeness)]
        steady.append(float(np.median(np.concatenate(found))))
    return replace(likeness, steadiness=round(float(np.mean(steady)), 4))


def fit_domains(domains: Sequence[Domain], centre: Wide) -> tuple[dict[str, Any], list[str]]:
    """The numbers of a likeness file, and lines to read."""
    likeness = usual(domains, replace(UNKNOWN, centre=centre))
    pairs = [gather_pairs(domain, likeness) for domain in domains]
    lines, fitted = [], {}
    for name in ("near", "far", "cosine", "photo"):
        kinds = [(d, one[name]) for d, one in zip(domains, pairs, strict=True) if name in one]
        own = [one for _, one in kinds]
        found = fit(own)
        fitted[name] = [found.slope, found.even]
        losses = [f"{d.name} {p.loss(found.slope, found.even):.2f}" for d, p in kinds]
        lines.append(f"  {name:7s} slope {found.slope:5.1f}  even {found.even:.3f}   unknown: {', '.join(losses)}")
    table = {
        "spread": likeness.spread,
        "steadiness": likeness.steadiness,
        "cosine": fitted["cosine"],
        "shared": [fitted["near"], fitted["far"]],
        "photo": fitted["photo"],
        "centre": [round(value, 5) for value in centre.tolist()],
    }
    return table, [f"  spread of strangers {likeness.spread:.3f}, steadiness {likeness.steadiness:.3f}", *lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", default=SHIPPED, help="name in the manifest, or file")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/reid/market1501/bounding_box_train")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    crops = market(args.data)
    kinds = {"Market": [crops]} | {f"poorer {seed}": [poorer(crops, seed)] for seed in POOR}
    kinds |= {f"world {seed}": [own] for seed, own in zip(WORLDS, synthetic(), strict=True)}
    for name in args.model:
        found = resolve(name, kind="embedder")
        net = OSNetEmbedder(name, threads=1)
        domains = [group(kind, some[0], embed(some[0], net)) for kind, some in kinds.items()]
        everybody = [t for domain in domains for t in domain.tracklets]
        centre = np.stack([t.vector for t in everybody]).astype(np.float64).mean(axis=0)
        table, lines = fit_domains(domains, centre)
        print(f"{name}: {len(everybody)} tracks", *lines, sep="\n", flush=True)
        if not args.dry:
            head = {"schema": LIKENESS_SCHEMA, "model_sha256": model_sha256(found.path)}
            made = {"made_by": f"python tools/fit_calibration.py {name}"}
            file = likeness_file(found.path)
            file.write_text(json.dumps(head | table | made) + "\n", encoding="utf-8")
            print(f"  wrote {file}")


if __name__ == "__main__":
    main()
