"""The training set in YOLO layout under ``runs/detector/data``: labelled sets, pseudo-labelled CCTV, synthetic frames.

Labelled people that a set forgot are added where BOTH teachers are sure; CCTV images without labels are used only where
the teachers do not contradict each other. Nothing here reads ``data/mot*`` or ``data/mtmc``: they are the exam.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reidpipe.boxes import area, iou

from .geometry import Array, intersection

UNSURE = 0.25  # a CCTV image with such a box, from either teacher, that is not among the agreed ones, is dropped
AGREE = 0.35  # a CCTV person needs this mean score from both teachers
SURE = 0.5  # a box with this score from one teacher ...
DENIED = 0.1  # ... and less than this from the other is a contradiction: the image is dropped
SYNTHETIC_SHARE = 0.12  # synthetic frames are listed several times if they are fewer than this share of the others
FORGOTTEN = 0.55  # a person missing in a labelled image needs this mean score from both teachers


def read_records(path: Path) -> dict[str, dict[str, Any]]:
    """Teacher answers by image path, as ``teachers.label_images`` wrote them."""
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {record["image"]: record for record in records}


def split(rows: list[list[float]]) -> tuple[Array, Array]:
    """Rows ``x1 y1 x2 y2 score`` to boxes (N, 4) and scores (N,)."""
    table = np.asarray(rows, dtype=np.float32).reshape(-1, 5)
    return table[:, :4], table[:, 4]


def best_match(boxes: Array, others: Array, scores: Array) -> tuple[Array, np.ndarray[Any, Any]]:
    """For each box: the best score among the other's boxes that overlap it (IoU >= 0.45), and that row (-1: none)."""
    if not len(others) or not len(boxes):
        return np.zeros(len(boxes), np.float32), np.full(len(boxes), -1)
    fitting = np.where(iou(boxes, others) >= 0.45, scores[None], 0)
    rows = fitting.argmax(axis=1)
    found = fitting.max(axis=1).astype(np.float32)
    return found, np.where(found > 0, rows, -1)


def agreed_people(record: dict[str, Any], minimum: float) -> Array:
    """Boxes (N, 4) that both teachers give ``minimum`` or more, averaged by score."""
    boxes, scores = split(record["yolov8n"])
    others, other_scores = split(record["yolov5n"])
    found, rows = best_match(boxes, others, other_scores)
    kept = (scores >= minimum) & (found >= minimum)
    weight = (scores[kept] / (scores[kept] + found[kept]))[:, None]
    return np.asarray(boxes[kept] * weight + others[rows[kept]] * (1 - weight), dtype=np.float32).reshape(-1, 4)


def contradicted(record: dict[str, Any]) -> bool:
    """True where one teacher is sure of a person that the other hardly sees, or neither is clear."""
    for one, other in (("yolov8n", "yolov5n"), ("yolov5n", "yolov8n")):
        boxes, scores = split(record[one])
        others, other_scores = split(record[other])
        found, _ = best_match(boxes, others, other_scores)
        low = np.minimum(scores, found)
        if np.any((scores >= SURE) & (found < DENIED)) or np.any((scores >= SURE) & (low < AGREE) & (low >= DENIED)):
            return True
        if np.any((scores >= UNSURE) & (low < AGREE) & ~covered(boxes, agreed_people(record, AGREE))):
            return True
    return False


def covered(boxes: Array, people: Array) -> np.ndarray[Any, Any]:
    """Which boxes are the same as, or mostly inside, one of ``people``: bool (N,)."""
    if not len(people) or not len(boxes):
        return np.zeros(len(boxes), np.bool_)
    inside = intersection(boxes, people) / np.maximum(area(boxes)[:, None], 1e-9)
    return np.asarray((iou(boxes, people) >= 0.45).any(axis=1) | (inside >= 0.8).any(axis=1))


def forgotten_people(record: dict[str, Any], labels: Array) -> Array:
    """Agreed boxes that no label covers: IoU below 0.3 and no more than half inside a label, or holding one."""
    boxes = agreed_people(record, FORGOTTEN)
    if not len(boxes) or not len(labels):
        return boxes
    inner = intersection(boxes, labels)
    inside = (inner / np.maximum(area(boxes)[:, None], 1e-9)).max(axis=1)
    holding = (inner / np.maximum(area(labels)[None], 1e-9)).max(axis=1)
    return np.asarray(boxes[(iou(boxes, labels).max(axis=1) < 0.3) & (inside < 0.5) & (holding < 0.5)])


def read_labels(path: Path) -> Array:
    """A YOLO label file as normalised x1 y1 x2 y2 (N, 4)."""
    rows = [line.split()[1:5] for line in path.read_text().splitlines() if line.strip()]
    table = np.asarray(rows, dtype=np.float32).reshape(-1, 4)
    return np.concatenate([table[:, :2] - table[:, 2:] / 2, table[:, :2] + table[:, 2:] / 2], axis=1)


def write_labels(path: Path, boxes: Array) -> None:
    """Normalised x1 y1 x2 y2 (N, 4), clipped to the picture, as a YOLO label file of class 0."""
    boxes = np.clip(boxes, 0, 1)
    lines = [
        f"0 {(a + c) / 2:.5f} {(b + d) / 2:.5f} {c - a:.5f} {d - b:.5f}\n"
        for a, b, c, d in boxes
        if c - a > 1e-3 and d - b > 1e-3
    ]
    path.write_text("".join(lines))


def store_image(source: Path, target: Path) -> None:
    """Re-encode one picture as a JPEG of quality 95 (decodes three times faster than WebP); kept if already there."""
    if target.exists():
        return
    image = cv2.imread(str(source))
    if image is None:
        raise FileNotFoundError(f"cannot read {source}")
    cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


def prepare(data: Path, output: Path, *, synthetic: Path | None = None) -> Counter[str]:
    """Build or refresh the training set; returns what was counted.

    Args:
        data: the shared ``det`` folder.
        output: ``runs/detector``; reads its ``teachers.jsonl``, writes its ``data`` folder.
        synthetic: a folder with ``images`` (jpg) and YOLO ``labels``, added to the training list as it is.
    """
    records = read_records(output / "teachers.jsonl")
    images, labels = output / "data" / "images", output / "data" / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    count: Counter[str] = Counter()
    lists: dict[str, list[str]] = {"train": [], "val": []}

    def add(part: str, source: Path, boxes: Array) -> None:
        target = images / f"{source.stem}.jpg"
        store_image(source, target)
        write_labels(labels / f"{source.stem}.txt", boxes)
        lists[part].append(str(target))
        count[f"{part} images"] += 1
        count[f"{part} people"] += len(boxes)

    for part in lists:
        for name in (data / f"{part}.txt").read_text().split():
            boxes = read_labels(data / "labels" / f"{Path(name).stem}.txt")
            if part == "train" and name in records:
                extra = forgotten_people(records[name], boxes)
                count["forgotten people added"] += len(extra)
                boxes = np.concatenate([boxes, extra])
            add(part, data / name, boxes)
    twins = {line.split()[1] for line in (data / "same_picture.txt").read_text().splitlines() if line.strip()}
    for path in sorted((data / "unlabelled").iterdir()):
        name = f"unlabelled/{path.name}"
        if name not in records or name in twins:
            continue
        if contradicted(records[name]):
            count["cctv images dropped"] += 1
            continue
        boxes = agreed_people(records[name], AGREE)
        if not len(boxes):  # seen by neither teacher is no proof of an empty place
            count["cctv images without agreement"] += 1
            continue
        count["cctv images"] += 1
        count["cctv people"] += len(boxes)
        add("train", path, boxes)
    if synthetic is not None:
        frames = sorted((synthetic.resolve() / "images").glob("*.jpg"))
        times = max(1, round(SYNTHETIC_SHARE * len(lists["train"]) / max(1, len(frames))))
        lists["train"] += [str(path) for path in frames] * times
        count["synthetic images"] = len(frames)
        count["synthetic images, times seen"] = times
    for part, names in lists.items():
        (output / "data" / f"{part}.txt").write_text("\n".join(names) + "\n")
    (output / "data" / "data.yaml").write_text(
        f"path: {output / 'data'}\ntrain: train.txt\nval: val.txt\nnames:\n  0: person\n"
    )
    return count
