"""``reidpipe train``, ``search``, ``export``, ``explain`` and ``evaluate retrieval`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from tests.cli.command import complaint, reidpipe
from tests.cli.people import write_people, write_recipe

torch = pytest.importorskip("torch")

from reidpipe.reid import trainer  # noqa: E402
from reidpipe.reid.checkpoint import read_torch_file  # noqa: E402


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_people(tmp_path / "people" / "bounding_box_train")
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with people, a recipe and what came out of it."""
    root = tmp_path_factory.mktemp("trained")
    write_people(root / "people" / "bounding_box_train")
    write_recipe(root)
    assert reidpipe("train", root / "recipe.yaml", "--quiet").exit_code == 0
    return root


def viper(root: Path) -> str:
    for camera in ("cam_a", "cam_b"):
        (root / "viper" / camera).mkdir(parents=True, exist_ok=True)
        for person in range(3):
            picture = np.full((32, 16, 3), 80 * person + 10, np.uint8)
            cv2.imwrite(str(root / "viper" / camera / f"{person:03d}_0.png"), picture)
    return f"viper={root / 'viper'}"


def test_workbench_train_shows_its_way_scores_and_continues(root: Path) -> None:
    recipe = write_recipe(root, data={**yaml.safe_load(write_recipe(root).read_text())["data"]})
    result = reidpipe("train", recipe, "--test", viper(root), "--set", "budget.images=8")
    assert result.exit_code == 0
    assert "decode market1501: 24 of 24" in result.stderr
    assert str(root / "out" / "model.pth") in result.stdout
    assert "rank-10" in result.stdout
    assert read_torch_file(root / "out" / "last.pt")["counters"][:2] == [1, 8]
    assert reidpipe("train", recipe, "--quiet").stderr == ""
    assert read_torch_file(root / "out" / "last.pt")["counters"][:2] == [2, 16]


def test_workbench_train_on_several_sets_with_all_their_people(root: Path) -> None:
    write_people(root / "second" / "bounding_box_train", people=5)
    write_people(root / "second" / "query", people=3, images=1)
    write_people(root / "second" / "bounding_box_test", people=3, images=2)
    sources = ("-s", f"market1501={root / 'people'}:train", "-s", f"market1501={root / 'second'}:combineall")
    result = reidpipe("train", write_recipe(root), *sources, "--quiet")
    assert result.exit_code == 0, result.stderr
    people = read_torch_file(root / "out" / "last.pt")["softmax"]["weight"].shape[0]
    assert people == 6 + 5 + 2  # number 0 of a test part is a distractor


def test_workbench_train_writes_tensorboard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    monkeypatch.setattr(trainer, "LOG_EVERY", 1)
    result = reidpipe("train", write_recipe(root), "--tensorboard")
    assert result.exit_code == 0
    assert list((root / "out" / "tensorboard").glob("events.*"))
    assert "softmax" in result.stderr


def test_workbench_config_errors_are_one_line(root: Path) -> None:
    assert "cannot read recipe" in complaint(reidpipe("train", root / "none.yaml"))
    assert "ema" in complaint(reidpipe("train", write_recipe(root, ema=2)))
    assert "optimizer" in complaint(reidpipe("train", write_recipe(root, optimizer={})))
    assert "unknown data set 'market'" in complaint(reidpipe("train", write_recipe(root), "-s", "market=/tmp"))
    assert "--set takes key=value" in complaint(reidpipe("train", write_recipe(root), "--set", "ema"))
    assert "epoch" in complaint(reidpipe("search", write_recipe(root, epoch=3)))
    if not torch.cuda.is_available():
        assert "cannot use the device 'cuda' here" in complaint(reidpipe("train", write_recipe(root, device="cuda")))
    assert "cannot use the device 'tpu9' here" in complaint(reidpipe("train", write_recipe(root, device="tpu9")))
    (root / "list.yaml").write_text("[1, 2]")
    assert "holds no keys" in complaint(reidpipe("train", root / "list.yaml"))


def test_workbench_empty_folders_are_one_line(root: Path) -> None:
    (root / "empty" / "bounding_box_train").mkdir(parents=True)
    source = f"market1501={root / 'empty'}"
    assert "no images for part 'train' of market1501" in complaint(reidpipe("train", write_recipe(root), "-s", source))
    source = f"market1501={root / 'nowhere'}"
    assert "bounding_box_train is not there" in complaint(reidpipe("train", write_recipe(root), "-s", source))


class Checkpoint:
    """The checkpoint of a run that is half done; it must not change."""

    def __init__(self, root: Path) -> None:
        assert reidpipe("train", write_recipe(root), "--set", "budget.images=8", "--quiet").exit_code == 0
        self._file = root / "out" / "last.pt"
        self._content = self._file.read_bytes()

    def is_safe(self) -> bool:
        return self._file.read_bytes() == self._content and not list(self._file.parent.glob("*.part"))


def test_workbench_corrupt_image_is_one_line_and_the_checkpoint_is_safe(root: Path) -> None:
    checkpoint = Checkpoint(root)
    (root / "people" / "bounding_box_train" / "0001_c0s1_000000_00.png").write_bytes(b"no picture")
    message = complaint(reidpipe("train", write_recipe(root)))
    assert "0001_c0s1_000000_00.png is not a readable image: remove or replace it" in message
    assert checkpoint.is_safe()


def test_workbench_nan_loss_is_one_line_and_the_checkpoint_is_safe(root: Path) -> None:
    checkpoint = Checkpoint(root)
    recipe = write_recipe(root, softmax={"weight": 1e38}, triplet={"weight": 1e38, "margin": 1e30})
    message = complaint(reidpipe("train", recipe, "--quiet"))
    assert "the loss is not finite at step 2" in message
    assert checkpoint.is_safe()


def test_workbench_out_of_memory_is_one_line_and_the_checkpoint_is_safe(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(root)

    def huge(_images: Any, _device: str = "cpu") -> Any:
        return torch.empty(2**50)  # a petabyte: what the allocator says is its own

    monkeypatch.setattr(trainer, "to_input", huge)
    message = complaint(reidpipe("train", write_recipe(root), "--quiet"))
    assert "out of memory with batches of up to 8 images of 32x16: lower batch.identities" in message
    assert checkpoint.is_safe()


def test_workbench_search_writes_a_child_that_train_takes(root: Path) -> None:
    data = yaml.safe_load(write_recipe(root).read_text())["data"]
    search = {
        "base": str(root / "small.yaml"),
        "output": str(root / "nas"),
        "data": data,
        "batch": {"identities": 4, "images": 2},
        "height": 32,
        "width": 16,
        "budget": {"images": 16},
        "epochs": 2,
    }
    (root / "nas.yaml").write_text(yaml.safe_dump(search))
    result = reidpipe("search", root / "nas.yaml")
    assert result.exit_code == 0, result.stderr
    assert "temperature 10" in result.stderr
    child = result.stdout.splitlines()[-1]
    assert reidpipe("train", write_recipe(root), "--set", f"model={child}", "--quiet").exit_code == 0


def test_workbench_models_counts_what_the_paper_counts(root: Path) -> None:
    result = reidpipe("models", "osnet_x0_25", write_recipe(root).with_name("small.yaml"))
    assert [line.split()[1:] for line in result.stdout.splitlines()[1:2]] == [["201,864", "82,314,880"]]
    assert "small.yaml" in result.stdout
    assert "unknown architecture 'osnet_x9'" in complaint(reidpipe("models", "osnet_x9"))


def test_workbench_export_prints_the_numbers(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    arguments = (trained / "small.yaml", trained / "out" / "model.pth", "--height", "32", "--width", "16")
    result = reidpipe("export", *arguments[:2], tmp_path / "m.onnx", *arguments[2:])
    assert result.exit_code == 0, result.stderr
    assert "m.onnx: fp32, 0." in result.stdout
    assert "against torch: cosine 1.000000 at batch 1, 1.000000 at batch 2" in result.stdout
    calibration = ("--precision", "int8", "--calibration", trained / "people")
    result = reidpipe("export", *arguments[:2], tmp_path / "q.onnx", *arguments[2:], *calibration)
    assert result.exit_code == 0, result.stderr
    assert "q.onnx: int8" in result.stdout


def test_workbench_export_refusals_are_one_line(trained: Path, tmp_path: Path) -> None:
    weights = trained / "out" / "model.pth"
    assert "needs calibration images" in complaint(
        reidpipe("export", trained / "small.yaml", weights, tmp_path / "m.onnx", "--precision", "int8")
    )
    assert "cannot export to m.pb" in complaint(reidpipe("export", trained / "small.yaml", weights, tmp_path / "m.pb"))
    assert "has no layer" in complaint(reidpipe("export", "osnet_x0_25", weights, tmp_path / "m.onnx"))
    assert "no such model file" in complaint(reidpipe("export", "osnet_x0_25", "none.pth", tmp_path / "m.onnx"))
    folder = ("--calibration", tmp_path)
    assert "no images in the calibration folder" in complaint(
        reidpipe("export", trained / "small.yaml", weights, tmp_path / "m.onnx", *folder)
    )


def test_workbench_explain_writes_pictures(trained: Path, tmp_path: Path) -> None:
    size = ("--clusters", "2", "--maps", "4", "--height", "32", "--width", "16")
    arguments = ("explain", trained / "small.yaml", trained / "out" / "model.pth", trained / "people")
    result = reidpipe(*arguments, tmp_path / "out", *size)
    assert result.exit_code == 0, result.stderr
    assert "conv4.1: mean gate by stream 0." in result.stdout
    pictures = {path.name: cv2.imread(str(path)) for path in (tmp_path / "out").glob("*.png")}
    charts = {"activation_maps.png", "cluster_gates.png", "gate_means.png", "gate_wins.png"}
    sheets = set(pictures) - charts  # this net is so small that all its gates may be equal: one cluster stays empty
    assert charts < set(pictures)
    assert sheets
    assert sheets <= {"cluster_00.png", "cluster_01.png"}
    assert all(picture is not None and picture.min() < picture.max() for picture in pictures.values())
    assert "99 clusters need as many images" in complaint(reidpipe(*arguments, tmp_path / "out", "--clusters", "99"))


def test_workbench_evaluate_makes_a_cross_domain_table(trained: Path, tmp_path: Path) -> None:
    model = f"{trained / 'small.yaml'}={trained / 'out' / 'model.pth'}"
    again = f"{trained / 'small.yaml'}={trained / 'out' / 'last.pt'}"
    size = ("--height", "32", "--width", "16")
    sets = ("--data", viper(tmp_path), "--data", f"folder={trained / 'people'}")
    lists = ("--rank-lists", tmp_path / "lists", "--lists", "2")
    result = reidpipe("evaluate", "retrieval", model, again, *sets, *size, *lists)
    assert result.exit_code == 0, result.stderr
    assert "rank-1 / mAP" in result.stdout
    assert len(list((tmp_path / "lists").rglob("*.png"))) == 2 * (2 + 2)
    result = reidpipe("evaluate", "retrieval", model, *sets[:2], *size, "--split", "ten", "--rerank", "--json")
    scores = json.loads(result.stdout)[model]["viper"]
    assert set(scores) == {"queries", "rank1", "rank5", "rank10", "rank20", "mAP"}
    assert "SET=FOLDER" in complaint(reidpipe("evaluate", "retrieval", model, "--data", "viper"))
