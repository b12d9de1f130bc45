"""Nets of others on real pictures: three formats, one answer."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from reidpipe.boxes import iou
from reidpipe.detect.yolo import YoloDetector
from reidpipe.errors import WeightsError
from reidpipe.types import Boxes, Image

pytestmark = pytest.mark.real


FRAMES = (20, 100, 180, 260)  # 0-based, of PETS09-S2L1: four to eight people each


@pytest.fixture(scope="module")
def images(shared_data: Path) -> list[Image]:
    import av

    with av.open(str(next((shared_data / "mot/PETS09-S2L1").glob("*.mp4")))) as container:
        frames = islice(container.decode(video=0), FRAMES[-1] + 1)
        return [np.asarray(frame.to_ndarray(format="bgr24")) for index, frame in enumerate(frames) if index in FRAMES]


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> list[Boxes]:
    table = np.loadtxt(shared_data / "mot/PETS09-S2L1/gt/gt.txt", delimiter=",")
    counted = table[table[:, 6] != 0]
    corners = np.concatenate([counted[:, 2:4], counted[:, 2:4] + counted[:, 4:6]], axis=1).astype(np.float32)
    return [corners[counted[:, 0] == index + 1] for index in FRAMES]


@pytest.mark.parametrize(
    ("model", "backend"),
    [
        ("yolov5n_coco_fp16.onnx", "onnxruntime"),
        ("yolov5n_coco_fp16.onnx", "openvino"),
        ("yolov8n_int8_openvino_model", "auto"),
    ],
)
def test_real_nets_find_the_people(
    shared_data: Path, images: list[Image], truth: list[Boxes], model: str, backend: str
) -> None:
    detector = YoloDetector(shared_data / "weights" / model, backend=backend, min_score=0.3)
    overlaps = [iou(people, found.boxes) for people, found in zip(truth, detector.detect(images), strict=True)]
    recall = np.concatenate([table.max(axis=1) > 0.5 for table in overlaps]).mean()
    precision = np.concatenate([table.max(axis=0) > 0.5 for table in overlaps]).mean()
    assert recall >= 0.85
    assert precision >= 0.75


def test_real_nets_agree_between_engines(shared_data: Path, images: list[Image]) -> None:
    path = shared_data / "weights/yolov5n_coco_fp16.onnx"
    first = YoloDetector(path, min_score=0.3).detect(images)
    second = YoloDetector(path, min_score=0.3, backend="openvino").detect(images)
    for a, b in zip(first, second, strict=True):
        best = iou(a.boxes, b.boxes)
        assert len(a) == len(b)
        assert best.max(axis=1).min() > 0.95
        np.testing.assert_allclose(a.scores, b.scores[best.argmax(axis=1)], atol=0.02)


def test_real_nets_of_two_families_agree(shared_data: Path, images: list[Image]) -> None:
    first = YoloDetector(shared_data / "weights/yolov5n_coco_fp16.onnx", min_score=0.4).detect(images)
    second = YoloDetector(shared_data / "weights/yolov8n_int8_openvino_model", min_score=0.2).detect(images)
    best = np.concatenate([iou(a.boxes, b.boxes).max(axis=1) for a, b in zip(first, second, strict=True)])
    assert len(best) >= 12
    assert (best > 0.6).mean() >= 0.8


def test_real_embedder_is_refused_as_a_detector(shared_data: Path) -> None:
    with pytest.raises(WeightsError, match=r"no YOLO detector: it gives \(\?, 512\)"):
        YoloDetector(shared_data / "weights/osnet_x0_25_msmt17_combineall.onnx")
