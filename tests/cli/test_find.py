"""`reidpipe find`: table, JSON and sheet, and one clear line for photos and runs that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from reidpipe.schemas import load_schema
from tests.cli.command import complaint, reidpipe
from tests.report.runs import write_run
from tests.runtime import nets

PLAIN = {"color_order": "rgb", "scale": "1.0", "mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
COLOURS = {1: (1.0, 0.0, 0.0), 2: (0.0, 1.0, 0.0), 3: (0.0, 0.1, 1.0)}  # RGB of three people
STAYS = [(1, "gate", 0.0, 8.0), (2, "gate", 1.0, 9.0), (1, "lobby", 20.0, 30.0), (3, "lobby", 25.0, 50.0)]


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    return nets.averages(tmp_path / "colour.onnx", metadata=PLAIN)


@pytest.fixture
def run(tmp_path: Path, embedder: Path) -> Path:
    vectors = np.array([COLOURS[who] for who, *_ in STAYS])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return write_run(tmp_path / "out", STAYS, vectors=vectors.astype(np.float32), model=str(embedder))


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return nets.finds_red(tmp_path / "red.onnx")


def photo(path: Path, *, red: bool = True) -> Path:
    image = np.zeros((96, 64, 3), np.uint8)
    image[16:80, 16:48] = (0, 0, 255) if red else (255, 20, 0)
    cv2.imwrite(str(path), image)
    return path


def test_find_prints_a_table_best_first(tmp_path: Path, run: Path, detector: Path) -> None:
    result = reidpipe("find", photo(tmp_path / "p.png"), "--out", run, "--detector", detector)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split()[:3] == ["1", "1", "1.000"]
    assert "gate 0:00.0-0:08.0" in result.stdout
    assert "lobby 0:20.0-0:30.0" in result.stdout
    assert "thumbnails/1.jpg" in result.stdout
    assert "3 of 3 identities" in result.stdout


def test_find_prints_json_that_fits_its_schema(tmp_path: Path, run: Path, detector: Path) -> None:
    result = reidpipe(
        "find", photo(tmp_path / "p.png"), "-o", run, "--detector", detector, "--json", "--top", "2",
        "--sheet", tmp_path / "sheet.png",
    )  # fmt: skip
    record = json.loads(result.stdout)
    jsonschema.Draft202012Validator(load_schema("find")).validate(record)
    assert record["matches"][0]["global_id"] == 1
    assert len(record["matches"]) == 2
    assert record["identities"] == 3
    np.testing.assert_allclose(record["box"], [16, 16, 48, 80], atol=1)
    assert Path(record["matches"][0]["thumbnail"]).is_file()
    assert (tmp_path / "sheet.png").is_file()


def test_find_box_needs_nobody_to_be_detected(tmp_path: Path, run: Path, detector: Path) -> None:
    path = photo(tmp_path / "p.png", red=False)
    assert "nobody was found" in complaint(reidpipe("find", path, "-o", run, "--detector", detector))
    result = reidpipe("find", path, "-o", run, "--box", "16,16,48,80", "--json")
    assert json.loads(result.stdout)["matches"][0]["global_id"] == 3


def test_find_asks_which_person(tmp_path: Path, run: Path) -> None:
    answer = np.zeros((300, 6))
    answer[:2] = [[2, 2, 30, 60, 0.9, 0], [34, 2, 60, 60, 0.9, 0]]
    model = nets.says(tmp_path / "two.onnx", answer, input_shape=[1, 3, 64, 64], metadata={"names": "{0: 'person'}"})
    command = ("find", photo(tmp_path / "p.png"), "-o", run, "--detector", model)
    assert "shows 2 people: say which with --person N or --box" in complaint(reidpipe(*command))
    assert reidpipe(*command, "--person", "2").exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--box", "1,2,3"), "--box takes x1,y1,x2,y2"),
        (("--box", "a,b,c,d"), "--box takes x1,y1,x2,y2"),
        (("--box", "500,500,600,600"), "lies outside"),
        (("--detector", "gone.onnx"), "gone.onnx"),
        (("--embedder", "gone.onnx"), "gone.onnx"),
        (("--box", "1,1,50,50", "--sheet", "sheet.txt"), "ends in"),
    ],
)
def test_find_refuses_options(tmp_path: Path, run: Path, options: tuple[str, ...], message: str) -> None:
    assert message in complaint(reidpipe("find", photo(tmp_path / "p.png"), "-o", run, *options))


def test_find_refuses_photos_and_runs_that_are_none(tmp_path: Path, run: Path) -> None:
    (tmp_path / "p.jpg").write_text("text")
    assert "no picture" in complaint(reidpipe("find", tmp_path / "p.jpg", "-o", run))
    assert "cannot read the photo" in complaint(reidpipe("find", tmp_path / "gone.jpg", "-o", run))
    assert "holds no run" in complaint(reidpipe("find", photo(tmp_path / "p.png"), "-o", tmp_path))


def test_find_refuses_another_embedder_and_takes_the_same_elsewhere(tmp_path: Path, run: Path, embedder: Path) -> None:
    path = photo(tmp_path / "p.png")
    command = ("find", path, "-o", run, "--box", "16,16,48,80", "--embedder")
    other = nets.averages(tmp_path / "other.onnx", metadata=PLAIN | {"scale": "0.5"})
    assert "is another embedder" in complaint(reidpipe(*command, other))
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(embedder.read_bytes())
    assert reidpipe(*command, moved).exit_code == 0
    embedder.unlink()
    assert "is another embedder" in complaint(reidpipe(*command, moved))  # the one that made them cannot be asked
    assert "colour.onnx" in complaint(reidpipe(*command[:-1]))
    (tmp_path / "there").mkdir()
    assert reidpipe(*command, moved.rename(tmp_path / "there" / "colour.onnx")).exit_code == 0


def test_find_refuses_vectors_of_another_length(tmp_path: Path, embedder: Path) -> None:
    out = write_run(tmp_path / "out", STAYS, model=str(embedder))  # 32 numbers, the net gives 3
    message = complaint(reidpipe("find", photo(tmp_path / "p.png"), "-o", out, "--box", "16,16,48,80"))
    assert "have 32 numbers" in message
    assert "gives 3" in message
