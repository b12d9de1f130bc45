from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.evaluate.protocols import Protocol, embedder_of_files, evaluate_retrieval
from reidpipe.evaluate.tables import retrieval_table
from reidpipe.reid.cache import read_image
from reidpipe.types import Boxes, Image, Vectors


def write(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((16, 8, 3), value, dtype=np.uint8))


def by_brightness(paths: Sequence[Path]) -> Vectors:
    """An embedder that sees the grey level as an angle."""
    levels = [float(read_image(path)[0, 0, 0]) / 255 * np.pi / 2 for path in paths]
    return np.array([[np.cos(level), np.sin(level)] for level in levels], dtype=np.float32)


@pytest.fixture
def viper(tmp_path: Path) -> Path:
    for person, level in enumerate((20, 80, 140, 200)):
        write(tmp_path / "cam_a" / f"{person:03d}_45.png", level)
        write(tmp_path / "cam_b" / f"{person:03d}_90.png", level + 5 if person < 3 else 90)  # the last is taken for 1
    (tmp_path / "splits.json").write_text(
        json.dumps([{"train": [1, 3], "test": [0, 2]}, {"train": [], "test": [2, 3]}])
    )
    return tmp_path


def test_protocols_viper_all_and_ten_splits(viper: Path) -> None:
    everyone = evaluate_retrieval(by_brightness, {"viper": viper})["viper"]
    assert (everyone.queries, everyone.rank(1)) == (4, 0.75)
    ten = Protocol(split="ten")
    halves = evaluate_retrieval(by_brightness, {"viper": viper}, protocol=ten)["viper"]
    assert halves.rank(1) == pytest.approx((2 / 2 + 1 / 2) / 2)
    (viper / "splits.json").write_text('[{"train": [0]}]')
    with pytest.raises(ConfigError, match=r"splits\.json is no list of splits with 'test'"):
        evaluate_retrieval(by_brightness, {"viper": viper}, protocol=ten)
    (viper / "splits.json").unlink()
    drawn = evaluate_retrieval(by_brightness, {"viper": viper}, protocol=ten)["viper"]
    assert drawn.queries == 2
    assert drawn.rank(1) == evaluate_retrieval(by_brightness, {"viper": viper}, protocol=ten)["viper"].rank(1)


def test_protocols_halves_keep_the_distractors(tmp_path: Path) -> None:
    for person in (1, 2):
        write(tmp_path / "probe" / f"{person:04d}_1_x.png", 90 * person)
        write(tmp_path / "gallery" / f"{person:04d}_2_x.png", 90 * person + 5)
    write(tmp_path / "gallery" / "0777_5_x.png", 91)
    (tmp_path / "splits.json").write_text('[{"test": [0]}, {"test": [1]}]')
    scores = evaluate_retrieval(by_brightness, {"grid": tmp_path}, protocol=Protocol(split="ten"))["grid"]
    assert (scores.queries, len(scores.cmc), scores.rank(1)) == (1, 2, 0.5)  # 777 beats 1 in the first half alone


def test_protocols_ilids_has_no_cameras_and_one_query_a_person(tmp_path: Path) -> None:
    for person, level in ((1, 50), (2, 200)):
        for image in range(3):
            write(tmp_path / f"{person:04d}{image:03d}.jpg", level + image)
    scores = evaluate_retrieval(by_brightness, {"ilids": tmp_path})["ilids"]
    assert (scores.queries, scores.rank(1), scores.mean_ap) == (2, 1.0, 1.0)


def test_protocols_rank_lists_are_drawn_for_some_queries(viper: Path, tmp_path: Path) -> None:
    evaluate_retrieval(by_brightness, {"viper": viper}, rank_lists=tmp_path / "lists", lists=3)
    assert sorted(file.name for file in (tmp_path / "lists" / "viper").iterdir()) == [
        "00000_000_45.png",
        "00002_002_45.png",
        "00003_003_45.png",
    ]


def test_protocols_grid_distractors_stay_in_the_gallery(tmp_path: Path) -> None:
    write(tmp_path / "probe" / "0001_1_x.png", 100)
    write(tmp_path / "gallery" / "0001_2_x.png", 110)
    write(tmp_path / "gallery" / "0777_5_x.png", 101)
    scores = evaluate_retrieval(by_brightness, {"grid": tmp_path})["grid"]
    assert (scores.rank(1), scores.rank(2), scores.mean_ap) == (0.0, 1.0, 0.5)


def test_protocols_cuhk03_is_single_shot(tmp_path: Path) -> None:
    for person, level in enumerate((40, 160)):
        for shot in (0, 1, 5, 6):
            write(tmp_path / "val" / f"{person:04d}_{shot:02d}.png", level + shot)
    scores = evaluate_retrieval(by_brightness, {"cuhk03": tmp_path})["cuhk03"]
    assert (scores.queries, len(scores.cmc), scores.rank(1)) == (4, 2, 1.0)


def test_protocols_rerank_runs_on_the_same_data(viper: Path) -> None:
    scores = evaluate_retrieval(by_brightness, {"viper": viper}, protocol=Protocol(rerank=True))["viper"]
    assert scores.queries == 4


def test_protocols_table_of_one_model_and_of_several(viper: Path) -> None:
    from rich.console import Console

    scores = evaluate_retrieval(by_brightness, {"viper": viper})
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(retrieval_table({"ours": scores}))
    console.print(retrieval_table({"ours": scores, "theirs": scores}))
    text = console.export_text()
    assert "rank-10" in text
    assert text.count(f"75.0 / {100 * scores['viper'].mean_ap:.1f}") == 2


class Grey:
    """A pipeline embedder that returns the mean grey level of each box."""

    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]:
        assert all(rows.shape == (1, 4) for rows in boxes)
        return [np.array([[1.0, image.mean()]], dtype=np.float32) for image in images]


def test_protocols_pipeline_embedder_sees_whole_files(viper: Path) -> None:
    files = sorted((viper / "cam_a").iterdir())
    np.testing.assert_allclose(embedder_of_files(Grey(), batch=3)(files)[:, 1], [20, 80, 140, 200], atol=1)


@pytest.mark.real
def test_protocols_public_model_gives_its_known_figures(shared_data: Path) -> None:
    from reidpipe.embed.osnet import OSNetEmbedder

    model = shared_data / "weights" / "osnet_x0_25_msmt17_combineall.onnx"
    folder = shared_data / "reid" / "grid"
    scores = evaluate_retrieval(embedder_of_files(OSNetEmbedder(model)), {"grid": folder})["grid"]
    assert 100 * scores.rank(1) == pytest.approx(18.0, abs=0.5)
    assert 100 * scores.mean_ap == pytest.approx(25.0, abs=0.5)
