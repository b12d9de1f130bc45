"""What cosines mean belongs to the model, and is only believed of the model that it was fitted to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.associate.gallery import CameraMeans
from reidpipe.associate.likeness import UNKNOWN, likeness_file, likeness_of, read_likeness, run_likeness
from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.scene import see
from reidpipe.build import build_associator
from reidpipe.config import Config
from reidpipe.errors import WeightsError
from reidpipe.types import TrackKey, Tracklet
from reidpipe.weights import find_file, load_manifest, model_sha256

GOOD: dict[str, Any] = {
    "schema": "reidpipe.likeness/1",
    "spread": 0.12,
    "steadiness": 0.8,
    "cosine": [13.0, 0.4],
    "shared": [[18.0, 0.3], [19.0, 0.31]],
    "photo": [12.0, 0.35],
    "centre": [0.5] * 8,
}


def model(folder: Path, **changes: Any) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(b"a net")
    table = GOOD | {"model_sha256": model_sha256(path)} | changes
    likeness_file(path).write_text(json.dumps(table))
    return path


def test_likeness_of_a_model_is_the_file_beside_it(tmp_path: Path) -> None:
    found = likeness_of(model(tmp_path))
    assert found.source == "net.likeness.json"
    assert (found.shared[1].slope, found.shared[1].even, found.spread) == (19.0, 0.31, 0.12)
    assert found.centre is not None
    assert found.centre.tolist() == [0.5] * 8


def test_likeness_of_an_unknown_model_is_the_default_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"a net")
    found = likeness_of(path)
    assert found.shared == UNKNOWN.shared
    assert found.centre is None
    assert found.source.startswith("default: no net.likeness.json")


def test_likeness_of_a_model_that_was_replaced_is_not_believed(tmp_path: Path) -> None:
    path = model(tmp_path)
    path.write_bytes(b"another net")
    found = likeness_of(path)
    assert found.shared == UNKNOWN.shared
    assert found.source.startswith("default: net.likeness.json was fitted to another file")


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "reidpipe.likeness/9"},
        {"spread": 0.0},
        {"steadiness": float("nan")},
        {"cosine": [-1.0, 0.4]},
        {"shared": [[18.0, 0.3]]},
        {"centre": [float("nan")] * 8},
        {"photo": "no"},
    ],
)
def test_likeness_that_is_damaged_is_an_error(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="no likeness of an embedder"):
        likeness_of(model(tmp_path, **changes))


def test_likeness_without_a_field_names_it(tmp_path: Path) -> None:
    path = model(tmp_path)
    table = json.loads(likeness_file(path).read_text())
    del table["spread"]
    likeness_file(path).write_text(json.dumps(table))
    with pytest.raises(WeightsError, match="'spread' is missing"):
        likeness_of(path)


@pytest.mark.parametrize("entry", [m for m in load_manifest().models if m.kind == "embedder" and m.shipped], ids=str)
def test_likeness_is_shipped_with_each_embedder_and_was_fitted_to_it(entry: Any) -> None:
    path = find_file(entry)
    assert path is not None
    found, sha256 = read_likeness(likeness_file(path))
    assert sha256 == entry.sha256, f"run `python tools/fit_calibration.py {entry.name}`"
    assert found.centre is not None
    assert found.centre.shape == (entry.dim,)


def test_build_associator_takes_the_likeness_of_the_embedder() -> None:
    associator = build_associator(Config.load())
    vector = np.eye(1, 512, dtype=np.float32)[0]
    associator.update([Tracklet(TrackKey("a", 1), vector, 3, 0.8, 0.0, 5.0, True)], 5.0)
    associator.close()
    assert isinstance(associator, OfflineAssociator)
    assert associator.report["calibration"]["source"] == "osnet_x0_25_reidpipe.likeness.json"


def test_run_likeness_is_what_the_run_said(tmp_path: Path) -> None:
    path = model(tmp_path)
    said = likeness_of(path).facts()
    run = {"association": {"calibration": said}, "models": {"embed": {"name": str(path)}}}
    again = run_likeness(run)
    assert again.facts() == said
    assert again.centre is not None
    path.unlink()
    gone = run_likeness(run)
    assert gone.facts() == said
    assert gone.centre is None
    assert run_likeness({}) is UNKNOWN


def test_centre_lets_one_person_in_two_cameras_be_one(tmp_path: Path) -> None:
    # With nobody else to learn the cameras' bias from, what is common to people at large is all there is to take off.
    rng = np.random.default_rng(0)
    common = 2.0 * rng.normal(size=64)
    person = rng.normal(size=64)
    looks = [common + person + 0.4 * rng.normal(size=64) for _ in range(2)]
    pair = [
        Tracklet(
            TrackKey(f"cam{i}", 1), np.asarray(v / np.linalg.norm(v), np.float32), 5, 0.8, 9.0 * i, 9.0 * i + 5, True
        )
        for i, v in enumerate(looks)
    ]
    centre = common / np.sqrt((common @ common) + 64)
    path = model(tmp_path, centre=centre.tolist())
    blind, knows = see(pair), see(pair, likeness=likeness_of(path))
    both = np.array([[0, 1]])
    assert blind.cosine(both)[0] < -0.5
    assert knows.cosine(both)[0] > 0.3
    offline = OfflineAssociator(likeness=likeness_of(path))
    offline.update(pair, 20.0)
    assert len({link.global_id for link in offline.close()}) == 1


def test_camera_means_are_pulled_towards_people_at_large() -> None:
    centre = np.full(8, 0.25)
    means = CameraMeans(pull=4.0, centre=centre)
    assert means.mean("a", 8).tolist() == centre.tolist()
    means.add("a", np.eye(1, 8, dtype=np.float32)[0])
    pulled = means.mean("a", 8)
    assert 0.25 < pulled[0] < 1.0
    assert 0.0 < pulled[1] < 0.25
