"""The training set in YOLO layout under ``runs/detector/data``: labelled sets, pseudo-labelled CCTV, synthetic frames.

CCTV images without labels are used where the two teachers, seeing each picture several ways, agree on somebody; what
only some views show is painted over, so that no person is learnt as background. Nothing here reads ``data/mot*`` or
``data/mtmc``: they are the exam.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from reidpipe.boxes import area, iou

from .geometry import Array, intersection
from .occluding import occlude

AGREE = 0.22  # a CCTV person needs this mean score over all views of both teachers
UNSURE = 0.30  # what any view gives this score, and is no agreed person, may be one: it is painted over
SYNTHETIC_SHARE = 0.12  # synthetic frames are listed several times if they are fewer than this share of the others
FIXED = ("capston2_fixedcam__", "construction_site__", "doorbell_gray__", "hdk_background__", "hd2_topdown__")
OCCLUDED_EVERY = 3  # of the pictures one in so many gets a copy with hidden people
CCTV_TIMES = 3  # fixed cameras are what the detector is for, and few of the pictures come from them


def read_records(path: Path) -> dict[str, dict[str, Any]]:
    """Teacher answers by image path, as ``teachers.label_images`` wrote them."""
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {record["image"]: record for record in records}


def people_and_unsure(record: dict[str, Any]) -> tuple[Array, Array]:
    """Relative boxes (N, 4) that the views agree on, and those (M, 4) that may be people."""
    table = np.asarray(record["people"], dtype=np.float32).reshape(-1, 6)
    agreed = table[:, 4] >= AGREE
    people = table[agreed, :4]
    doubtful = table[~agreed & (table[:, 5] >= UNSURE), :4]
    return people, doubtful[~covered(doubtful, people)]


def paint_over(image: npt.NDArray[np.uint8], unsure: Array, people: Array) -> None:
    """Fill the relative boxes ``unsure`` with the picture's mean colour, in place, but for what ``people`` cover."""
    height, width = image.shape[:2]
    before = image.copy()
    scale = np.array([width, height, width, height], np.float32)
    for left, top, right, bottom in np.round(unsure * scale).astype(int):
        image[max(top, 0) : bottom, max(left, 0) : right] = before.mean(axis=(0, 1))
    for left, top, right, bottom in np.round(people * scale).astype(int):
        region = slice(max(top, 0), bottom), slice(max(left, 0), right)
        image[region] = before[region]


def covered(boxes: Array, people: Array) -> np.ndarray[Any, Any]:
    """Which boxes are the same as, or mostly inside, one of ``people``: bool (N,)."""
    if not len(people) or not len(boxes):
        return np.zeros(len(boxes), np.bool_)
    inside = intersection(boxes, people) / np.maximum(area(boxes)[:, None], 1e-9)
    return np.asarray((iou(boxes, people) >= 0.45).any(axis=1) | (inside >= 0.8).any(axis=1))


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


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """One picture, uint8 BGR."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f"cannot read {path}")
    return np.asarray(image, dtype=np.uint8)


def write_picture(image: npt.NDArray[np.uint8], target: Path) -> None:
    """As a JPEG of quality 95, which decodes three times faster than WebP."""
    cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, 95])


def _prepare_cctv(
    data: Path, records: dict[str, dict[str, Any]], images: Path, labels: Path, count: Counter[str]
) -> list[str]:
    """The unlabelled CCTV pictures on which the teachers agree on somebody; what is unsure is painted over."""
    twins = {line.split()[1] for line in (data / "same_picture.txt").read_text().splitlines() if line.strip()}
    used = []
    for path in sorted((data / "unlabelled").iterdir()):
        name = f"unlabelled/{path.name}"
        if name not in records or name in twins:
            continue
        people, unsure = people_and_unsure(records[name])
        if not len(people):  # seen by neither teacher is no proof of an empty place
            count["cctv images without agreement"] += 1
            continue
        picture = read_picture(path)
        paint_over(picture, unsure, people)
        target = images / f"{path.stem}.jpg"
        write_picture(picture, target)
        write_labels(labels / f"{path.stem}.txt", people)
        used.append(str(target))
        count["cctv images"] += 1
        count["cctv people"] += len(people)
        count["cctv boxes painted over"] += len(unsure)
    return used


def _hide_some(sources: list[str], labels: Path, count: Counter[str]) -> list[str]:
    """A copy of every third picture in which something hides the lower part of the people; the same in every run."""
    rng = np.random.default_rng(0)
    places = [read_picture(Path(name)) for name in sources if Path(name).name.startswith("hdk_background__")]
    made = []
    for name in sources[::OCCLUDED_EVERY]:
        path = Path(name)
        picture, boxes = read_picture(path), read_labels(labels / f"{path.stem}.txt")
        hidden = occlude(picture, boxes, places[int(rng.integers(len(places)))], rng)
        if hidden is None:
            continue
        target = path.with_name(f"{path.stem}__hidden.jpg")
        write_picture(picture, target)
        write_labels(labels / f"{target.stem}.txt", hidden)
        made.append(str(target))
    count["pictures with hidden people"] = len(made)
    return made


def prepare(data: Path, output: Path, *, synthetic: Path | None = None, pasted: Path | None = None) -> Counter[str]:
    """Build or refresh the training set; returns what was counted.

    Args:
        data: the shared ``det`` folder.
        output: ``runs/detector``; reads its ``teachers.jsonl``, writes its ``data`` folder.
        synthetic: a folder with ``images`` (jpg) and YOLO ``labels``, added to the training list as it is.
        pasted: another such folder, of :func:`tools.detector.pasting.generate`.
    """
    images, labels = output / "data" / "images", output / "data" / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    count: Counter[str] = Counter()
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for part in lists:
        for name in (data / f"{part}.txt").read_text().split():
            target = images / f"{Path(name).stem}.jpg"
            if not target.exists():
                write_picture(read_picture(data / name), target)
            boxes = read_labels(data / "labels" / f"{Path(name).stem}.txt")
            write_labels(labels / f"{target.stem}.txt", boxes)
            lists[part] += [str(target)] * (CCTV_TIMES if part == "train" and Path(name).name.startswith(FIXED) else 1)
            count[f"{part} images"] += 1
            count[f"{part} people"] += len(boxes)
    cctv = _prepare_cctv(data, read_records(output / "teachers.jsonl"), images, labels, count)
    seen = list(dict.fromkeys([*lists["train"], *cctv]))
    lists["train"] += cctv * CCTV_TIMES + _hide_some(seen, labels, count)
    if synthetic is not None:
        frames = sorted((synthetic.resolve() / "images").glob("*.jpg"))
        times = max(1, round(SYNTHETIC_SHARE * len(lists["train"]) / max(1, len(frames))))
        lists["train"] += [str(path) for path in frames] * times
        count["synthetic images"] = len(frames)
        count["synthetic images, times seen"] = times
    if pasted is not None:
        composed = [str(path) for path in sorted((pasted.resolve() / "images").glob("*.jpg"))]
        lists["train"] += composed
        count["pasted images"] = len(composed)
    for part, names in lists.items():
        (output / "data" / f"{part}.txt").write_text("\n".join(names) + "\n")
    (output / "data" / "data.yaml").write_text(
        f"path: {output / 'data'}\ntrain: train.txt\nval: val.txt\nnames:\n  0: person\n"
    )
    return count
