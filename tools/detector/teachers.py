"""The two public COCO detectors as teachers: YOLOv5n and YOLOv8n (int8), both run by OpenVINO on one thread.

Their boxes are facts to learn from; nothing of their weights reaches ours. Each image is shown several ways (sizes,
mirrored, stretched) and a person counts by its MEAN score over all views, so a chance hit in one view stays weak.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from reidpipe.boxes import iou, nms

from .geometry import Array, letterbox, to_blob

SIDE = 640
TEACHERS = {"yolov5n": "yolov5n_coco_fp16.onnx", "yolov8n": "yolov8n_int8_openvino_model/yolov8n.xml"}


class Teacher:
    """One COCO network with a fixed 640 x 640 input; ``people`` returns class 0 only."""

    def __init__(self, weights: Path, name: str, *, threads: int = 1) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(weights / TEACHERS[name])
        self.name = name
        self.compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1})
        self.half = model.inputs[0].get_element_type().get_type_name() == "f16"
        self.transposed = model.outputs[0].shape[1] < model.outputs[0].shape[2]

    def raw(self, blob: npt.NDArray[Any]) -> Array:
        """float32 (1, 3, 640, 640) RGB 0..1 to float32 (A, 5): cx cy w h score in network pixels."""
        output = np.asarray(self.compiled([blob.astype(np.float16) if self.half else blob])[0][0], dtype=np.float32)
        if self.transposed:  # YOLOv8: (84, A), no objectness
            return np.concatenate([output[:4].T, output[4:5].T], axis=1)
        return np.concatenate([output[:, :4], output[:, 4:5] * output[:, 5:6]], axis=1)

    def people(
        self, image: npt.NDArray[np.uint8], *, side: int = SIDE, minimum: float = 0.05, max_iou: float = 0.6
    ) -> tuple[Array, Array]:
        """Boxes (N, 4) in image pixels and scores (N,) of one BGR image, fitted into ``side`` x ``side``."""
        canvas, scale, (left, top) = letterbox(image, side, side, (SIDE, SIDE))
        rows = self.raw(to_blob([canvas]))
        rows = rows[rows[:, 4] >= minimum]
        centre, size = rows[:, :2], rows[:, 2:4]
        boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
        boxes = np.asarray((boxes - np.array([left, top, left, top])) / scale, dtype=np.float32)
        height, width = image.shape[:2]
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32)).astype(np.float32)
        inside = np.all(boxes[:, 2:] - boxes[:, :2] >= 1, axis=1)  # what lies on the grey border has no area left
        boxes, scores = boxes[inside], rows[inside, 4]
        kept = nms(boxes, scores, max_iou=max_iou)
        return boxes[kept], scores[kept]


def fuse_views(views: list[tuple[Array, Array]], *, overlap_needed: float = 0.55) -> tuple[Array, Array, Array]:
    """Boxes of the same picture seen several ways, as one set.

    Returns:
        Mean boxes (N, 4), mean scores over ALL views (a view without the box counts 0), and the best score of any view.
    """
    boxes = np.concatenate([view[0] for view in views])
    scores = np.concatenate([view[1] for view in views])
    source = np.concatenate([np.full(len(view[0]), k) for k, view in enumerate(views)])
    free = np.ones(len(boxes), bool)
    fused: list[Array] = []
    for row in np.argsort(-scores, kind="stable"):
        if not free[row]:
            continue
        overlap = iou(boxes[row : row + 1], boxes)[0]
        members = []
        for view in range(len(views)):  # at most one member per view: the best-fitting free box
            candidates = np.flatnonzero(free & (source == view) & (overlap >= overlap_needed))
            if candidates.size:
                members.append(int(candidates[np.argmax(overlap[candidates])]))
        free[members] = False
        weight = scores[members][:, None]
        mean = (boxes[members] * weight).sum(0) / weight.sum()
        fused.append(np.array([*mean, scores[members].sum() / len(views), scores[members].max()], np.float32))
    table = np.stack(fused) if fused else np.zeros((0, 6), np.float32)
    return table[:, :4], table[:, 4], table[:, 5]


VIEWS = tuple((side, stretch) for side in (320, 416, 544) for stretch in (1.0, 1.4))
"""Longer side in the network and change of the width of every view. Most CCTV pictures are 256 pixels wide: blown up to
640 their people are so large and soft that both teachers overlook plain ones, and at 416 see them with 0.7 to 0.9."""


def look(teacher: Teacher, image: npt.NDArray[np.uint8]) -> list[tuple[Array, Array]]:
    """One teacher on one image in every view of :data:`VIEWS`, every second one mirrored; boxes in image pixels."""
    views = []
    height, width = image.shape[:2]
    for number, (side, stretch) in enumerate(VIEWS):
        seen = image if stretch == 1 else cv2.resize(image, (round(width * stretch), height))
        mirrored = (number + number // 2) % 2 == 1
        boxes, scores = teacher.people(np.ascontiguousarray(seen[:, ::-1]) if mirrored else seen, side=side)
        if mirrored:
            boxes = np.stack([seen.shape[1] - boxes[:, 2], boxes[:, 1], seen.shape[1] - boxes[:, 0], boxes[:, 3]], 1)
        back = np.float32(width / seen.shape[1])
        views.append((boxes * np.array([back, 1, back, 1], np.float32), scores))
    return views


def label_images(data: Path, images: list[Path], output: Path, *, weights: Path) -> None:
    """Append a JSON line per image to ``output``: rows ``x1 y1 x2 y2 mean best`` of both teachers' views together.

    Boxes are relative to the picture. Images that are there already are skipped.
    """
    done = set()
    if output.exists():
        done = {json.loads(line)["image"] for line in output.read_text().splitlines()}
    teachers = [Teacher(weights, name) for name in TEACHERS]
    with output.open("a") as stream:
        for path in images:
            if str(path) in done:
                continue
            image = cv2.imread(str(data / path))
            if image is None:
                raise FileNotFoundError(f"cannot read {data / path}")
            height, width = image.shape[:2]
            boxes, means, bests = fuse_views([view for teacher in teachers for view in look(teacher, image)])
            table = np.column_stack([boxes / np.array([width, height, width, height], np.float32), means, bests])
            people = [[round(float(value), 4) for value in row] for row in table]
            stream.write(json.dumps({"image": str(path), "people": people}) + "\n")
            stream.flush()
