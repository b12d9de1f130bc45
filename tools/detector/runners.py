"""Detectors to compare, all with one verb: ``find(image, size)`` gives people in image pixels.

``size`` is the longest side of the picture inside the network. Networks with a fixed 640 input see the small picture on
a 640 canvas: they answer as with the small input (but take the time of the large one).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reidpipe.boxes import nms, valid
from reidpipe.types import Detections, Image

from .geometry import letterbox, to_blob
from .teachers import TEACHERS, Teacher

LOWEST = 0.01
MAX_IOU = 0.6


class Runner(Protocol):
    """A detector under test."""

    name: str

    def find(self, image: Image, size: int) -> Detections:
        """People in one BGR picture whose longest side becomes ``size`` pixels."""


class TeacherRunner:
    """One of the public networks."""

    def __init__(self, weights: Path, name: str, *, threads: int) -> None:
        self.name = name
        self.teacher = Teacher(weights, name, threads=threads)

    def find(self, image: Image, size: int) -> Detections:
        """See ``Runner``."""
        boxes, scores = self.teacher.people(image, side=size, minimum=LOWEST, max_iou=MAX_IOU)
        good = valid(boxes)
        return Detections(boxes[good], scores[good])


class OnnxRunner:
    """Ours (or any ONNX file of the (B, 5, A) kind), by onnxruntime, in the smallest rectangle of stride 32."""

    def __init__(self, path: Path, *, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.name = path.stem
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def raw(self, blob: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(B, 3, H, W) to (B, 5, A)."""
        return np.asarray(self.session.run(None, {"images": blob})[0])

    def find(self, image: Image, size: int) -> Detections:
        """See ``Runner``."""
        rows, columns = image.shape[:2]
        scale = size / max(rows, columns)
        height, width = (-(-round(side * scale) // 32) * 32 for side in (rows, columns))
        canvas, scale, (left, top) = letterbox(image, *fitted(rows, columns, size), (height, width))
        output = self.raw(to_blob([canvas]))[0].T
        output = output[output[:, 4] >= LOWEST]
        boxes = np.concatenate([output[:, :2] - output[:, 2:4] / 2, output[:, :2] + output[:, 2:4] / 2], axis=1)
        boxes = (boxes - np.array([left, top, left, top])) / scale
        boxes = np.clip(boxes, 0, np.array([columns, rows, columns, rows])).astype(np.float32)
        good = valid(boxes)
        boxes, scores = boxes[good], output[good, 4].astype(np.float32)
        kept = nms(boxes, scores, max_iou=MAX_IOU)
        return Detections(boxes[kept], scores[kept])


def fitted(rows: int, columns: int, size: int) -> tuple[int, int]:
    """Height and width of a picture whose longest side becomes ``size``."""
    scale = size / max(rows, columns)
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def build(names: list[str], weights: Path, *, threads: int) -> list[Runner]:
    """Runners for teacher names and paths of ONNX files."""
    return [TeacherRunner(weights, name, threads=threads) if name in TEACHERS
            else OnnxRunner(Path(name), threads=threads) for name in names]  # fmt: skip
