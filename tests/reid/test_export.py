from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reidpipe.errors import WeightsError

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from reidpipe.reid import export  # noqa: E402
from reidpipe.reid.checkpoint import export_state_dict  # noqa: E402
from reidpipe.reid.embed import to_input  # noqa: E402
from reidpipe.reid.models import OSNet, build_osnet  # noqa: E402
from reidpipe.runtime import open_session  # noqa: E402


def trained(name: str) -> OSNet:
    """A net with running statistics that are not those of a fresh one."""
    torch.manual_seed(0)
    model = build_osnet(name, num_classes=3).train()
    for _ in range(3):
        model(torch.randn(4, 3, 64, 32))
    return model.eval()


@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_export_agrees_with_torch_at_any_batch(tmp_path: Path, name: str) -> None:
    report = export.export_onnx(trained(name), tmp_path / "m.onnx", architecture=name, height=64, width=32)
    assert set(report.cosines) == {1, 2, 7, 32}
    assert min(report.cosines.values()) > 0.9999
    assert report.largest_error < 1e-4
    assert report.size_bytes == (tmp_path / "m.onnx").stat().st_size < 1_200_000
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_export_metadata_is_what_an_embedder_reads(tmp_path: Path) -> None:
    model = trained("osnet_x0_25")
    export.export_onnx(
        model, tmp_path / "m.onnx", architecture="osnet_x0_25", height=64, width=32, licence="Apache-2.0"
    )
    session = open_session(tmp_path / "m.onnx")
    facts = session.metadata
    assert session.inputs[0].name == "images"
    assert session.inputs[0].shape == (None, 3, 64, 32)
    assert session.outputs[0].name == "embeddings"
    assert facts["reidpipe.kind"] == "embedder"
    assert facts["color_order"] == "RGB"
    assert json.loads(facts["input_size"]) == [64, 32]
    assert json.loads(facts["mean"]) == [0.485, 0.456, 0.406]
    assert json.loads(facts["scale"]) == pytest.approx(1 / 255)
    assert (facts["dim"], facts["architecture"], facts["licence"]) == ("512", "osnet_x0_25", "Apache-2.0")


def test_export_is_read_by_the_pipeline_embedder(tmp_path: Path) -> None:
    from reidpipe.embed.osnet import OSNetEmbedder

    model = trained("osnet_x0_25")
    export.export_onnx(model, tmp_path / "m.onnx", architecture="osnet_x0_25", height=64, width=32)
    picture = np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    vector = OSNetEmbedder(tmp_path / "m.onnx").embed(picture, np.array([[0, 0, 32, 64]], dtype=np.float32))
    with torch.no_grad():
        wanted = model(to_input(picture[None])).numpy()[0]
    np.testing.assert_allclose(vector[0], wanted / np.linalg.norm(wanted), atol=1e-4)


def test_export_from_a_checkpoint(tmp_path: Path) -> None:
    export_state_dict(trained("osnet_x0_25"), tmp_path / "m.pth")
    report = export.export_checkpoint("osnet_x0_25", tmp_path / "m.pth", tmp_path / "m.onnx", height=64, width=32)
    assert report.path.is_file()
    with pytest.raises(WeightsError, match="another width"):
        export.export_checkpoint("osnet_x0_5", tmp_path / "m.pth", tmp_path / "n.onnx", height=64, width=32)


def test_export_that_differs_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "compare", lambda *_args, **_sizes: ({1: 1.0, 7: 0.98}, 0.2))
    with pytest.raises(WeightsError, match=r"cosine 0\.980000 at batch 7"):
        export.export_onnx(trained("osnet_x0_25"), tmp_path / "m.onnx", architecture="x", height=64, width=32)
    assert not list(tmp_path.iterdir())
