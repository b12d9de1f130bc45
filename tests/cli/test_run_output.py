"""`reidpipe run`: settings, models and output folders that cannot be used, and results that repeat bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import complaint, frame_lines, reidpipe, run_info
from tests.videos import write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "cam.mp4", frames=6)


def test_run_never_replaces_results_without_force(tmp_path: Path, video: Path) -> None:
    out = tmp_path / "out"
    assert reidpipe("run", video, "-o", out, "--no-save-video").exit_code == 0
    before = (out / "frames.jsonl").read_bytes()
    assert "--force" in complaint(reidpipe("run", video, "-o", out, "--no-save-video"))
    assert (out / "frames.jsonl").read_bytes() == before
    assert reidpipe("run", video, "-o", out, "--no-save-video", "--force").exit_code == 0


def test_run_force_keeps_files_that_are_not_its_own(tmp_path: Path, video: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert reidpipe("run", video, "-o", out, "--force", "--no-save-video").exit_code == 0
    assert (out / "thesis.txt").read_text() == "years of work"


def test_run_refuses_an_output_that_is_a_file(tmp_path: Path, video: Path) -> None:
    (tmp_path / "out").write_text("x")
    assert "is a file" in complaint(reidpipe("run", video, "-o", tmp_path / "out"))


def test_run_refuses_an_output_that_cannot_be_written(video: Path) -> None:
    assert "/proc" in complaint(reidpipe("run", video, "-o", "/proc/reidpipe"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "track.max_ages=2"), "did you mean track.max_age_s?"),
        (("--set", "detect.min_score=7"), "detect.min_score: input should be less than or equal to 1"),
        (("--tracker", "bytetrak"), "did you mean bytetrack?"),
        (("--every", "0"), "source.every: input should be greater than or equal to 1"),
        (("--config", "nowhere.yaml"), "cannot read the config file nowhere.yaml"),
        (("--detections", "cam"), "--detections takes CAMERA=PATH"),
        (("--detections", "gate=det.txt"), "no detections for the camera cam"),
        (("--detections", "cam=det.txt"), "No such file"),
        (("--detector", "persn_n"), "persn_n"),
        (("--detector", "gone.onnx"), "gone.onnx"),
        (("--embedder", "gone.onnx"), "gone.onnx"),
        (("--detector", "osnet_x0_25"), "osnet_x0_25 is an embedder"),
        (("--embedder", "person_n"), "person_n is a detector"),
        (("--backend", "tensorrt"), "runtime.backend"),
    ],
)
def test_run_refuses_settings(tmp_path: Path, video: Path, options: tuple[str, ...], message: str) -> None:
    assert message in complaint(reidpipe("run", video, "-o", tmp_path / "out", *options))
    assert not (tmp_path / "out").exists()


def test_run_refuses_a_model_that_is_damaged(tmp_path: Path, video: Path, repo_root: Path) -> None:
    whole = next((repo_root / "weights").glob("person_n*.onnx")).read_bytes()
    model = tmp_path / "cut.onnx"
    model.write_bytes(whole[: len(whole) // 2])
    assert "cut.onnx" in complaint(reidpipe("run", video, "-o", tmp_path / "out", "--detector", model))


def test_run_refuses_a_shipped_model_with_the_wrong_hash(
    tmp_path: Path, video: Path, repo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reidpipe import weights

    shutil.copytree(repo_root / "weights", tmp_path / "weights")
    model = next((tmp_path / "weights").glob("person_n*.onnx"))
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(bytes(content))
    monkeypatch.setattr(weights, "_package_folders", lambda: (tmp_path / "none", tmp_path / "weights"))
    assert "wrong sha256" in complaint(reidpipe("run", video, "-o", tmp_path / "out"))


def test_run_refuses_an_embedder_as_detector_file(tmp_path: Path, video: Path, repo_root: Path) -> None:
    model = tmp_path / "other.onnx"
    shutil.copy(next((repo_root / "weights").glob("osnet_x0_25*.onnx")), model)
    assert complaint(reidpipe("run", video, "-o", tmp_path / "out", "--detector", model))


@pytest.mark.parametrize("small_disk", ["64k"], indirect=True)
def test_run_on_a_full_disk_keeps_what_was_written(tmp_path: Path, small_disk: Path) -> None:
    long = write_video(tmp_path / "long.mp4", frames=900, width=32, height=32)
    line = complaint(reidpipe("run", long, "-o", small_disk / "out", "--no-thumbnails", "--every", "50", "-q"))
    assert "space" in line
    assert frame_lines(small_disk / "out")  # every line is whole


def test_run_gives_identical_json_twice(tmp_path: Path, repo_root: Path) -> None:
    clips = [repo_root / "samples" / f"cam{n}.mp4" for n in (1, 2)]
    for out in ("a", "b"):
        assert reidpipe("run", *clips, "-o", tmp_path / out, "--duration", "3", "--no-save-video").exit_code == 0
    for name in ("frames.jsonl", "events.jsonl", "identities.json", "mot/cam1.txt", "mot/cam2.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with np.load(tmp_path / "a" / "identities.npz") as first, np.load(tmp_path / "b" / "identities.npz") as second:
        np.testing.assert_array_equal(first["vectors"], second["vectors"])


def test_run_tracks_a_camera_the_same_alone_and_beside_another(tmp_path: Path, repo_root: Path) -> None:
    clips = [repo_root / "samples" / f"cam{n}.mp4" for n in (1, 2)]
    options = ("--duration", "3", "--no-save-video")
    assert reidpipe("run", *clips, "-o", tmp_path / "both", *options).exit_code == 0
    for clip in clips:
        assert reidpipe("run", clip, "-o", tmp_path / clip.stem, *options).exit_code == 0
        alone = [_tracks(line) for line in frame_lines(tmp_path / clip.stem)]
        beside = [_tracks(line) for line in frame_lines(tmp_path / "both") if line["camera"] == clip.stem]
        assert alone == beside


def _tracks(line: dict[str, object]) -> dict[str, object]:
    people = line["people"]
    assert isinstance(people, list)
    return {**line, "people": [{k: v for k, v in person.items() if k != "global_id"} for person in people]}


def test_run_every_third_picture_still_gives_every_picture(tmp_path: Path, repo_root: Path) -> None:
    clip = repo_root / "samples" / "cam1.mp4"
    options = ("--duration", "3", "--no-save-video", "--every", "3")
    assert reidpipe("run", clip, "-o", tmp_path / "out", *options).exit_code == 0
    lines = frame_lines(tmp_path / "out")
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    predicted = [bool(p.get("predicted")) for line in lines for p in line["people"] if line["frame"] % 3]
    assert predicted
    assert all(predicted)
    assert run_info(tmp_path / "out")["config"]["source"]["every"] == 3
