from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import ConfigError, WeightsError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from reidpipe.reid import export  # noqa: E402
from reidpipe.reid.checkpoint import export_state_dict  # noqa: E402
from reidpipe.reid.embed import to_input  # noqa: E402
from reidpipe.reid.models import OSNet  # noqa: E402
from reidpipe.reid.parity import Parity  # noqa: E402
from reidpipe.reid.spec import OSNetSpec, get_spec, save_spec  # noqa: E402
from reidpipe.runtime import Session, open_session  # noqa: E402

NEEDS = {".onnx": "onnx", ".xml": "openvino", ".tflite": "ai_edge_litert"}
SIZE: dict[str, Any] = {"height": 64, "width": 32}


def trained(spec: OSNetSpec) -> OSNet:
    """A net with running statistics that are not those of a fresh one."""
    torch.manual_seed(0)
    model = OSNet(spec, num_classes=3).train()
    for _ in range(3):
        model(torch.randn(4, 3, 64, 32))
    return model.eval()


@pytest.fixture(scope="module")
def model() -> OSNet:
    return trained(OSNetSpec(width=0.25, streams=1))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, 64, 32)).astype(np.float32)


def facts(session: Session) -> dict[str, Any]:
    keys = ("input_size", "mean", "std", "scale", "dim")
    return {key: json.loads(session.metadata[key]) for key in keys} | {"order": session.metadata["color_order"]}


@pytest.fixture(scope="module", params=[".onnx", ".xml", ".tflite"])
def exported(
    request: pytest.FixtureRequest, model: OSNet, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, export.ExportReport]:
    """One format in both precisions."""
    pytest.importorskip(NEEDS[request.param], reason=f"the package {NEEDS[request.param]} is not installed")
    folder = tmp_path_factory.mktemp("export")
    return {
        precision: export.export_model(
            model,
            folder / f"{precision}{request.param}",
            architecture="small",
            precision=precision,
            calibration=images(32),
            licence="Apache-2.0",
            **SIZE,
        )
        for precision in ("fp32", "int8")
    }


def test_export_agrees_with_torch_at_any_batch(exported: dict[str, export.ExportReport]) -> None:
    for precision, cosine in (("fp32", 0.9999), ("int8", 0.99)):
        report = exported[precision]
        assert set(report.parity.cosines) == {1, 2, 7, 32}
        assert min(report.parity.cosines.values()) > cosine
        session = open_session(report.path)
        assert session.inputs[0].shape == (None, 3, 64, 32)
        assert session.run(images(3))[0].shape == (3, 512)  # the batch is free
    assert exported["int8"].size_bytes < 0.8 * exported["fp32"].size_bytes


def test_export_leaves_only_whole_files(exported: dict[str, export.ExportReport]) -> None:
    folder = exported["fp32"].path.parent
    suffixes = {".xml", ".bin"} if exported["fp32"].path.suffix == ".xml" else {exported["fp32"].path.suffix}
    wanted = {f"{precision}{suffix}" for precision in exported for suffix in suffixes}
    assert {file.name for file in folder.iterdir()} == wanted
    for precision, report in exported.items():
        files = [file for file in folder.iterdir() if file.stem == precision]
        assert report.size_bytes == sum(file.stat().st_size for file in files)


def test_export_says_how_to_prepare_pictures(exported: dict[str, export.ExportReport]) -> None:
    for precision, report in exported.items():
        session = open_session(report.path)
        assert (session.metadata["precision"], session.metadata["licence"]) == (precision, "Apache-2.0")
        assert facts(session) == {
            "input_size": [64, 32],
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "scale": pytest.approx(1 / 255),
            "dim": 512,
            "order": "RGB",
        }


def test_export_is_read_by_the_pipeline_embedder(exported: dict[str, export.ExportReport], model: OSNet) -> None:
    from reidpipe.embed.osnet import OSNetEmbedder

    pictures = np.random.default_rng(0).integers(0, 255, (3, 64, 32, 3), dtype=np.uint8)
    embedder = OSNetEmbedder(exported["fp32"].path)
    assert not embedder.facts.assumed
    box = np.array([[0, 0, 32, 64]], dtype=np.float32)
    vectors = np.concatenate(embedder.embed(list(pictures), [box] * 3))
    bare = copy.deepcopy(model)
    bare.classifier = None
    with torch.no_grad():
        wanted = bare(to_input(pictures)).numpy()
    np.testing.assert_allclose(vectors, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25", "osnet_ibn_x1_0"])
def test_export_onnx_of_the_known_variants(tmp_path: Path, name: str) -> None:
    report = export.export_model(trained(get_spec(name)), tmp_path / "m.onnx", architecture=name, **SIZE)
    assert min(report.parity.cosines.values()) > 0.9999
    assert report.parity.largest_error < 1e-4


def test_export_from_a_checkpoint(tmp_path: Path, model: OSNet) -> None:
    export_state_dict(model, tmp_path / "m.pth")
    save_spec(model.spec, tmp_path / "m.yaml")
    report = export.export_checkpoint(tmp_path / "m.yaml", tmp_path / "m.pth", tmp_path / "m.onnx", **SIZE)
    assert report.path.is_file()
    with pytest.raises(WeightsError, match="has no layer"):
        export.export_checkpoint("osnet_x0_25", tmp_path / "m.pth", tmp_path / "n.onnx", **SIZE)


def test_export_that_differs_is_refused_and_the_old_file_stays(
    tmp_path: Path, model: OSNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "compare", lambda *_arguments: Parity({1: 1.0, 7: 0.98}, 0.2))
    (tmp_path / "m.onnx").write_text("old")
    with pytest.raises(WeightsError, match=r"1\.000000 at batch 1, 0\.980000 at batch 7; .* 0\.9999 is needed"):
        export.export_model(model, tmp_path / "m.onnx", architecture="x", **SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "old"


def test_export_int8_keeps_as_few_blocks_in_fp32_as_it_takes(
    tmp_path: Path, model: OSNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([0.98, 0.989, 0.991])
    monkeypatch.setattr(export, "compare", lambda *_arguments: Parity({1: next(answers)}, 0.1))
    report = export.export_model(
        model, tmp_path / "m.onnx", architecture="x", precision="int8", calibration=images(8), **SIZE
    )
    assert report.float_blocks == ("conv2.0", "conv2.1")
    assert json.loads(open_session(tmp_path / "m.onnx").metadata["float_blocks"]) == ["conv2.0", "conv2.1"]
    content = onnx.load(str(tmp_path / "m.onnx"))
    quantised = {
        node.name for node in content.graph.node if node.op_type == "Conv" and "DequantizeLinear" in node.input[1]
    }
    assert not any("/conv2.0/" in name or "/conv2.1/" in name for name in quantised)
    assert any("/conv3/conv3.0/" in name for name in quantised)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("m.pb", {}, r"m\.pb: give a file name with one of \.onnx \(ONNX\), \.xml"),
        ("m.onnx", {"precision": "int8"}, "INT8 needs calibration images"),
        ("m.onnx", {"precision": "int8", "calibration": images(3)}, "at least 8 images, got 3"),
        ("m.onnx", {"calibration": images(9)[:, :, :32]}, r"must be \(N, 3, 64, 32\)"),
        ("m.onnx", {"precision": "int4"}, "no such precision 'int4'"),
        ("m.onnx", {"height": 16}, "16x32 is too small"),
    ],
)
def test_export_refuses_what_it_cannot_write(tmp_path: Path, name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        export.export_model(OSNet(OSNetSpec(width=0.25)), tmp_path / name, architecture="x", **{**SIZE, **changes})
    assert not list(tmp_path.iterdir())


class Answers:
    """A session that gives prepared answers."""

    def __init__(self, answers: Sequence[np.ndarray]) -> None:
        self._answers = iter(answers)

    def run(self, *_arrays: np.ndarray) -> list[np.ndarray]:
        return [next(self._answers)]


def test_parity_tells_the_worst_row_of_each_batch() -> None:
    from reidpipe.reid.parity import compare

    model = torch.nn.Flatten()
    given = np.ones((4, 2, 1, 1), np.float32)
    answers = [np.ones((count, 2), np.float32) for count in (1, 2, 7, 32)]
    answers[2][3] = (1, 0)
    found = compare(model, Answers(answers), given)  # type: ignore[arg-type]
    assert found.cosines == pytest.approx({1: 1, 2: 1, 7: 0.5**0.5, 32: 1}, abs=1e-6)
    assert found.largest_error == pytest.approx(1.0)
    with pytest.raises(WeightsError, match=r"0\.707107 at batch 7"):
        found.check("m", precision="int8")


def test_parity_refuses_another_shape_and_nan() -> None:
    from reidpipe.reid.parity import compare

    given = np.ones((1, 2, 1, 1), np.float32)
    with pytest.raises(WeightsError, match=r"gives \(1, 3\) at batch 1"):
        compare(torch.nn.Flatten(), Answers([np.ones((1, 3), np.float32)]), given)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="nan at batch 1"):
        Parity({1: float("nan")}, 0.0).check("m", precision="fp32")


def test_parity_row_cosines_hand_table() -> None:
    from reidpipe.reid.parity import row_cosines

    one = np.array([[3, 4], [1, 0], [0, 0]], dtype=np.float32)
    two = np.array([[6, 8], [0, 2], [1, 1]], dtype=np.float32)
    np.testing.assert_allclose(row_cosines(one, two), [1, 0, 0], atol=1e-6)
