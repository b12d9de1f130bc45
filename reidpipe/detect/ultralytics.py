"""Any model that the package ultralytics can load (``.pt`` above all). Needs the extra ``ultralytics``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.boxes import clip, valid
from reidpipe.detect.facts import find_classes
from reidpipe.errors import ConfigError, MissingExtraError, WeightsError
from reidpipe.types import Detections, Image

__all__ = ["UltralyticsDetector"]


class UltralyticsDetector:
    """Finds people with ``ultralytics.YOLO(...).predict``. Slower than ``YoloDetector``; the package is AGPL-3.0.

    Args:
        model: a ``.pt`` file. It has to be there: nothing is downloaded.
        min_score: detections below are dropped, 0..1.
        max_iou: of two boxes that overlap more, the better one stays, 0..1.
        input_size: the longer side in pixels, or (height, width); default: the model's own.
        classes: what to look for, names or numbers of the model's classes.
        threads: of torch, for the whole process.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        MissingExtraError: ultralytics is not installed.
        WeightsError: the file is missing, or ultralytics cannot load it.
        ConfigError: the model has no such class.
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
        device: str = "cpu",
    ) -> None:
        path = Path(model)
        if not path.is_file():  # ultralytics would try to download it
            raise WeightsError(f"{path}: no such model file")
        try:
            import torch
            from ultralytics import YOLO
        except ModuleNotFoundError as error:
            if error.name not in {"torch", "torchvision", "ultralytics"}:
                raise
            raise MissingExtraError(error.name, extra="ultralytics", why="detection with .pt files") from error
        torch.set_num_threads(threads)
        try:
            self._model: Any = YOLO(str(path))
            names = dict(self._model.names)
        except Exception as error:  # whatever torch and ultralytics raise for a damaged file
            said = " ".join(str(error).split())[:200]
            raise WeightsError(f"{path}: ultralytics cannot load it ({said})") from error
        if self._model.task != "detect":
            raise ConfigError(f"{path}: a model for the task {self._model.task!r}, wants one for detect")
        self.model = str(model)
        self._wanted = find_classes(classes, names, len(names))
        self._settings = {"conf": min_score, "iou": max_iou, "device": device, "verbose": False}
        if input_size is not None:
            self._settings["imgsz"] = input_size if isinstance(input_size, int) else list(input_size)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """One ``Detections`` for each image (uint8 ``(H, W, 3)`` BGR), in order; images may differ in size."""
        if not images:
            return []
        results = self._model.predict(list(images), classes=self._wanted.tolist(), **self._settings)
        return [_read(result, image) for result, image in zip(results, images, strict=True)]


def _read(result: Any, image: Image) -> Detections:
    boxes = np.asarray(result.boxes.xyxy.cpu().numpy(), dtype=np.float32).reshape(-1, 4)
    scores = np.asarray(result.boxes.conf.cpu().numpy(), dtype=np.float32).reshape(-1)
    boxes = clip(boxes, width=image.shape[1], height=image.shape[0])
    good = valid(boxes)
    return Detections(boxes[good], scores[good])
