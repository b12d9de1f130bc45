from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.reid.spec import AIN, SPECS, OSNetSpec, get_spec, load_spec, save_spec

torch = pytest.importorskip("torch")

from reidpipe.reid.blocks import OSBlock  # noqa: E402
from reidpipe.reid.checkpoint import load_weights  # noqa: E402
from reidpipe.reid.models import OSNet, build_osnet, count_multiply_adds, count_parameters  # noqa: E402

SMALL = (64, 32)  # rows, columns


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict[str, Any]:
    folder = shared_data / "golden"
    return {
        "keys": json.loads((folder / "osnet_keys.json").read_text()),
        "features": np.load(folder / "osnet_deterministic.npz"),
        "images": np.random.default_rng(0).random((4, 3, 256, 128), dtype="float32"),
    }


def rebuilt_value(key: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The weights that the golden README prescribes for a key."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    value: np.ndarray[Any, Any]
    if key.endswith("num_batches_tracked"):
        value = np.zeros(shape, np.int64)
    elif key.endswith("running_var"):
        value = rng.uniform(0.5, 1.5, shape)
    elif len(shape) >= 2:
        value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    else:
        value = float(key.endswith(".weight")) + 0.1 * rng.standard_normal(shape)
    return value


@pytest.mark.parametrize("name", sorted(SPECS))
def test_models_agree_with_the_reference_implementation(name: str, golden: dict[str, Any]) -> None:
    wanted = golden["keys"][name]
    model = build_osnet(name, num_classes=11).eval()
    state = model.state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == wanted["keys"]
    assert count_parameters(model) == wanted["parameters_without_classifier"]
    rebuilt = {key: torch.from_numpy(np.asarray(rebuilt_value(key, tuple(v.shape)))) for key, v in state.items()}
    model.load_state_dict({key: value.to(state[key].dtype) for key, value in rebuilt.items()})
    with torch.no_grad():
        features = model(torch.from_numpy(golden["images"])).numpy()
    reference = golden["features"][name]
    norms = np.linalg.norm(features, axis=1) * np.linalg.norm(reference, axis=1)
    assert ((features * reference).sum(axis=1) / norms).min() > 0.99999
    assert np.abs(features - reference).max() < 1e-4 * np.abs(reference).max()


def test_models_agree_on_real_weights_and_images(shared_data: Path) -> None:
    stored = np.load(shared_data / "golden" / "osnet_x0_25_market1501_viper8.npz")
    arrays = {stored[key].shape[-1]: stored[key] for key in stored.files if stored[key].ndim in (2, 4)}
    model = build_osnet("osnet_x0_25").eval()
    load_weights(model, shared_data / "weights" / "osnet_x0_25_market1501.pth")
    with torch.no_grad():
        features = model(torch.from_numpy(arrays[128].astype(np.float32))).numpy()
    reference = arrays[512]
    norms = np.linalg.norm(features, axis=1) * np.linalg.norm(reference, axis=1)
    assert ((features * reference).sum(axis=1) / norms).min() > 0.99999
    # the images are stored as float16, the features were made before that rounding
    np.testing.assert_allclose(features, reference, rtol=0, atol=1e-3 * np.abs(reference).max())


@pytest.mark.parametrize(
    ("name", "millions"), [("osnet_x1_0", 978.9), ("osnet_x0_75", 571.8), ("osnet_x0_5", 272.9), ("osnet_x0_25", 82.3)]
)
def test_models_multiply_adds_are_the_published_ones(name: str, millions: float) -> None:
    assert round(count_multiply_adds(build_osnet(name)) / 1e6, 1) == millions


ABLATIONS = [
    *({"streams": streams} for streams in (1, 2, 3, 5)),
    *({"fusion": fusion} for fusion in ("stream", "separate", "fixed", "add", "concat")),
    {"convolution": "standard"},
    {"norms": ("outside", "both", "none", "inside", "none", "both"), "stem_norm": "instance"},
    {"layout": "ain", "fusion": "concat", "streams": 2},
    {"embedding": 64},
]


@pytest.mark.parametrize("change", ABLATIONS, ids=str)
def test_models_every_ablation_trains(change: dict[str, Any]) -> None:
    torch.manual_seed(0)
    spec = OSNetSpec.model_validate({"width": 0.25, **change})
    model = build_osnet(spec)
    embedding = model(torch.randn(4, 3, *SMALL))
    embedding.square().sum().backward()
    assert embedding.shape == (4, spec.embedding)
    without = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    # a convolution bias before a norm, and a gate unit that ReLU closed for all four images, have no gradient
    assert all("gate" in name or name == "fc.0.bias" for name in without), without


def test_models_gate_fusions_have_their_published_shapes() -> None:
    def gate(fusion: str) -> list[tuple[int, ...]]:
        model = OSNet(OSNetSpec.model_validate({"fusion": fusion}))
        return [tuple(value.shape) for value in model.get_submodule("conv2.0.gate").parameters()]

    assert gate("unified") == [(4, 64, 1, 1), (4,), (64, 4, 1, 1), (64,)]
    assert gate("stream") == [(4, 64, 1, 1), (4,), (1, 4, 1, 1), (1,)]
    assert gate("separate") == 4 * gate("unified")
    assert gate("fixed") == [(4, 64)]
    assert gate("add") == gate("concat") == []


def test_models_receptive_field_grows_with_the_stream() -> None:
    torch.manual_seed(0)
    block = build_osnet("osnet_x0_25").eval().get_submodule("conv2.0")
    assert isinstance(block, OSBlock)
    x = torch.zeros(1, 16, 15, 15, requires_grad=True)
    for depth, stream in enumerate(block.streams(x + 1), start=1):
        gradient = torch.autograd.grad(stream[0, :, 7, 7].sum(), x, retain_graph=True)[0]
        touched = gradient.abs().sum(dim=(0, 1)) > 0
        assert int(touched.any(dim=0).sum()) == 2 * depth + 1


def test_spec_file_builds_the_same_model(tmp_path: Path) -> None:
    spec = OSNetSpec(width=0.5, norms=AIN, stem_norm="instance", layout="ain", streams=3)
    save_spec(spec, tmp_path / "found.yaml")
    assert load_spec(tmp_path / "found.yaml") == spec
    assert get_spec(tmp_path / "found.yaml") == spec
    assert build_osnet(tmp_path / "found.yaml").spec == spec


def test_spec_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"osnet_x2_0.*osnet_ain_x0_25"):
        get_spec("osnet_x2_0")


@pytest.mark.parametrize(("content", "word"), [("width: -1", "width"), ("streems: 4", "streems"), ("[", "spec")])
def test_spec_file_with_an_error_is_refused(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(ConfigError, match=word):
        load_spec(tmp_path / "bad.yaml")


def test_models_ain_keeps_the_memory_layout_in_training() -> None:
    model = build_osnet("osnet_ain_x0_25").train()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layouts: list[bool] = []
    for layer in model.modules():
        if isinstance(layer, torch.nn.InstanceNorm2d):
            layer.register_forward_hook(
                lambda _layer, _inputs, out: layouts.append(out.is_contiguous(memory_format=torch.channels_last))
            )
    model(torch.rand(2, 3, 64, 32).to(memory_format=torch.channels_last))
    assert len(layouts) > 1
    assert all(layouts)
