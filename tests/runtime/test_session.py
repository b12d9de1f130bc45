from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from reidpipe.errors import ConfigError, MissingExtraError, WeightsError
from reidpipe.runtime import open_session
from tests.runtime import nets


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return nets.averages(tmp_path / "net.onnx", metadata={"color_order": "rgb"})


@pytest.mark.parametrize("backend", ["auto", "onnxruntime", "openvino"])
def test_session_tells_shapes_facts_and_runs(net: Path, backend: str) -> None:
    session = open_session(net, backend=backend)
    assert session.backend == ("onnxruntime" if backend == "auto" else backend)
    (given,), (result,) = session.inputs, session.outputs
    assert (given.name, given.shape, given.dtype) == ("images", (None, 3, 16, 8), np.dtype(np.float32))
    assert (result.shape, result.dtype) == ((None, 3), np.dtype(np.float32))
    assert session.metadata["color_order"] == "rgb"
    values = np.random.default_rng(0).random((5, 3, 16, 8), dtype=np.float32)
    np.testing.assert_allclose(session.run(values)[0], values.mean(axis=(2, 3)), atol=1e-6)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_session_results_are_not_overwritten_by_the_next_run(net: Path, backend: str) -> None:
    session = open_session(net, backend=backend)
    first = session.run(np.ones((1, 3, 16, 8), np.float32))[0]
    session.run(np.full((1, 3, 16, 8), 7, np.float32))
    np.testing.assert_array_equal(first, np.ones((1, 3), np.float32))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_session_may_be_called_from_several_threads(net: Path, backend: str) -> None:
    session = open_session(net, backend=backend)

    def right(value: int) -> bool:
        return bool((session.run(np.full((1, 3, 16, 8), value, np.float32))[0] == value).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(200)))


def test_session_reads_float16(tmp_path: Path) -> None:
    session = open_session(nets.averages(tmp_path / "half.onnx", kind="float16"))
    assert session.inputs[0].dtype == np.float16


def test_session_opens_the_one_model_of_a_folder(net: Path) -> None:
    assert open_session(net.parent).inputs[0].name == "images"


def test_session_refuses_a_folder_with_two_models(net: Path) -> None:
    nets.averages(net.with_name("other.onnx"))
    with pytest.raises(WeightsError, match="2 model files"):
        open_session(net.parent)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such model file"),
        (b"", "empty or truncated"),
        (b"this is a text file, and it is not a model at all", "truncated, or not"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
    ],
)
def test_session_says_in_one_line_what_is_wrong_with_a_file(
    tmp_path: Path, backend: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=words) as caught:
        open_session(path, backend=backend)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_session_refuses_a_truncated_model(net: Path, backend: str) -> None:
    whole = net.read_bytes()
    net.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(WeightsError, match="truncated"):
        open_session(net, backend=backend)


def test_session_refuses_a_file_of_unknown_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.mlmodel"
    path.write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="not a model file"):
        open_session(path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": 0}, "threads must be at least 1"),
        ({"backend": "tensorrt"}, "no such backend 'tensorrt'"),
        ({"backend": "torch"}, "the backend torch cannot read .onnx"),
        ({"precision": "int4"}, "no such precision"),
        ({"precision": "bf16"}, "is for the backend openvino"),
        ({"device": "tpu"}, "cpu or cuda"),
        ({"backend": "openvino", "device": "npu"}, "no device 'npu'"),
    ],
)
def test_session_refuses_arguments_that_do_not_fit(net: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_session(net, **options)  # type: ignore[arg-type]


def test_session_names_the_extra_of_a_missing_engine(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_args: object, **_options: object) -> None:
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setattr("reidpipe.runtime.openvino_.open_openvino", gone)
    with pytest.raises(MissingExtraError, match=r"pip install 'reidpipe\[openvino\]'"):
        open_session(net, backend="openvino")


def test_session_keeps_f32_in_openvino_unless_asked(shared_data: Path) -> None:
    path = shared_data / "weights/osnet_x0_25_msmt17_combineall.onnx"
    values = np.random.default_rng(0).standard_normal((2, 3, 256, 128)).astype(np.float32)
    reference = open_session(path).run(values)[0]
    found = open_session(path, backend="openvino").run(values)[0]
    np.testing.assert_allclose(found, reference, atol=2e-4)
