from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import MissingExtraError, WeightsError

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from reidpipe.reid.export import write_onnx  # noqa: E402
from reidpipe.reid.models import OSNet  # noqa: E402
from reidpipe.reid.parity import compare  # noqa: E402
from reidpipe.reid.spec import OSNetSpec  # noqa: E402
from reidpipe.reid.tflite import write_tflite  # noqa: E402
from reidpipe.reid.tflite_file import activation_scale, quantise_weights, tflite_bytes  # noqa: E402
from reidpipe.reid.tflite_graph import Graph, read_graph  # noqa: E402
from reidpipe.runtime import open_session  # noqa: E402

NORMS = ("none", "inside", "outside", "both", "none", "none")
VARIANTS: list[Any] = [
    {"streams": 1, "norms": NORMS, "stem_norm": "instance"},
    {"fusion": "concat"},
    {"fusion": "fixed"},
    pytest.param({"layout": "ain"}, marks=pytest.mark.slow),
    pytest.param({"fusion": "stream"}, marks=pytest.mark.slow),
    pytest.param({"fusion": "separate"}, marks=pytest.mark.slow),
    pytest.param({"fusion": "add"}, marks=pytest.mark.slow),
    pytest.param({"convolution": "standard", "streams": 1}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_tflite_takes_every_variant(tmp_path: Path, changes: dict[str, Any]) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra tflite is not installed")
    torch.manual_seed(0)
    model = OSNet(OSNetSpec.model_validate({"width": 0.25, "streams": 2, **changes})).train()
    model(torch.randn(8, 3, 64, 32))
    images = np.random.default_rng(0).standard_normal((12, 3, 64, 32)).astype(np.float32)
    write_onnx(model.eval(), tmp_path / "m.onnx", {}, height=64, width=32)
    for name, calibration in (("fp32", None), ("int8", images)):
        write_tflite(tmp_path / "m.onnx", tmp_path / f"{name}.tflite", {}, calibration=calibration)
        parity = compare(model, open_session(tmp_path / f"{name}.tflite"), images)
        parity.check(name, precision=name)  # type: ignore[arg-type]
        assert parity.largest_error < (1e-5 if name == "fp32" else 0.3)


def test_tflite_activation_scale_meets_zero_exactly() -> None:
    for low, high in ((0.0, 6.0), (-3.0, 1.0), (2.0, 5.0), (-4.0, -1.0), (0.0, 0.0)):
        scale, zero = activation_scale(low, high)
        assert -128 <= zero <= 127
        least, most = (-128 - zero) * scale, (127 - zero) * scale
        assert least <= min(low, 0) + scale  # at most one step is lost at either end
        assert most >= max(high, 0) - scale


def test_tflite_weights_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, 1, 1, 7)).astype(np.float32)
    weights[2] = 0  # a dead channel
    bias = np.array([0.1, -2, 3, 1e9, 0], np.float32)  # the fourth would not fit with the scale of its weights
    small, large, scales = quantise_weights(weights, bias, axis=0, input_scale=0.02)
    lost = np.abs(small * scales[:, None, None, None] - weights).max(axis=(1, 2, 3))
    assert (lost[[0, 1, 2, 4]] <= 0.501 * scales[[0, 1, 2, 4]]).all()
    np.testing.assert_allclose(large * 0.02 * scales.astype(np.float64), bias, rtol=1e-5, atol=0.02 * scales.max())


def test_tflite_unknown_operators_are_named(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Einsum", ["images"], ["out"], equation="nchw->n", name="odd")
    given = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, 64, 32])
    result = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["batch"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [given], [result]))
    with pytest.raises(WeightsError, match=r"no TFLite for the ONNX operator Einsum \(odd\)"):
        read_graph(model)


def test_tflite_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingExtraError, match=r"reidpipe\[tflite\]"):
        tflite_bytes(Graph("a", "b", [], {}, {}), {})
