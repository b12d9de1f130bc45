from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime import open_session
from reidpipe.stages import Embedder
from reidpipe.types import Boxes, Image
from tests.runtime import nets

PLAIN = {"color_order": "rgb", "scale": "1.0", "mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
WHOLE = np.array([[0, 0, 40, 80]], np.float32)


def picture(blue: int, green: int, red: int) -> Image:
    return np.full((80, 40, 3), (blue, green, red), np.uint8)


def some_boxes(count: int, *, width: int = 640, height: int = 480) -> Boxes:
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, [width * 0.8, height * 0.5], (count, 2))
    return np.concatenate([corner, corner + rng.uniform(20, 160, (count, 2))], axis=1).astype(np.float32)


def unit(*values: float) -> np.ndarray[Any, Any]:
    return np.asarray(np.array(values) / np.linalg.norm(values))


def test_osnet_is_an_embedder_with_unit_rows(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx", metadata=PLAIN))
    assert isinstance(embedder, Embedder)
    assert embedder.dim == 3
    (vectors,) = embedder.embed([picture(30, 20, 10)], [np.repeat(WHOLE, 4, axis=0)])
    assert vectors.shape == (4, 3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[0], unit(10, 20, 30), atol=1e-6)


@pytest.mark.parametrize(("order", "expected"), [("rgb", (10, 20, 30)), ("bgr", (30, 20, 10))])
def test_osnet_obeys_the_colour_order_of_the_file(tmp_path: Path, order: str, expected: tuple[int, int, int]) -> None:
    path = nets.averages(tmp_path / "net.onnx", metadata=PLAIN | {"color_order": order})
    np.testing.assert_allclose(OSNetEmbedder(path).embed(picture(30, 20, 10), WHOLE)[0], unit(*expected), atol=1e-6)


def test_osnet_without_facts_takes_torchreids_and_says_so(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx"))
    assert embedder.facts.assumed
    rgb = (np.array([200, 100, 50]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(embedder.embed(picture(50, 100, 200), WHOLE)[0], unit(*rgb), atol=1e-5)


def test_osnet_lets_the_caller_beat_the_file(tmp_path: Path) -> None:
    path = nets.averages(tmp_path / "net.onnx", metadata=PLAIN)
    embedder = OSNetEmbedder(path, color_order="bgr", mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 2.0))
    assert not embedder.facts.assumed
    np.testing.assert_allclose(embedder.embed(picture(30, 20, 13), WHOLE)[0], unit(29, 18, 5), atol=1e-5)


def test_osnet_of_one_picture_gives_one_array(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx"))
    assert embedder.embed(picture(1, 2, 3), WHOLE).shape == (1, 3)
    assert embedder.embed(picture(1, 2, 3), np.zeros((0, 4), np.float32)).shape == (0, 3)


def test_osnet_keeps_rows_with_their_pictures(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx", metadata=PLAIN), max_batch=2)
    none = np.zeros((0, 4), np.float32)
    outside = np.array([[500, 500, 600, 600], [0, 0, 40, 80]], np.float32)
    images = [picture(9, 0, 0), picture(0, 9, 0), picture(0, 9, 9), picture(9, 9, 0)]
    found = embedder.embed(images, [WHOLE, none, outside, np.repeat(WHOLE, 3, axis=0)])
    assert [len(rows) for rows in found] == [1, 0, 2, 3]
    np.testing.assert_allclose(found[0][0], unit(0, 0, 9), atol=1e-6)
    np.testing.assert_allclose(found[2], [unit(9, 9, 0)] * 2, atol=1e-6)
    np.testing.assert_allclose(found[3], [unit(0, 9, 9)] * 3, atol=1e-6)


def test_osnet_of_nothing(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx"))
    assert embedder.embed([], []) == []
    (found,) = embedder.embed([picture(1, 2, 3)], [np.zeros((0, 4), np.float32)])
    assert found.shape == (0, 3)
    assert found.dtype == np.float32


@pytest.mark.parametrize("kind", ["float", "float16"])
@pytest.mark.parametrize("shape", ["1,3,16,8", "4,3,16,8", "batch,3,16,8"])
@pytest.mark.parametrize("count", [1, 4, 7])
def test_osnet_takes_fixed_and_free_batches(tmp_path: Path, shape: str, kind: str, count: int) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx", shape=shape, kind=kind, metadata=PLAIN), max_batch=3)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    boxes = some_boxes(count)
    together = embedder.embed(image, boxes)
    alone = np.concatenate([embedder.embed(image, row[None]) for row in boxes])
    np.testing.assert_allclose(together, alone, atol=2e-3 if kind == "float16" else 1e-6)


def test_osnet_of_a_dead_net_gives_unit_rows(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx", metadata=PLAIN))
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(picture(0, 0, 0), WHOLE)), 1, atol=1e-6)


def test_osnet_with_free_sides_takes_256_by_128_or_what_is_asked(tmp_path: Path) -> None:
    path = nets.averages(tmp_path / "net.onnx", shape="batch,3,height,width")
    assert OSNetEmbedder(path).facts.input_size == (256, 128)
    assert OSNetEmbedder(path, input_size=(160, 64)).facts.input_size == (160, 64)


@pytest.mark.parametrize(
    ("metadata", "options", "error", "words"),
    [
        (PLAIN | {"mean": "bright"}, {}, WeightsError, "its metadata mean"),
        (PLAIN | {"dim": "512"}, {}, WeightsError, "gives vectors of 3, but is said to give 512"),
        (PLAIN | {"input_size": "[256, 128]"}, {}, WeightsError, "input is fixed to 16 x 8"),
        (None, {"color_order": "grb"}, ConfigError, "color_order must be one of"),
        (None, {"std": (0.0, 1.0, 1.0)}, ConfigError, "must be positive"),
        (None, {"max_batch": 0}, ConfigError, "max_batch must be at least 1"),
    ],
)
def test_osnet_refuses_contradictions(
    tmp_path: Path, metadata: dict[str, str] | None, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    path = nets.averages(tmp_path / "net.onnx", metadata=metadata)
    with pytest.raises(error, match=words):
        OSNetEmbedder(path, **options)


def test_osnet_refuses_a_detector(tmp_path: Path) -> None:
    path = nets.says(tmp_path / "net.onnx", np.zeros((84, 84)), input_shape=[1, 3, 64, 64])
    with pytest.raises(WeightsError, match="no embedder: it gives"):
        OSNetEmbedder(path)


@pytest.fixture(scope="module")
def foreign(shared_data: Path) -> Path:
    return shared_data / "weights/osnet_x0_25_msmt17_combineall.onnx"


@pytest.mark.parametrize("count", [1, 2, 7, 32])
def test_osnet_agrees_between_onnxruntime_and_openvino(foreign: Path, count: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    boxes = some_boxes(count)
    a = OSNetEmbedder(foreign).embed(image, boxes)
    b = OSNetEmbedder(foreign, backend="openvino").embed(image, boxes)
    assert (a * b).sum(axis=1).min() >= 0.9999


def test_osnet_equals_the_slow_way_by_hand(foreign: Path) -> None:
    import cv2

    image = np.random.default_rng(2).integers(0, 256, (480, 640, 3), np.uint8)
    boxes = np.array([[10, 20, 110, 260], [300, 5, 380, 200]], np.float32)
    rows = []
    for x1, y1, x2, y2 in boxes.astype(int):
        crop = cv2.cvtColor(cv2.resize(image[y1:y2, x1:x2], (128, 256)), cv2.COLOR_BGR2RGB) / 255
        rows.append(((crop - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1))
    raw = open_session(foreign).run(np.array(rows, np.float32))[0]
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(OSNetEmbedder(foreign).embed(image, boxes), expected, atol=1e-4)


def test_osnet_runs_an_openvino_teacher_of_batch_one(shared_data: Path) -> None:
    folder = shared_data / "weights/person-reidentification-retail-0277"
    embedder = OSNetEmbedder(folder, color_order="bgr", scale=1.0)
    assert (embedder.dim, embedder.facts.batch, embedder.facts.assumed) == (256, 1, False)
    image = np.random.default_rng(3).integers(0, 256, (480, 640, 3), np.uint8)
    vectors = embedder.embed(image, some_boxes(3))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_osnet_reused_room_never_changes_a_result(tmp_path: Path) -> None:
    embedder = OSNetEmbedder(nets.averages(tmp_path / "net.onnx", metadata=PLAIN), max_batch=4)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (60, 80, 3), np.uint8)
    boxes = np.array([[x, 5, x + 12, 40] for x in range(0, 60, 6)], np.float32)
    alone = np.concatenate([embedder.embed(image, boxes[row : row + 1]) for row in range(len(boxes))])
    first = embedder.embed(image, boxes)
    kept = first.copy()
    embedder.embed(image[::-1], boxes)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(first, alone, atol=1e-6)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, kept) for found in pool.map(lambda _: embedder.embed(image, boxes), range(40)))
