"""Any YOLO net as a detector of people: what it is, is read from its outputs and facts, never from its file name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.boxes import Letterbox, clip, letterbox, nms, valid
from reidpipe.detect.facts import NetFacts, read_facts
from reidpipe.detect.heads import NMS_FREE, decode
from reidpipe.errors import ConfigError
from reidpipe.runtime import Session, open_session, picture
from reidpipe.types import Boxes, Detections, Ids, Image, Scores
from reidpipe.weights import resolve

__all__ = ["YoloDetector"]


class YoloDetector:
    """Finds people with a YOLO net (v5 to v12, v26, YOLOX) from ONNX or OpenVINO IR.

    Keeps no state between calls. Pictures of one size share a batch where the net allows it.

    Args:
        model: a name of the weights manifest, or a path: ``.onnx``, ``.xml``, or a folder that holds one of them.
        min_score: detections below are dropped, 0..1. Trackers like ByteTrack want low ones too.
        max_iou: of two boxes of one class that overlap more, the better one stays, 0..1.
        input_size: the longer side in pixels, or (height, width). Default: the net's own; 640 where it is free. A net
            with free sides gets the picture's shape with the least padding to a multiple of 32.
        classes: what to look for, names or numbers of the net's classes.
        threads: for one run of the net.
        backend: see ``reidpipe.runtime.open_session``.
        device: the same.
        max_batch: pictures in one run, where the net's batch is free.
        head: format of the output, see ``reidpipe.detect.heads``; default: told by the output.
        color_order: ``rgb`` or ``bgr``; default: by the net's facts, else as its family is trained.
        scale: factor on the 0..255 pixel; default: the same.

    Raises:
        WeightsError: the file is missing, damaged, or no detector.
        ConfigError: an argument is out of range, or the net does not say which class is a person.

    Example:
        >>> detector = YoloDetector("person_n")  # doctest: +SKIP
        >>> detector.detect([image])[0].boxes  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path,
        *,
        min_score: float = 0.1,
        max_iou: float = 0.65,
        input_size: int | tuple[int, int] | None = None,
        classes: Sequence[str | int] = ("person",),
        threads: int = 2,
        backend: str = "auto",
        device: str = "cpu",
        max_batch: int = 16,
        head: str | None = None,
        color_order: str | None = None,
        scale: float | None = None,
    ) -> None:
        _check_ratio("min_score", min_score)
        _check_ratio("max_iou", max_iou)
        if max_batch < 1:
            raise ConfigError(f"max_batch must be at least 1, got {max_batch}")
        found = resolve(model, kind="detector")
        _check_engine(found.path, backend)
        self._session: Session = open_session(found.path, backend=backend, threads=threads, device=device)
        self.facts: NetFacts = read_facts(
            self._session,
            path=found.path,
            given=found.facts() | _given(head=head, color_order=color_order, scale=scale),
            input_size=input_size,
            classes=classes,
        )
        self.model = found.label
        self._min_score = min_score
        self._max_iou = max_iou
        self._max_batch = self.facts.batch or max_batch

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """One ``Detections`` for each image (uint8 ``(H, W, 3)`` BGR), in order; images may differ in size.

        Boxes are clipped to the picture and have area; rows are in order of falling score, at most one per object.
        """
        images = [picture(image) for image in images]
        results = [Detections.empty()] * len(images)
        for (height, width), rows in self._batches(images):
            fitted = [letterbox(images[row], width=width, height=height) for row in rows]
            outputs = self._run([shrunk for shrunk, _ in fitted], height, width)
            for row, output, (_, mapping) in zip(rows, outputs, fitted, strict=False):
                results[row] = self._read(output, images[row], mapping, height, width)
        return results

    def _batches(self, images: Sequence[Image]) -> Iterator[tuple[tuple[int, int], list[int]]]:
        """Rows of ``images`` that go through the net together, with the input's (height, width)."""
        groups: dict[tuple[int, int], list[int]] = {}
        for row, image in enumerate(images):
            if image.size:
                groups.setdefault(self.facts.input_for(*image.shape[:2]), []).append(row)
        for size, rows in groups.items():
            for start in range(0, len(rows), self._max_batch):
                yield size, rows[start : start + self._max_batch]

    def _run(self, pictures: Sequence[Image], height: int, width: int) -> NDArray[Any]:
        count = self.facts.batch or len(pictures)
        blob = np.empty((count, 3, height, width), self._session.inputs[0].dtype)
        self.facts.normalize.fill(pictures, blob)
        blob[len(pictures) :] = 0  # the spare rows of a fixed batch
        return self._session.run(blob)[self.facts.output]

    def _read(self, output: NDArray[Any], image: Image, mapping: Letterbox, height: int, width: int) -> Detections:
        raw = decode(
            self.facts.head,
            output,
            height=height,
            width=width,
            wanted=self.facts.wanted,
            min_score=self._min_score,
        )
        boxes = clip(mapping.to_image(raw.boxes), width=image.shape[1], height=image.shape[0])
        good = valid(boxes) & np.isfinite(raw.scores)
        keep = self._suppress(boxes[good], raw.scores[good], raw.classes[good])
        scores = np.minimum(raw.scores[good][keep], np.float32(1))
        return Detections(np.ascontiguousarray(boxes[good][keep]), np.ascontiguousarray(scores))

    def _suppress(self, boxes: Boxes, scores: Scores, classes: Ids) -> Ids:
        """Rows to keep, best first; boxes of different classes never suppress each other."""
        if self.facts.head in NMS_FREE:
            return np.argsort(-scores, kind="stable")
        if len(self.facts.wanted) > 1 and len(boxes):
            apart = classes.astype(np.float32) * (boxes.max() + 1)
            boxes = boxes + apart[:, None]
        return nms(boxes, scores, max_iou=self._max_iou)


def _check_engine(path: Path, backend: str) -> None:
    """Refuse an INT8 ONNX detector on OpenVINO: measured, its scores have little to do with onnxruntime's (2026.4)."""
    if backend == "openvino" and path.suffix == ".onnx" and b"QuantizeLinear" in path.read_bytes():
        raise ConfigError(f"{path}: OpenVINO computes INT8 ONNX detectors wrongly; use the backend onnxruntime")


def _check_ratio(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} must be between 0 and 1, got {value}")


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
