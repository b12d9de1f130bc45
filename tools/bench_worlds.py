"""From boxes to identities on synthetic worlds: cameras, people, overlapping or not, light and clocks that differ.

    python tools/bench_worlds.py --cameras 2 4 8 --people 10 50 200 --layout overlap apart

Boxes are the world's, without those of people who are hidden, with the noise of a detector and some misses; looks are
drawn: one direction for each person, one for the light of each camera, and noise for each crop (``--noise``: its length
in units of a person's own direction; a third of it stays as long as somebody is in one camera). Everything after that
is the product: tracker, pooler, associator, refining of tracks, scores. Beside it stands what people glue together:
ByteTrack, mean vector, one cosine threshold, greedy, at the threshold that is best with labels.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.online import OnlineAssociator
from reidpipe.build import SCORES_OF_YOLO
from reidpipe.evaluate.mtmc import camera_files, evaluate_mtmc
from reidpipe.pipeline import Pipeline
from reidpipe.pool.pooler import QualityPooler
from reidpipe.refining import Refining
from reidpipe.settings import RefineSettings
from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.jsonl import FramesSink, assign_global_ids, read_frames
from reidpipe.sinks.mot import MOTSink
from reidpipe.stages import Associator
from reidpipe.synth.site import Layout
from reidpipe.synth.world import World
from reidpipe.track.bytetrack import ByteTrack
from reidpipe.track.steady import Steady
from reidpipe.types import Boxes, Detections, Frame, Image, Link, TrackKey, Tracklet, Vectors

Wide = NDArray[np.float64]
DIM = 128
SIZE = (640, 360)


@dataclass(frozen=True)
class Looks:
    """Drawn appearance: what a crop of a person in a camera looks like."""

    people: Wide
    cameras: dict[str, Wide]
    noise: float

    @classmethod
    def draw(cls, world: World, noise: float, seed: int) -> Looks:
        """One direction for each person, one for each camera."""
        rng = np.random.default_rng([seed, 7])
        common = rng.normal(size=DIM) * 0.7
        people = common + rng.normal(size=(len(world.people), DIM))
        return cls(people, {c.name: rng.normal(size=DIM) * 0.6 for c in world.cameras}, noise)

    def of(self, camera: str, people: Sequence[int], views: Sequence[Wide], rng: np.random.Generator) -> Vectors:
        """Unit rows; half of the noise belongs to how a person stands in this view, and stays for the whole track."""
        own = np.stack([self.people[p - 1] for p in people]) + self.cameras[camera]
        rows = own + self.noise * (0.6 * np.stack(views) + 0.8 * rng.normal(size=own.shape))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class Given:
    """Detector and embedder of one world: looks up who was drawn where."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return DIM

    def __init__(self, world: World, looks: Looks, *, duration_s: float, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 11])
        self._looks = looks
        self._who: dict[tuple[str, tuple[float, ...]], int] = {}
        self._views: dict[tuple[str, int], Wide] = {}
        self.found: dict[tuple[str, int], Detections] = {}
        self.truth: dict[str, list[str]] = {}
        for camera in world.cameras:
            lines = self.truth.setdefault(camera.name, [])
            for index, time_s in enumerate(world.frame_times(camera, duration_s)):
                seen = world.truth(camera, time_s)
                boxes = seen.boxes.astype(np.float64)
                for box, person, share in zip(boxes, seen.ids.tolist(), seen.visibility.tolist(), strict=True):
                    size = box[2:] - box[:2]
                    flat = ",".join(f"{v:.2f}" for v in (*box[:2], *size))
                    if share >= 0.3:
                        lines.append(f"{index + 1},{person},{flat},1,1,{share:.3f}")
                self.found[camera.name, index] = self._detect(camera.name, boxes, seen.ids.tolist(), seen.visibility)

    def _detect(self, camera: str, boxes: Wide, people: list[int], visibility: NDArray[np.float32]) -> Detections:
        rows: list[Wide] = []
        scores: list[float] = []
        for box, person, share in zip(boxes, people, visibility.tolist(), strict=True):
            if self._rng.random() > np.clip((share - 0.2) / 0.3, 0.0, 0.97):
                continue
            size = np.tile(box[2:] - box[:2], 2)
            noisy = np.clip(box + 0.02 * size * self._rng.normal(size=4), 0, (*SIZE, *SIZE)).astype(np.float32)
            if noisy[2] - noisy[0] < 3 or noisy[3] - noisy[1] < 3:
                continue
            rows.append(noisy)
            scores.append(float(np.clip(0.55 + 0.4 * share + 0.05 * self._rng.normal(), 0.2, 0.99)))
            self._who[camera, tuple(noisy.tolist())] = person
        if not rows:
            return Detections.empty()
        return Detections(np.stack(rows), np.asarray(scores, np.float32))

    def detect_frames(self, frames: Sequence[Frame]) -> list[Detections]:
        """The boxes of these pictures."""
        return [self.found[frame.camera, frame.index] for frame in frames]

    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]:
        """The looks of these boxes; a picture's first pixel says which camera it is."""
        out = []
        names = list(self._looks.cameras)
        for image, rows in zip(images, boxes, strict=True):
            camera = names[int(image[0, 0, 0])]
            people = [self._who[camera, tuple(box.tolist())] for box in rows]
            views = [self._view(camera, person) for person in people]
            out.append(self._looks.of(camera, people, views, self._rng))
        return out

    def _view(self, camera: str, person: int) -> Wide:
        key = (camera, person)
        if key not in self._views:
            self._views[key] = self._rng.normal(size=DIM)
        return self._views[key]


def frames(world: World, duration_s: float) -> Iterator[list[Frame]]:
    """Pictures without content, moment by moment; the first pixel names the camera."""
    blank = [np.full((SIZE[1], SIZE[0], 3), number, np.uint8) for number in range(len(world.cameras))]
    for index, time_s in enumerate(world.frame_times(world.cameras[0], duration_s)):
        yield [Frame(c.name, index, time_s, blank[i]) for i, c in enumerate(world.cameras)]


def follow(world: World, given: Given, folder: Path, *, duration_s: float, associator: Associator) -> Associator:
    """One run as ``reidpipe run`` does it: track, pool, mend the tracks, decide, write frames.jsonl."""
    folder.mkdir(parents=True)
    pipeline = Pipeline(
        detector=given,
        embedder=given,
        tracker=lambda: Steady(high_score=SCORES_OF_YOLO["high_score"], new_score=SCORES_OF_YOLO["new_score"]),
        pooler=QualityPooler(),
        associator=associator,
    )
    tracklets: list[Tracklet] = []
    links: list[Link] = []
    with ExitStack() as stack:
        sink = stack.enter_context(closing(FramesSink(folder / "frames.jsonl")))
        events = stack.enter_context(closing(EventsSink(folder / "events.jsonl")))
        refining = Refining(folder, list(given.truth), RefineSettings())
        stack.callback(refining.close)
        for moment in frames(world, duration_s):
            found = pipeline.detect(moment)
            for result, seen in zip(pipeline.follow(moment, found), found, strict=True):
                sink.write(result)
                events.write(result)
                refining.note(result, seen)
                links += result.links
            tracklets += pipeline.take_closed()
        links += pipeline.close_cameras()
        tracklets += pipeline.take_closed()
        mended = refining.mend(tracklets, regroup=pipeline.is_undecided)
        if pipeline.is_undecided:
            pipeline.replace_tracklets(mended)
        links += pipeline.close()
        sink.close()
        events.close()
        refining.write(links)
    return associator


def glue(world: World, given: Given, folder: Path, *, duration_s: float) -> list[Tracklet]:
    """What people put together: ByteTrack and mean vectors; no global ids yet."""
    folder.mkdir(parents=True)
    pipeline = Pipeline(detector=given, embedder=given, tracker=ByteTrack, pooler=QualityPooler(method="mean"))
    tracklets: list[Tracklet] = []
    with closing(FramesSink(folder / "frames.jsonl")) as sink:
        for moment in frames(world, duration_s):
            for result in pipeline.step(moment):
                sink.write(result)
            tracklets += pipeline.take_closed()
        pipeline.close()
    return tracklets + pipeline.take_closed()


def score(folder: Path, given: Given, ids: dict[TrackKey, int] | None = None) -> dict[str, float]:
    """Joint scores of a folder as it is, or under other ids; it is left as it was."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        path = work / "frames.jsonl"
        path.write_bytes((folder / "frames.jsonl").read_bytes())
        if ids is not None:
            assign_global_ids(path, ids)
        with closing(MOTSink(work / "mot", cameras=tuple(given.truth))) as sink:
            for result in read_frames(path):
                sink.write(result)
        (work / "truth").mkdir()
        for camera, lines in given.truth.items():
            (work / "truth" / f"{camera}.txt").write_text("\n".join(lines) + "\n")
        return dict(evaluate_mtmc(camera_files(work / "truth"), camera_files(work / "mot")).combined)


def greedy(tracklets: Sequence[Tracklet], threshold: float) -> dict[TrackKey, int]:
    """The baseline: each tracklet to the nearest mean above the threshold that is not in its camera just then."""
    sums: list[Wide] = []
    spans: list[list[Tracklet]] = []
    ids: dict[TrackKey, int] = {}
    for t in sorted(tracklets, key=lambda t: (t.first_s, t.key)):
        cosine = np.asarray([float(s @ t.vector / np.linalg.norm(s)) for s in sums])
        for j, others in enumerate(spans):
            if any(o.key.camera == t.key.camera and o.first_s <= t.last_s and t.first_s <= o.last_s for o in others):
                cosine[j] = -1.0
        best = int(np.argmax(cosine)) if len(cosine) else -1
        if best < 0 or cosine[best] < threshold:
            best = len(sums)
            sums.append(np.zeros(DIM))
            spans.append([])
        sums[best] = sums[best] + t.vector
        spans[best].append(t)
        ids[t.key] = best + 1
    return ids


def measure(args: argparse.Namespace, layout: Layout, cameras: int, people: int, work: Path) -> str:
    """One row of the table."""
    world = World.make(
        args.seed,
        people=people,
        cameras=cameras,
        duration_s=args.seconds,
        layout=layout,
        fps=args.fps,
        size=SIZE,
        clock_skew_s=args.skew,
    )
    given = Given(world, Looks.draw(world, args.noise, args.seed), duration_s=args.seconds, seed=args.seed)
    start = time.process_time()
    ours = follow(world, given, work / "ours", duration_s=args.seconds, associator=OfflineAssociator())
    took = time.process_time() - start
    found, report = score(work / "ours", given), ours.report if isinstance(ours, OfflineAssociator) else {}
    live = np.nan
    if not args.no_online:
        follow(world, given, work / "live", duration_s=args.seconds, associator=OnlineAssociator())
        live = score(work / "live", given)["IDF1"]
    plain = glue(world, given, work / "glue", duration_s=args.seconds)
    best = max(score(work / "glue", given, greedy(plain, float(t)))["IDF1"] for t in np.arange(0.3, 0.95, 0.05))
    return (
        f"{layout:8s} {cameras:4d} {people:6d} {report['tracklets']:6d} {found['IDF1']:8.1f} {live:8.1f} {best:8.1f}"
        f" {found['IDs']:6.0f} {found['GT_IDs']:6.0f} {len(report['overlapping_views']):6d} {took:7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--people", type=int, nargs="*", default=[10])
    parser.add_argument("--layout", nargs="*", default=["overlap", "apart"], choices=["overlap", "apart", "mixed"])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--fps", type=float, default=8.0)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--skew", type=float, default=2.0, help="clocks are off by up to this much, seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-online", action="store_true")
    args = parser.parse_args()
    print("layout   cams people tracks  offline   online  greedy*    ids   real  views   CPU s")
    print("* at the best threshold, found with labels")
    for layout in args.layout:
        for cameras in args.cameras:
            for people in args.people:
                with tempfile.TemporaryDirectory() as work:
                    print(measure(args, layout, cameras, people, Path(work)), flush=True)


if __name__ == "__main__":
    main()
