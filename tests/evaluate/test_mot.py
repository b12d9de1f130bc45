from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from reidpipe.errors import ConfigError
from reidpipe.evaluate.mot import evaluate_mot
from reidpipe.evaluate.tables import mot_table

TOLERANCE = 0.001


def write(path: Path, rows: list[tuple[float, ...]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def mot15(frame: int, person: int, x: float, flag: int = 1) -> tuple[float, ...]:
    return (frame, person, x, 0, 10, 20, flag, -1, -1, -1)


def mot17(frame: int, person: int, x: float, flag: int = 1, kind: int = 1, seen: float = 1.0) -> tuple[float, ...]:
    return (frame, person, x, 0, 10, 20, flag, kind, seen)


@pytest.mark.real
@pytest.mark.parametrize("name", ["BoostTrack", "BoostTrack_post_gbi", "DeepOCSORT"])
def test_mot_equals_trackeval_on_mot17(shared_data: Path, name: str) -> None:
    folder = shared_data / "mot17_val_half"
    expected = json.loads((folder / "expected.json").read_text())[name]
    got = evaluate_mot(folder, folder / "results" / name).to_json()
    compare(got, expected)


@pytest.mark.real
def test_mot_equals_trackeval_on_mot15(shared_data: Path, tmp_path: Path) -> None:
    expected = json.loads((shared_data / "mot_expected/expected.json").read_text())["devkit_baseline"]
    for name in expected:
        if name != "COMBINED":
            (tmp_path / name).symlink_to(shared_data / "mot" / name)
    compare(evaluate_mot(tmp_path, shared_data / "mot_expected/results").to_json(), expected)


def compare(got: dict[str, dict[str, float]], expected: dict[str, dict[str, float]]) -> None:
    assert set(got) == set(expected)
    for sequence, scores in expected.items():
        for metric, value in scores.items():
            assert abs(got[sequence][metric] - value) <= TOLERANCE, (sequence, metric)


def test_mot_perfect_result(tmp_path: Path) -> None:
    rows = [mot15(f, p, 30 * p) for f in range(1, 6) for p in (1, 2)]
    scores = evaluate_mot(write(tmp_path / "a.txt", rows), write(tmp_path / "b.txt", rows)).combined
    for name in ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR"):
        assert scores[name] == pytest.approx(100, abs=1e-9)
    assert scores["IDSW"] == scores["CLR_FP"] == scores["CLR_FN"] == scores["Frag"] == 0


def test_mot_hand_table_with_a_switch_and_a_miss(tmp_path: Path) -> None:
    truth = write(tmp_path / "gt.txt", [mot15(f, 1, 0) for f in range(1, 11)])
    result = [mot15(f, 1, 0) for f in range(1, 5)] + [mot15(f, 2, 0) for f in range(6, 11)] + [mot15(1, 9, 500)]
    scores = evaluate_mot(truth, write(tmp_path / "r.txt", result)).combined
    assert (scores["CLR_TP"], scores["CLR_FN"], scores["CLR_FP"]) == (9, 1, 1)
    assert (scores["IDSW"], scores["Frag"]) == (1, 0)  # TrackEval: a picture without a result does not end a fragment
    assert scores["MOTA"] == pytest.approx(100 * (9 - 1 - 1) / 10)
    assert (scores["IDTP"], scores["IDFN"], scores["IDFP"]) == (5, 5, 5)
    assert scores["AssA"] == pytest.approx(100 * (4 * 4 / 10 + 5 * 5 / 10) / 9)
    assert scores["DetA"] == pytest.approx(100 * 9 / 11)


def test_mot_distractors_are_neutral_and_other_classes_wrong(tmp_path: Path) -> None:
    truth = [mot17(1, 1, 0), mot17(1, 2, 100, flag=0, kind=7), mot17(1, 3, 200, flag=0, kind=3)]
    result = [mot15(1, 1, 0), mot15(1, 2, 100), mot15(1, 3, 200)]
    scores = evaluate_mot(write(tmp_path / "gt.txt", truth), write(tmp_path / "r.txt", result)).combined
    assert (scores["CLR_TP"], scores["CLR_FP"], scores["GT_Dets"]) == (1, 1, 1)


def test_mot_visibility_limit_asks_for_no_hidden_person(tmp_path: Path) -> None:
    truth = write(tmp_path / "gt.txt", [mot17(1, 1, 0), mot17(1, 2, 100, seen=0.05), mot17(1, 3, 200, seen=0.05)])
    result = write(tmp_path / "r.txt", [mot15(1, 1, 0), mot15(1, 2, 100)])
    assert evaluate_mot(truth, result).combined["CLR_FN"] == 1
    limited = evaluate_mot(truth, result, min_visibility=0.1).combined
    assert (limited["CLR_TP"], limited["CLR_FN"], limited["CLR_FP"]) == (1, 0, 0)


def test_mot_vehicles_are_neutral_in_crowded_benchmarks_only(tmp_path: Path) -> None:
    truth = write(tmp_path / "gt.txt", [mot17(1, 1, 0), mot17(1, 2, 100, flag=0, kind=6)])
    result = write(tmp_path / "r.txt", [mot15(1, 1, 0), mot15(1, 2, 100)])
    assert evaluate_mot(truth, result).combined["CLR_FP"] == 1
    assert evaluate_mot(truth, result, crowded=True).combined["CLR_FP"] == 0


@pytest.mark.parametrize("empty_side", ["truth", "result", "both"])
def test_mot_empty_files(tmp_path: Path, empty_side: str) -> None:
    rows = [mot15(f, 1, 0) for f in range(1, 4)]
    truth = write(tmp_path / "gt.txt", [] if empty_side in ("truth", "both") else rows)
    result = write(tmp_path / "r.txt", [] if empty_side in ("result", "both") else rows)
    scores = evaluate_mot(truth, result).combined
    assert scores["CLR_TP"] == scores["IDTP"] == scores["HOTA"] == scores["IDF1"] == 0
    assert scores["CLR_FN"] == scores["IDFN"] == (3 if empty_side == "result" else 0)
    assert scores["CLR_FP"] == scores["IDFP"] == (3 if empty_side == "truth" else 0)
    assert scores["LocA"] == 100  # as TrackEval defines it


def test_mot_reads_folders_gzip_and_names_of_seqinfo(tmp_path: Path) -> None:
    rows = [mot15(f, 1, 0) for f in range(1, 4)]
    write(tmp_path / "truth/one/gt/gt.txt", rows)
    write(tmp_path / "truth/two/gt/gt.txt", rows)
    (tmp_path / "truth/two/seqinfo.ini").write_text("[Sequence]\nname=two-DPM\n")
    out = tmp_path / "out"
    write(out / "one.txt", [(f, 323.0, 0, 0, 10, 20) for f in range(1, 4)])
    with gzip.open(out / "two-DPM.txt.gz", "wt") as file:
        file.write((out / "one.txt").read_text())
    report = evaluate_mot(tmp_path / "truth", out)
    assert list(report.sequences) == ["one", "two-DPM"]
    assert report.combined["IDF1"] == pytest.approx(100)
    assert json.loads(json.dumps(report.to_json()))["COMBINED"]["GT_Dets"] == 6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,1,0,0,10\n", "5 columns"),
        ("frame,id,x\n", "no MOTChallenge table"),
        ("1,1,nan,0,10,20,1\n", "not finite"),
        ("1,1,0,0,10,20,1\n1,1,5,0,10,20,1\n", "id 1 twice in frame 1"),
    ],
)
def test_mot_bad_result_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    truth = write(tmp_path / "gt.txt", [mot15(1, 1, 0)])
    (tmp_path / "r.txt").write_text(text)
    with pytest.raises(ConfigError, match=says):
        evaluate_mot(truth, tmp_path / "r.txt")


def test_mot_missing_files_say_what_is_expected(tmp_path: Path) -> None:
    write(tmp_path / "truth/one.txt", [mot15(1, 1, 0)])
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match=r"no result for one: expected one\.txt"):
        evaluate_mot(tmp_path / "truth", tmp_path / "out")
    with pytest.raises(ConfigError, match="no truth"):
        evaluate_mot(tmp_path / "out", tmp_path / "out")


def test_mot_table_shows_two_results_side_by_side(tmp_path: Path) -> None:
    truth = write(tmp_path / "gt.txt", [mot15(f, 1, 0) for f in range(1, 11)])
    good = evaluate_mot(truth, write(tmp_path / "r.txt", [mot15(f, 1, 0) for f in range(1, 11)]))
    half = evaluate_mot(truth, write(tmp_path / "r.txt", [mot15(f, 1, 0) for f in range(1, 6)]))
    console = Console(file=io.StringIO(), width=250)
    console.print(mot_table(half, against=good))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "50.0 (-50.0)" in text
    assert "5 (+5)" in text
