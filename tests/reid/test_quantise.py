from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reidpipe.errors import ConfigError, WeightsError

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from reidpipe.reid import quantise  # noqa: E402
from reidpipe.reid.export import export_onnx  # noqa: E402
from reidpipe.reid.models import OSNet  # noqa: E402
from reidpipe.reid.spec import OSNetSpec  # noqa: E402
from reidpipe.runtime import open_session  # noqa: E402


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = OSNet(OSNetSpec(width=0.25, streams=2)).train()
    for _ in range(4):
        model(torch.randn(8, 3, 64, 32))
    path = tmp_path_factory.mktemp("quantise") / "m.onnx"
    export_onnx(model.eval(), path, architecture="small", height=64, width=32)
    return path


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, 64, 32)).astype(np.float32)


def test_quantise_is_near_fp32_smaller_and_keeps_the_facts(source: Path, tmp_path: Path) -> None:
    report = quantise.quantise_onnx(source, tmp_path / "m_int8.onnx", images(32))
    assert report.mean_cosine > 0.99
    assert report.size_bytes < source.stat().st_size
    session = open_session(tmp_path / "m_int8.onnx")
    assert session.metadata["precision"] == "int8"
    assert session.metadata["color_order"] == "RGB"
    assert session.run(images(3))[0].shape == (3, 512)  # the batch is still free
    assert [path.name for path in tmp_path.iterdir()] == ["m_int8.onnx"]


def test_quantise_that_differs_is_refused(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantise, "row_cosines", lambda one, two: np.full(len(one), 0.9, dtype=np.float32))
    with pytest.raises(WeightsError, match=r"mean cosine 0\.9000, 0\.99 is needed"):
        quantise.quantise_onnx(source, tmp_path / "m_int8.onnx", images(16))
    assert not list(tmp_path.iterdir())


def test_quantise_needs_images(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 8 images, got 3"):
        quantise.quantise_onnx(source, tmp_path / "m_int8.onnx", images(3))


def test_quantise_openvino_twin_agrees(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    report = quantise.export_openvino(source, tmp_path / "m.xml")
    assert report.lowest_cosine > 0.9999
    assert (tmp_path / "m.bin").stat().st_size == report.size_bytes


def test_quantise_row_cosines_hand_table() -> None:
    one = np.array([[3, 4], [1, 0], [0, 0]], dtype=np.float32)
    two = np.array([[6, 8], [0, 2], [1, 1]], dtype=np.float32)
    np.testing.assert_allclose(quantise.row_cosines(one, two), [1, 0, 0], atol=1e-6)
