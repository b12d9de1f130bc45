"""The shipped detector gives the stored answers to a stored synthetic picture, on every backend."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.boxes import iou
from reidpipe.detect.yolo import YoloDetector
from reidpipe.errors import ConfigError
from reidpipe.types import Detections, Image

FOLDER = Path(__file__).parent / "shipped"
SIZES = (416, 640)
BOX_TOLERANCE = 0.5  # pixels
SCORE_TOLERANCE = 0.01
INT8_BOX_TOLERANCE = 6.0  # pixels; sums in 8 bits saturate differently from CPU to CPU
INT8_SCORE_TOLERANCE = 0.08


@pytest.fixture(scope="module")
def image() -> Image:
    return np.asarray(cv2.imread(str(FOLDER / "frame.png")), dtype=np.uint8)


def stored(size: int) -> Detections:
    """What was stored for this input size."""
    answer = json.loads((FOLDER / "expected.json").read_text())[str(size)]
    return Detections(np.asarray(answer["boxes"], np.float32), np.asarray(answer["scores"], np.float32))


def assert_same(found: Detections, expected: Detections) -> None:
    """Every stored person is found, at its place and with its score; rows near the score limit may come or go."""
    clear = expected[expected.scores >= 0.3 + SCORE_TOLERANCE]
    assert len(clear) >= 3
    overlaps = iou(clear.boxes, found.boxes)
    rows = overlaps.argmax(axis=1)
    np.testing.assert_allclose(found.boxes[rows], clear.boxes, atol=BOX_TOLERANCE)
    np.testing.assert_allclose(found.scores[rows], clear.scores, atol=SCORE_TOLERANCE)
    extra = np.delete(found.scores, rows)
    assert (extra < 0.3 + 2 * SCORE_TOLERANCE).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_shipped_gives_the_stored_answers(image: Image, size: int, backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    detector = YoloDetector("person_n", input_size=size, min_score=0.3, backend=backend)
    assert_same(detector.detect([image])[0], stored(size))


def test_shipped_int8_twin_finds_the_same_people(image: Image) -> None:
    found = YoloDetector("person_n_int8", input_size=640, min_score=0.2).detect([image])[0]
    expected = stored(640)
    clear = expected[expected.scores >= 0.3 + INT8_SCORE_TOLERANCE]
    assert len(clear) >= 3
    rows = iou(clear.boxes, found.boxes).argmax(axis=1)
    np.testing.assert_allclose(found.boxes[rows], clear.boxes, atol=INT8_BOX_TOLERANCE)
    np.testing.assert_allclose(found.scores[rows], clear.scores, atol=INT8_SCORE_TOLERANCE)
    assert (np.delete(found.scores, rows) < 0.3 + 2 * INT8_SCORE_TOLERANCE).all()


def test_shipped_int8_twin_is_refused_where_it_would_be_wrong() -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    with pytest.raises(ConfigError, match="OpenVINO computes INT8 ONNX detectors wrongly"):
        YoloDetector("person_n_int8", backend="openvino")


def test_shipped_is_the_same_in_a_batch(image: Image) -> None:
    other = np.ascontiguousarray(image[:, ::-1])
    detector = YoloDetector("person_n", input_size=416, min_score=0.3)
    together = detector.detect([other, image, image])
    for found in together[1:]:
        assert_same(found, stored(416))


def test_shipped_mirrored_picture_gives_mirrored_people(image: Image) -> None:
    detector = YoloDetector("person_n", min_score=0.3)
    plain, mirrored = detector.detect([image, np.ascontiguousarray(image[:, ::-1])])
    back = mirrored.boxes[:, [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32)
    back[:, [0, 2]] += image.shape[1]
    sure = plain.scores >= 0.5
    assert sure.any()
    assert (iou(plain.boxes[sure], back).max(axis=1) >= 0.6).all()


def test_shipped_says_what_it_is() -> None:
    facts = YoloDetector("person_n").facts
    assert (facts.head, facts.names, facts.normalize.color_order) == ("v8", {0: "person"}, "rgb")
    assert facts.normalize.scale == pytest.approx(1 / 255, abs=1e-9)
    assert (facts.batch, facts.height, facts.width, facts.side) == (None, None, None, 640)
