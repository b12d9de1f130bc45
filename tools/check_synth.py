"""Measures how well models trained on real people do on the synthetic ones.

    python tools/check_synth.py                                   # the two sample clips
    python tools/check_synth.py --worlds 6 --people 12            # drawn worlds of other seeds

Needs ``yolov5n_coco_fp16.onnx`` and ``osnet_x0_25_msmt17_combineall.onnx`` in the folder ``--weights``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import av
import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from reidpipe.synth.world import Truth, World

ROOT = Path(__file__).resolve().parents[1]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """A picture and its truth."""

    camera: str
    frame: int
    image: NDArray[np.uint8]
    truth: Truth


def iou(one: Floats, many: Floats) -> Floats:
    """(N, 4) against (M, 4) to (N, M)."""
    low = np.maximum(one[:, None, :2], many[None, :, :2])
    high = np.minimum(one[:, None, 2:], many[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    area = (one[:, 2:] - one[:, :2]).prod(axis=1)[:, None] + (many[:, 2:] - many[:, :2]).prod(axis=1)[None]
    return np.asarray(inner / np.maximum(area - inner, 1e-9), dtype=np.float32)


def session(path: Path) -> Any:
    """An onnxruntime session on two threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def detect(model: Any, image: NDArray[np.uint8], limit: float) -> tuple[Floats, Floats]:
    """People found by YOLOv5n: boxes (N, 4) x1 y1 x2 y2 in the frame, scores (N,)."""
    size = 640
    height, width = image.shape[:2]
    scale = min(size / height, size / width)
    new = (round(width * scale), round(height * scale))
    pad = ((size - new[0]) / 2, (size - new[1]) / 2)
    canvas = np.full((size, size, 3), 114, np.uint8)
    left, top = round(pad[0] - 0.1), round(pad[1] - 0.1)
    canvas[top : top + new[1], left : left + new[0]] = cv2.resize(image, new)
    batch = (canvas[None, :, :, ::-1].transpose(0, 3, 1, 2) / 255.0).astype(np.float16)
    rows = model.run(None, {model.get_inputs()[0].name: np.ascontiguousarray(batch)})[0][0].astype(np.float32)
    best = rows[:, 5:].argmax(axis=1)
    score = rows[:, 4] * rows[:, 5]
    rows, score = rows[(best == 0) & (score > limit)], score[(best == 0) & (score > limit)]
    boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
    boxes = (boxes - (left, top, left, top)) / scale
    keep = cv2.dnn.NMSBoxes(
        [[float(v) for v in (b[0], b[1], b[2] - b[0], b[3] - b[1])] for b in boxes],
        [float(s) for s in score],
        limit,
        0.45,
    )
    chosen = np.array(keep, dtype=np.int64).reshape(-1)
    return boxes[chosen].astype(np.float32), score[chosen]


def embed(model: Any, image: NDArray[np.uint8], boxes: Floats) -> Floats:
    """OSNet vectors, unit rows."""
    crops = []
    for x1, y1, x2, y2 in np.round(boxes).astype(int):
        crop = cv2.resize(
            image[max(y1, 0) : max(y2, y1 + 2), max(x1, 0) : max(x2, x1 + 2)],
            (128, 256),
            interpolation=cv2.INTER_LINEAR,
        )
        crops.append((crop[:, :, ::-1] / 255.0 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225))
    entry = model.get_inputs()[0]
    batch = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
    fixed = isinstance(entry.shape[0], int)
    parts = [batch[i : i + 1] for i in range(len(batch))] if fixed else [batch]
    vectors = np.concatenate([model.run(None, {entry.name: part})[0] for part in parts])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def from_samples(folder: Path, every: int) -> Iterator[Shot]:
    """Every n-th picture of the sample clips with its truth."""
    for name in ("cam1", "cam2"):
        table = np.loadtxt(folder / "truth" / f"{name}.txt", delimiter=",", ndmin=2)
        with av.open(str(folder / f"{name}.mp4")) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % every:
                    continue
                rows = table[table[:, 0] == index + 1]
                boxes = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
                truth = Truth(
                    float(frame.time),
                    boxes,
                    rows[:, 1].astype(np.int64),
                    rows[:, 8].astype(np.float32),
                    np.zeros((len(rows), 2), np.float32),
                )
                yield Shot(name, index, frame.to_ndarray(format="bgr24"), truth)


def from_world(world: World, duration_s: float, step_s: float) -> Iterator[Shot]:
    """Pictures of every camera of a drawn world."""
    for camera in world.cameras:
        for index, time_s in enumerate(np.arange(0, duration_s, step_s)):
            frame = world.render(camera, float(time_s))
            yield Shot(camera.name, index, frame.image, frame)


def measure(shots: Iterator[Shot], detector: Any, embedder: Any, limit: float, sheet: Path | None) -> dict[str, float]:
    """Recall of the detector, false alarms, and rank-1 across each pair of cameras."""
    found = wanted = false = pictures = 0
    missed: list[NDArray[np.uint8]] = []
    vectors: dict[str, list[Floats]] = {}
    owners: dict[str, list[NDArray[np.int64]]] = {}
    sizes: dict[str, list[int]] = {"small": [0, 0], "large": [0, 0]}
    for shot in shots:
        pictures += 1
        boxes, _ = detect(detector, shot.image, limit)
        clear = shot.truth.visibility > 0.7
        overlap = iou(shot.truth.boxes, boxes)
        free = np.ones(len(boxes), dtype=bool)
        for row in np.argsort(-overlap.max(axis=1, initial=0)):
            choice = np.where(free, overlap[row], 0)
            hit = len(choice) > 0 and choice.max() >= 0.5
            if hit:
                free[int(choice.argmax())] = False
            if clear[row]:
                wanted += 1
                found += hit
                tall = shot.truth.boxes[row, 3] - shot.truth.boxes[row, 1]
                bucket = sizes["large" if tall > 80 else "small"]
                bucket[0] += hit
                bucket[1] += 1
                if not hit:
                    x1, y1, x2, y2 = np.round(shot.truth.boxes[row] + (-8, -8, 8, 8)).astype(int)
                    missed.append(cv2.resize(shot.image[max(y1, 0) : y2, max(x1, 0) : x2], (96, 192)))
        # A find on a covered person or on a cut one is no false alarm.
        near = iou(boxes, shot.truth.boxes).max(axis=1, initial=0)
        false += int((free & (near < 0.2)).sum())
        good = np.flatnonzero(clear & (shot.truth.boxes[:, 3] - shot.truth.boxes[:, 1] > 40))
        if len(good):
            vectors.setdefault(shot.camera, []).append(embed(embedder, shot.image, shot.truth.boxes[good]))
            owners.setdefault(shot.camera, []).append(shot.truth.ids[good])
    if sheet is not None and missed:
        rows = [np.hstack((missed + [missed[-1] * 0] * 12)[i : i + 12]) for i in range(0, min(len(missed), 60), 12)]
        cv2.imwrite(str(sheet), np.vstack(rows))
    result = {
        "pictures": pictures,
        "people visible > 0.7": wanted,
        "recall": found / max(wanted, 1),
        "false alarms a picture": false / max(pictures, 1),
        "recall, boxes <= 80 px": sizes["small"][0] / max(sizes["small"][1], 1),
        "recall, boxes > 80 px": sizes["large"][0] / max(sizes["large"][1], 1),
    }
    result.update(rank_one(vectors, owners))
    return result


def rank_one(vectors: dict[str, list[Floats]], owners: dict[str, list[NDArray[np.int64]]]) -> dict[str, float]:
    """Rank-1 over all ordered pairs of cameras, per crop and per person mean; only people both cameras see."""
    crop_hits = crop_total = mean_hits = mean_total = 0
    stacks = {camera: (np.concatenate(vectors[camera]), np.concatenate(owners[camera])) for camera in vectors}
    for query, (q_vec, q_ids) in stacks.items():
        for gallery, (g_vec, g_ids) in stacks.items():
            if query == gallery:
                continue
            asked = np.isin(q_ids, g_ids)
            nearest = g_ids[(q_vec[asked] @ g_vec.T).argmax(axis=1)]
            crop_hits += int((nearest == q_ids[asked]).sum())
            crop_total += int(asked.sum())
            people = np.unique(g_ids)
            means = np.stack([g_vec[g_ids == person].mean(axis=0) for person in people])
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            for person in np.intersect1d(q_ids, g_ids):
                mine = q_vec[q_ids == person].mean(axis=0)
                mean_hits += int(people[(means @ mine).argmax()] == person)
                mean_total += 1
    return {
        "rank-1 per crop": crop_hits / max(crop_total, 1), "crops asked": crop_total,
        "rank-1 per person and camera mean": mean_hits / max(mean_total, 1), "means asked": mean_total,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "../shared/data/weights")
    parser.add_argument("--samples", type=Path, default=ROOT / "samples")
    parser.add_argument("--every", type=int, default=3, help="every n-th picture of the samples")
    parser.add_argument("--worlds", type=int, default=0, help="measure this many drawn worlds in place of the samples")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--layout", choices=("overlap", "apart", "mixed"), default="mixed")
    parser.add_argument("--light", type=float, default=0.6)
    parser.add_argument("--duration", type=float, default=12.0)
    parser.add_argument("--step", type=float, default=1.5)
    parser.add_argument("--limit", type=float, default=0.25, help="lowest detector score")
    parser.add_argument("--sheet", type=Path, help="write a picture of the people that were missed")
    given = parser.parse_args()
    detector = session(given.weights / "yolov5n_coco_fp16.onnx")
    embedder = session(given.weights / "osnet_x0_25_msmt17_combineall.onnx")
    if given.worlds == 0:
        report(
            measure(from_samples(given.samples, given.every), detector, embedder, given.limit, given.sheet), "samples"
        )
    for seed in range(given.first_seed, given.first_seed + given.worlds):
        world = World.make(
            seed,
            people=given.people,
            cameras=given.cameras,
            layout=given.layout,
            duration_s=given.duration,
            light=given.light,
        )
        sheet = given.sheet.with_stem(f"{given.sheet.stem}_{seed}") if given.sheet else None
        report(
            measure(from_world(world, given.duration, given.step), detector, embedder, given.limit, sheet),
            f"seed {seed}",
        )


def report(result: dict[str, float], title: str) -> None:
    """Prints one line a figure."""
    print(title)
    for name, value in result.items():
        print(f"  {name:36s} {value:.3f}" if isinstance(value, float) else f"  {name:36s} {value}")


if __name__ == "__main__":
    main()
