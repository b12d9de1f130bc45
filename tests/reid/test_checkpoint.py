from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reidpipe.errors import WeightsError

torch = pytest.importorskip("torch")

from reidpipe.reid.checkpoint import export_state_dict, load_weights, read_state_dict  # noqa: E402
from reidpipe.reid.models import build_osnet  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "osnet.pth"
    torch.save(build_osnet("osnet_x0_25", num_classes=7).state_dict(), path)
    return path


def fc_weight(path: Path) -> Any:
    return read_state_dict(path)["fc.0.weight"]


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "module", "without_classifier"])
def test_checkpoint_layouts_of_torchreid_load(weights: Path, tmp_path: Path, wrap: str) -> None:
    state = read_state_dict(weights)
    if wrap == "module":
        state = {f"module.{name}": value for name, value in state.items()}
    if wrap == "without_classifier":
        state = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    path = tmp_path / "model.pth.tar"
    torch.save({"state_dict": state, "epoch": 3} if wrap == "state_dict" else state, path)
    model = build_osnet("osnet_x0_25")
    load_weights(model, path)
    assert torch.equal(model.fc[0].weight, fc_weight(weights))


def test_checkpoint_classifier_is_kept_where_it_fits(weights: Path) -> None:
    model = build_osnet("osnet_x0_25", num_classes=7)
    load_weights(model, weights)
    assert torch.equal(model.state_dict()["classifier.weight"], read_state_dict(weights)["classifier.weight"])
    other = build_osnet("osnet_x0_25", num_classes=9)
    before = other.state_dict()["classifier.weight"].clone()
    load_weights(other, weights)
    assert torch.equal(other.state_dict()["classifier.weight"], before)


def test_checkpoint_wrong_width_names_the_layer(weights: Path) -> None:
    with pytest.raises(WeightsError, match=r"conv1\.conv\.weight.*\(16, 3, 7, 7\).*\(32, 3, 7, 7\)"):
        load_weights(build_osnet("osnet_x0_5"), weights)


def test_checkpoint_wrong_family_names_the_layer(weights: Path) -> None:
    with pytest.raises(WeightsError, match=r"no layer 'conv2\.0\.conv2\.0\.layers"):
        load_weights(build_osnet("osnet_ain_x0_25"), weights)


def test_checkpoint_missing_and_unknown_layers_are_named(weights: Path, tmp_path: Path) -> None:
    state = read_state_dict(weights)
    del state["conv5.conv.weight"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(WeightsError, match=r"no layer 'conv5\.conv\.weight'"):
        load_weights(build_osnet("osnet_x0_25"), tmp_path / "less.pth")
    state = {**read_state_dict(weights), "neck.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "more.pth")
    with pytest.raises(WeightsError, match=r"layer 'neck\.weight'"):
        load_weights(build_osnet("osnet_x0_25"), tmp_path / "more.pth")


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut"])
def test_checkpoint_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.pth") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


def test_checkpoint_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth is not there"):
        read_state_dict(tmp_path / "nowhere.pth")


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code from the file ran",))


def test_checkpoint_with_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": Harmful()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "evil.pth")
    assert capsys.readouterr().out == ""


def test_checkpoint_export_leaves_the_classifier_out(weights: Path, tmp_path: Path) -> None:
    model = build_osnet("osnet_x0_25", num_classes=7)
    load_weights(model, weights)
    export_state_dict(model, tmp_path / "out.pth")
    names = set(read_state_dict(tmp_path / "out.pth"))
    assert names == {name for name in model.state_dict() if not name.startswith("classifier.")}
    load_weights(build_osnet("osnet_x0_25"), tmp_path / "out.pth")
