from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from reidpipe import weights
from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.errors import WeightsError
from reidpipe.weights import check_file, entry, find_file, load_manifest, model_sha256, resolve, user_folder, verify
from tests.runtime import nets
from tools import add_weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder with one embedder and one detector in it, in place of the package's own."""
    folder = tmp_path / "weights"
    folder.mkdir()
    nets.averages(folder / "colours.onnx")
    nets.finds_red(folder / "red.onnx")
    entries = [
        describe(folder / "colours.onnx", kind="embedder", color_order="bgr", scale=1.0, dim=3, input_size=[16, 8]),
        describe(folder / "red.onnx", kind="detector", color_order="rgb", scale=1 / 255, input_size=[320, 320]),
    ]
    write(folder, entries)
    monkeypatch.setattr(weights, "_package_folders", lambda: (tmp_path / "no", folder))
    monkeypatch.setenv("REIDPIPE_WEIGHTS", str(tmp_path / "cache"))
    return folder


def describe(path: Path, **facts: Any) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "licence": "Apache-2.0",
        **facts,
    }


def write(folder: Path, entries: list[dict[str, Any]]) -> None:
    table = {"schema": "reidpipe.weights/1", "models": entries}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(table))


def test_weights_manifest_of_the_package_is_valid_and_every_file_here_is_the_right_one() -> None:
    for model, path, problem in verify():
        assert not problem, f"{model.name}: {problem}"
        assert path is not None or not model.shipped
        assert model.urls or model.shipped
        assert model.kind != "embedder" or model.dim
        assert model.kind != "detector" or model.head


def test_weights_resolve_a_name_and_its_facts(folder: Path) -> None:
    found = resolve("colours", kind="embedder")
    assert found.path == folder / "colours.onnx"
    assert found.label == "colours"
    assert found.facts()["color_order"] == "bgr"
    embedder = OSNetEmbedder("colours")
    assert (embedder.facts.normalize.color_order, embedder.facts.normalize.scale) == ("bgr", 1.0)
    assert not embedder.facts.assumed


def test_weights_know_a_file_by_its_content_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "another_name.onnx"
    shutil.copy(folder / "colours.onnx", copy)
    assert resolve(copy).entry == entry("colours")
    assert not OSNetEmbedder(copy).facts.assumed


def test_weights_know_nothing_about_foreign_files(folder: Path, tmp_path: Path) -> None:
    other = nets.averages(tmp_path / "other.onnx", shape="batch,3,32,16")
    found = resolve(str(other))
    assert (found.entry, found.facts(), found.label) == (None, {}, str(other))


def test_weights_find_files_in_the_users_folder(folder: Path) -> None:
    user_folder().mkdir()
    shutil.move(folder / "red.onnx", user_folder() / "red.onnx")
    assert find_file(entry("red")) == user_folder() / "red.onnx"
    assert resolve("red").path == user_folder() / "red.onnx"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("colour", "no model named 'colour': did you mean colours"),
        ("zzz", "no model named 'zzz': known: colours, red"),
        ("zzz.onnx", "zzz.onnx: no such model file"),
        ("models/zzz", "no such model file"),
    ],
)
def test_weights_unknown_names_and_files(folder: Path, name: str, words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        resolve(name)


@pytest.mark.parametrize("by", ["name", "path"])
def test_weights_refuse_the_wrong_kind(folder: Path, by: str) -> None:
    with pytest.raises(WeightsError, match="is a detector, but what is wanted here is an embedder"):
        resolve("red" if by == "name" else folder / "red.onnx", kind="embedder")


def test_weights_of_a_checkpoint_are_not_run_but_exported(folder: Path) -> None:
    facts = {"kind": "checkpoint", "color_order": "rgb", "scale": 1.0, "input_size": [16, 8], "shipped": False}
    write(folder, [describe(folder / "colours.onnx", **facts)])
    with pytest.raises(WeightsError, match=r"is a checkpoint, .*turn it into ONNX with `reidpipe export`"):
        OSNetEmbedder("colours")
    (folder / "colours.onnx").unlink()
    assert [(path, problem) for _, path, problem in verify()] == [(None, "")]


def test_weights_missing_file_says_where_it_goes(folder: Path) -> None:
    (folder / "red.onnx").unlink()
    with pytest.raises(WeightsError, match=r"red is not on this machine: put the file red\.onnx into .*cache"):
        resolve("red")


def test_weights_truncated_and_changed_files_are_refused(folder: Path) -> None:
    path, whole = folder / "red.onnx", (folder / "red.onnx").read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(WeightsError, match="truncated or another file"):
        resolve("red")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="wrong sha256"):
        resolve("red")
    with pytest.raises(WeightsError, match="no such file"):
        check_file(entry("red"), folder / "nothing.onnx")


def test_weights_verify_tells_each_problem(folder: Path) -> None:
    (folder / "red.onnx").write_bytes(b"0" * (folder / "red.onnx").stat().st_size)
    found = {model.name: problem for model, _, problem in verify()}
    assert found["colours"] == ""
    assert "wrong sha256" in found["red"]
    assert [model.name for model, _, _ in verify(["red"])] == ["red"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "abc"}, r"models\.0\.sha256"),
        ({"colour": "red"}, r"models\.0\.colour: Extra inputs"),
        ({"kind": "tracker"}, r"models\.0\.kind"),
        ({"file": "../x.onnx"}, r"models\.0\.file"),
    ],
)
def test_weights_manifest_is_strict(folder: Path, change: dict[str, Any], words: str) -> None:
    facts = {"kind": "embedder", "color_order": "rgb", "scale": 1.0, "dim": 3, "input_size": [16, 8]}
    write(folder, [describe(folder / "colours.onnx", **facts) | change])
    with pytest.raises(WeightsError, match=words):
        load_manifest()


@pytest.mark.parametrize(("text", "words"), [("a: [", "not valid YAML"), ("models: []", "schema"), ("- 1", "the file")])
def test_weights_manifest_that_is_none(folder: Path, text: str, words: str) -> None:
    (folder / "manifest.yaml").write_text(text)
    with pytest.raises(WeightsError, match=words):
        load_manifest()


def test_weights_manifest_refuses_a_name_twice(folder: Path) -> None:
    facts = {"kind": "embedder", "color_order": "rgb", "scale": 1.0, "dim": 3, "input_size": [16, 8]}
    write(folder, [describe(folder / "colours.onnx", **facts)] * 2)
    with pytest.raises(WeightsError, match="the name colours occurs twice"):
        load_manifest()


def test_weights_missing_manifest(folder: Path) -> None:
    (folder / "manifest.yaml").unlink()
    with pytest.raises(WeightsError, match="install reidpipe again"):
        load_manifest()


def add(folder: Path, *arguments: object) -> int:
    return add_weights.main([str(argument) for argument in (*arguments, "--folder", folder)])


def test_weights_tool_adds_and_updates_an_entry(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"color_order": "rgb", "scale": "1.0", "mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
    new = nets.averages(tmp_path / "new.onnx", shape="batch,3,32,16", metadata=facts)
    first = (new, "--name", "fresh", "--kind", "embedder", "--licence", "MIT", "--trained-on", "Set=research only")
    assert add(folder, *first, "--measured", "rank1=0.5") == 0
    made = entry("fresh")
    assert (made.input_size, made.dim, made.color_order, made.measured) == ((32, 16), 3, "rgb", {"rank1": 0.5})
    assert made.trained_on[0].terms == "research only"
    assert resolve("fresh").path == folder / "new.onnx"
    better = nets.averages(tmp_path / "better.onnx", shape="batch,3,64,32", metadata=facts)
    assert add(folder, better, "--name", "fresh", "--kind", "embedder", "--measured", "map=0.4") == 0
    again = entry("fresh")
    assert (again.file, again.input_size, again.licence) == ("new.onnx", (64, 32), "MIT")
    assert again.measured == {"rank1": 0.5, "map": 0.4}
    assert load_manifest().names() == ["colours", "red", "fresh"]
    assert "sha256" in capsys.readouterr().out


def test_weights_tool_reads_a_detectors_facts(folder: Path, tmp_path: Path) -> None:
    net = nets.finds_red(tmp_path / "people.onnx", "1,3,64,96")
    assert add(folder, net, "--name", "people", "--kind", "detector", "--licence", "AGPL-3.0") == 0
    made = entry("people")
    assert (made.head, made.names, made.input_size) == ("end2end", ("person",), (64, 96))
    assert "input_size: [64, 96]" in (folder / "manifest.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "embedder", "--licence", "MIT"], "does not say how pixels are prepared"),
        (["--kind", "embedder", "--color-order", "rgb"], "needs a licence"),
        (["--kind", "detector", "--licence", "MIT"], "no YOLO detector"),
    ],
)
def test_weights_tool_refuses_to_guess(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    net = nets.averages(tmp_path / "bare.onnx", shape="batch,3,32,16")
    assert add(folder, net, "--name", "bare", *arguments) == 2
    assert words in capsys.readouterr().err
    assert "bare" not in load_manifest().names()


def test_weights_sha256_of_a_model_covers_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "one.onnx").write_bytes(b"net")
    assert model_sha256(tmp_path / "one.onnx") == hashlib.sha256(b"net").hexdigest()
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir" / "net.xml").write_bytes(b"<net/>")
    with pytest.raises(WeightsError, match="cannot be read"):
        model_sha256(tmp_path / "ir" / "net.xml")
    (tmp_path / "ir" / "net.bin").write_bytes(b"numbers")
    both = model_sha256(tmp_path / "ir" / "net.xml")
    assert both == model_sha256(tmp_path / "ir") == hashlib.sha256(b"<net/>numbers").hexdigest()
