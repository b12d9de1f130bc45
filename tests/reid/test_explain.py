from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError

torch = pytest.importorskip("torch")

from reidpipe.reid.explain import (  # noqa: E402
    activation_maps,
    choose_images,
    explain,
    gate_vectors,
    k_means,
)
from reidpipe.reid.models import build_osnet  # noqa: E402
from reidpipe.reid.spec import OSNetSpec  # noqa: E402


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 64, 32, 3), dtype=np.uint8)


def test_explain_gate_vectors_have_one_row_per_stream() -> None:
    torch.manual_seed(0)
    gates = gate_vectors(build_osnet("osnet_x0_25"), pictures(5), batch=2)
    assert {name: value.shape for name, value in gates.items()} == {
        **{f"conv2.{block}": (5, 4, 16) for block in (0, 1)},
        **{f"conv3.{block}": (5, 4, 24) for block in (0, 1)},
        **{f"conv4.{block}": (5, 4, 32) for block in (0, 1)},
    }
    assert all(value.min() > 0 and value.max() < 1 for value in gates.values())


def test_explain_without_gates_is_an_error() -> None:
    with pytest.raises(ConfigError, match="fusion 'add' has no gate"):
        gate_vectors(build_osnet(OSNetSpec(width=0.25, fusion="add")), pictures(1))


def test_explain_k_means_finds_separate_groups() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    points = (np.array([[0, 0], [10, 0], [0, 10]])[truth] + 0.5 * rng.standard_normal((60, 2))).astype(np.float32)
    labels, centres = k_means(points, 3, seed=1)
    assert len({(a, b) for a, b in zip(truth.tolist(), labels.tolist(), strict=True)}) == 3
    assert centres.shape == (3, 2)


def test_explain_activation_maps_are_scaled() -> None:
    maps = activation_maps(build_osnet("osnet_x0_25"), pictures(3))
    assert maps.shape == (3, 4, 2)
    np.testing.assert_allclose([maps.min(axis=(1, 2)), maps.max(axis=(1, 2))], [[0] * 3, [1] * 3], atol=1e-6)


def test_explain_writes_the_figures(tmp_path: Path) -> None:
    paths = []
    for number, picture in enumerate(pictures(6)):
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), picture)
    found = explain(build_osnet("osnet_x0_25"), paths, tmp_path / "out", clusters=2, height=64, width=32, maps=4)
    assert sorted(file.name for file in found.files) == [
        "activation_maps.png",
        "cluster_00.png",
        "cluster_01.png",
        "cluster_gates.png",
        "gate_means.png",
        "gate_wins.png",
    ]
    assert all(cv2.imread(str(file)) is not None for file in found.files)
    assert found.stream_means.shape == (6, 4)
    assert found.blocks[0] == "conv2.0"
    with pytest.raises(ConfigError, match="9 clusters need as many images"):
        explain(build_osnet("osnet_x0_25"), paths, tmp_path / "out", clusters=9)
    with pytest.raises(ConfigError, match=r"no block 'conv9'.*conv4\.1"):
        explain(build_osnet("osnet_x0_25"), paths, tmp_path / "out", clusters=2, block="conv9", height=64, width=32)


def test_explain_choose_images_is_repeatable_and_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere is not there"):
        choose_images(tmp_path / "nowhere", count=3)
    with pytest.raises(ConfigError, match="no images in"):
        choose_images(tmp_path, count=3)
    for number in range(9):
        (tmp_path / f"{number}.jpg").touch()
    chosen = choose_images(tmp_path, count=4, seed=1)
    assert len(set(chosen)) == 4
    assert chosen == choose_images(tmp_path, count=4, seed=1) != choose_images(tmp_path, count=4, seed=2)
