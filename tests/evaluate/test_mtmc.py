from __future__ import annotations

from pathlib import Path

import pytest

from reidpipe.errors import ConfigError
from reidpipe.evaluate.mtmc import camera_files, evaluate_mtmc


def write(path: Path, ids: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{f},{person},0,0,10,20,1,-1,-1,-1\n" for f, person in enumerate(ids, 1)))
    return path


def cameras(folder: Path, **ids: list[int]) -> dict[str, Path]:
    return {camera: write(folder / f"{camera}.txt", row) for camera, row in ids.items()}


def test_mtmc_same_person_in_both_cameras(tmp_path: Path) -> None:
    truth = cameras(tmp_path / "t", a=[1] * 10, b=[1] * 10)
    result = cameras(tmp_path / "r", a=[7] * 10, b=[7] * 10)
    report = evaluate_mtmc(truth, result)
    assert report.combined["IDF1"] == pytest.approx(100)
    assert report.combined["AssA"] == pytest.approx(100)
    assert (report.combined["GT_IDs"], report.combined["IDs"]) == (1, 1)


def test_mtmc_another_id_in_the_second_camera_costs_half(tmp_path: Path) -> None:
    truth = cameras(tmp_path / "t", a=[1] * 10, b=[1] * 10)
    result = cameras(tmp_path / "r", a=[7] * 10, b=[8] * 10)
    report = evaluate_mtmc(truth, result)
    assert report.combined["IDF1"] == pytest.approx(50)
    assert report.combined["AssA"] == pytest.approx(50)
    assert report.combined["MOTA"] == pytest.approx(100)
    assert report.sequences["a"]["IDF1"] == pytest.approx(100)


def test_mtmc_two_people_under_one_id_cost_half(tmp_path: Path) -> None:
    truth = cameras(tmp_path / "t", a=[1] * 10, b=[2] * 10)
    result = cameras(tmp_path / "r", a=[7] * 10, b=[7] * 10)
    assert evaluate_mtmc(truth, result).combined["IDF1"] == pytest.approx(50)


def test_mtmc_same_frame_number_in_two_cameras_is_no_double(tmp_path: Path) -> None:
    truth = cameras(tmp_path / "t", a=[1, 1], b=[1, 1])
    assert evaluate_mtmc(truth, truth).combined["IDF1"] == pytest.approx(100)


def test_mtmc_cameras_must_agree(tmp_path: Path) -> None:
    truth = cameras(tmp_path / "t", a=[1], b=[1])
    with pytest.raises(ConfigError, match="only one of them has: b"):
        evaluate_mtmc(truth, {"a": truth["a"]})
    with pytest.raises(ConfigError, match="no camera"):
        evaluate_mtmc({}, {})


def test_mtmc_camera_files(tmp_path: Path) -> None:
    cameras(tmp_path / "t", b=[1], a=[1])
    assert list(camera_files(tmp_path / "t")) == ["a", "b"]
    with pytest.raises(ConfigError, match=r"no <camera>\.txt"):
        camera_files(tmp_path)
