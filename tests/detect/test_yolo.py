from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidpipe.detect.yolo import YoloDetector
from reidpipe.errors import ConfigError, WeightsError
from reidpipe.stages import Detector
from reidpipe.types import Image
from tests.runtime import nets

SIZE = 64  # 64 + 16 + 4 = 84 cells
NAMES = {"names": "{0: 'car', 1: 'person'}"}
GREY = np.full((SIZE, SIZE, 3), 114, np.uint8)
BOX = [8, 16, 24, 48]  # x1 y1 x2 y2
CENTRE = [16, 32, 16, 32]


def answer(head: str, *, person: int, classes: int) -> np.ndarray[Any, Any]:
    """One person of score 0.8 at BOX, twice (the second is suppressed), in each format."""
    scores = np.zeros(classes)
    scores[person] = 0.8
    if head == "v5":
        output = np.zeros((3 * 84, 5 + classes))
        output[[7, 9]] = [*CENTRE, 1.0, *scores]
    elif head == "v8":
        output = np.zeros((4 + classes, 84))
        output[:, [7, 9]] = np.array([*CENTRE, *scores])[:, None]
    elif head == "end2end":
        output = np.zeros((300, 6))
        output[0] = [*BOX, 0.8, person]
    else:  # cell (1, 3) of stride 8 is row 25: centre (16, 32) is one cell right of and below its corner (8, 24)
        output = np.zeros((84, 5 + classes))
        output[25] = [1, 1, np.log(2), np.log(4), 1.0, *scores]
    return output


def red_picture(width: int, height: int, box: tuple[int, int, int, int]) -> Image:
    picture = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    picture[y1:y2, x1:x2] = (0, 0, 255)  # BGR
    return picture


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("batch", [1, 3, "batch"])
@pytest.mark.parametrize("head", ["v5", "v8", "end2end", "yolox"])
def test_yolo_reads_every_format_batch_and_type(tmp_path: Path, head: str, batch: int | str, dtype: str) -> None:
    path = tmp_path / "net.onnx"
    nets.says(path, answer(head, person=1, classes=2), input_shape=[batch, 3, SIZE, SIZE], dtype=dtype, metadata=NAMES)
    detector = YoloDetector(path)
    assert isinstance(detector, Detector)
    assert detector.facts.head == head
    found = detector.detect([GREY] * 5)
    assert len(found) == 5
    for one in found:
        np.testing.assert_allclose(one.boxes, [BOX], atol=0.05)
        np.testing.assert_allclose(one.scores, [0.8], atol=1e-3)
        assert one.boxes.flags.c_contiguous


def test_yolo_of_no_picture(tmp_path: Path) -> None:
    detector = YoloDetector(nets.finds_red(tmp_path / "red.onnx"))
    assert detector.detect([]) == []
    assert len(detector.detect([np.zeros((0, 0, 3), np.uint8)])[0]) == 0


def test_yolo_feeds_yolox_raw_bgr(tmp_path: Path) -> None:
    path = nets.says(tmp_path / "x.onnx", answer("yolox", person=0, classes=1), input_shape=[1, 3, SIZE, SIZE])
    normalize = YoloDetector(path).facts.normalize
    assert (normalize.color_order, normalize.scale) == ("bgr", 1.0)


def test_yolo_lets_the_caller_and_the_metadata_decide(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    facts = {"color_order": "bgr", "scale": "1.0"}
    nets.says(path, answer("v8", person=0, classes=1), input_shape=[1, 3, SIZE, SIZE], metadata=facts)
    assert YoloDetector(path).facts.normalize.color_order == "bgr"
    chosen = YoloDetector(path, color_order="rgb", scale=0.5).facts.normalize
    assert (chosen.color_order, chosen.scale) == ("rgb", 0.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 1300), st.integers(40, 1300), st.data())
def test_yolo_boxes_come_back_to_half_a_pixel_of_the_input(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "red.onnx"
    if not path.exists():
        nets.finds_red(path)
    detector = YoloDetector(path, input_size=320)
    side = min(width, height, max(10, max(width, height) // 20))
    x1 = data.draw(st.integers(0, width - side))
    y1 = data.draw(st.integers(0, height - side))
    (found,) = detector.detect([red_picture(width, height, (x1, y1, x1 + side, y1 + side))])
    pixel = max(1.0, max(width, height) / 320)  # one pixel of the input, in pixels of the picture
    assert np.abs(found.boxes - [[x1, y1, x1 + side, y1 + side]]).max() <= 0.5 * pixel + 0.75


def test_yolo_pads_free_inputs_as_little_as_possible(tmp_path: Path) -> None:
    facts = YoloDetector(nets.finds_red(tmp_path / "red.onnx")).facts
    assert facts.input_for(1080, 1920) == (384, 640)
    assert facts.input_for(1920, 1080) == (640, 384)
    assert facts.input_for(576, 768) == (480, 640)
    assert facts.input_for(1, 1000) == (32, 640)


@pytest.mark.parametrize(("stride", "expected"), [("64", (384, 640)), ("32.0", (352, 640)), ("max", (352, 640))])
def test_yolo_of_four_grids_pads_to_64(tmp_path: Path, stride: str, expected: tuple[int, int]) -> None:
    path = nets.finds_red(tmp_path / "red.onnx", metadata={"stride": stride})
    assert YoloDetector(path).facts.input_for(540, 1000) == expected


def test_yolo_takes_pictures_of_different_size_in_order(tmp_path: Path) -> None:
    detector = YoloDetector(nets.finds_red(tmp_path / "red.onnx"), max_batch=2)
    sizes = [(640, 360), (360, 640), (640, 360), (100, 90), (640, 360)]
    pictures = [red_picture(w, h, (10 + 2 * i, 20, 40 + 2 * i, 60)) for i, (w, h) in enumerate(sizes)]
    found = detector.detect(pictures)
    assert [round(float(one.boxes[0, 0])) for one in found] == [10, 12, 14, 16, 18]


def test_yolo_clips_to_the_picture_and_drops_what_lies_outside(tmp_path: Path) -> None:
    output = np.zeros((300, 6))
    output[0] = [-20, -20, 30, 30, 0.9, 0]
    output[1] = [70, 10, 90, 30, 0.8, 0]
    output[2] = [10, 10, np.nan, 30, 0.7, 0]
    output[3] = [20, 20, 10, 30, 0.6, 0]
    path = nets.says(tmp_path / "net.onnx", output, input_shape=[1, 3, SIZE, SIZE], metadata={"names": "['person']"})
    (found,) = YoloDetector(path).detect([GREY])
    np.testing.assert_allclose(found.boxes, [[0, 0, 30, 30]])


def test_yolo_classes_do_not_suppress_each_other(tmp_path: Path) -> None:
    output = np.zeros((6, 84))
    output[:, 1] = [*CENTRE, 0.9, 0]
    output[:, 2] = [*CENTRE, 0, 0.8]
    output[:, 3] = [*CENTRE, 0, 0.7]
    path = nets.says(tmp_path / "net.onnx", output, input_shape=[1, 3, SIZE, SIZE], metadata=NAMES)
    (found,) = YoloDetector(path, classes=["person", "car"]).detect([GREY])
    np.testing.assert_allclose(found.scores, [0.9, 0.8], atol=1e-6)
    assert len(YoloDetector(path).detect([GREY])[0]) == 1


def test_yolo_keeps_what_overlaps_less(tmp_path: Path) -> None:
    path = nets.says(tmp_path / "net.onnx", answer("v8", person=0, classes=1), input_shape=[1, 3, SIZE, SIZE])
    assert len(YoloDetector(path, max_iou=1.0).detect([GREY])[0]) == 2
    assert len(YoloDetector(path, max_iou=0.99).detect([GREY])[0]) == 1
    assert len(YoloDetector(path, min_score=0.81).detect([GREY])[0]) == 0


@pytest.mark.parametrize(
    ("names", "classes", "wanted"),
    [
        ("{0: 'car', 1: 'Person'}", ("person",), [1]),
        ("['person', 'car']", ("person",), [0]),
        ("{0: 'car', 1: 'pedestrian'}", ("person",), [1]),
        ("{0: 'person', 1: 'pedestrian'}", ("person",), [0]),
        ("{0: 'person', 1: 'car'}", ("car", "person"), [0, 1]),
        ("{0: 'head', 1: 'helmet'}", (1,), [1]),
        (None, (1,), [1]),
        ("{0: 'item', 1: 'person'}", (0,), [0]),
    ],
)
def test_yolo_finds_the_class(
    tmp_path: Path, names: str | None, classes: tuple[str | int, ...], wanted: list[int]
) -> None:
    path = tmp_path / "net.onnx"
    metadata = None if names is None else {"names": names}
    nets.says(path, answer("v8", person=0, classes=2), input_shape=[1, 3, SIZE, SIZE], metadata=metadata)
    assert YoloDetector(path, classes=classes).facts.wanted.tolist() == wanted


@pytest.mark.parametrize(("count", "fine"), [(1, True), (80, True), (3, False)])
@pytest.mark.parametrize("names", [False, True])
def test_yolo_without_names_knows_coco_and_one_class(tmp_path: Path, count: int, fine: bool, names: bool) -> None:
    metadata = {"names": str({number: str(number) for number in range(count)})} if names else None
    output = answer("v5", person=0, classes=count)
    path = nets.says(tmp_path / "net.onnx", output, input_shape=[1, 3, SIZE, SIZE], metadata=metadata)
    if fine:
        assert YoloDetector(path).facts.wanted.tolist() == [0]
    else:
        with pytest.raises(ConfigError, match="does not name its 3 classes: set classes"):
            YoloDetector(path)


def test_yolo_takes_the_only_class_of_a_net_for_people(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    nets.says(
        path, answer("v8", person=0, classes=1), input_shape=[1, 3, SIZE, SIZE], metadata={"names": "{0: 'item'}"}
    )
    assert YoloDetector(path).facts.wanted.tolist() == [0]


def test_yolo_is_not_misled_by_other_meanings_of_its_metadata_keys(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    foreign = NAMES | {"head": "v10Detect", "scale": "n", "task": "detect"}  # as ultralytics 8.4 writes them
    nets.says(path, answer("v8", person=1, classes=2), input_shape=[1, 3, SIZE, SIZE], metadata=foreign)
    assert len(YoloDetector(path).detect([GREY])[0]) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": ("bicycle",)}, "no class 'bicycle': it knows car, person"),
        ({"classes": (7,)}, "class 7 does not exist"),
        ({"classes": "person"}, "classes must be a list"),
        ({"classes": ()}, "classes must be a list"),
        ({"min_score": 1.5}, "min_score must be between 0 and 1"),
        ({"max_iou": -0.1}, "max_iou must be between 0 and 1"),
        ({"max_batch": 0}, "max_batch must be at least 1"),
        ({"input_size": 100}, "multiples of 32"),
        ({"input_size": (128, 128)}, "input is fixed to 64 x 64"),
        ({"head": "v99"}, "no such head 'v99'"),
    ],
)
def test_yolo_refuses_what_does_not_fit(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    path = tmp_path / "net.onnx"
    nets.says(path, answer("v8", person=0, classes=2), input_shape=[1, 3, SIZE, SIZE], metadata=NAMES)
    with pytest.raises(ConfigError, match=words):
        YoloDetector(path, **options)


def test_yolo_says_what_a_net_gives_that_is_no_detector(tmp_path: Path) -> None:
    path = nets.averages(tmp_path / "embedder.onnx", shape="batch,3,256,128")
    with pytest.raises(WeightsError, match=r"no YOLO detector: it gives \(\?, 3\)"):
        YoloDetector(path)


def test_yolo_without_a_net_of_that_name_tells_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="no model named 'persn_n'"):
        YoloDetector("persn_n")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_yolo_gives_the_same_on_every_backend(tmp_path: Path, backend: str) -> None:
    path = nets.finds_red(tmp_path / "red.onnx")
    (found,) = YoloDetector(path, backend=backend).detect([red_picture(320, 160, (64, 32, 96, 128))])
    np.testing.assert_allclose(found.boxes, [[64, 32, 96, 128]], atol=0.26)
