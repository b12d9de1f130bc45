"""`reidpipe draw`: the videos of a run, from what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import complaint, reidpipe
from tests.videos import read_video, write_video


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run over six pictures, drawn."""
    folder = tmp_path / "out"
    assert reidpipe("run", write_video(tmp_path / "cam.mp4", frames=6), "-o", folder).exit_code == 0
    return folder


def test_draw_gives_the_pictures_of_the_run_again(out: Path) -> None:
    video = out / "video" / "cam.mp4"
    before = read_video(video)
    video.unlink()
    result = reidpipe("draw", out)
    assert result.exit_code == 0
    assert str(out / "video") in result.stdout
    np.testing.assert_array_equal(read_video(video), before)


def test_draw_replaces_a_video_and_draws_an_interrupted_run_as_far_as_it_came(out: Path) -> None:
    frames = out / "frames.jsonl"
    frames.write_bytes(b"".join(frames.read_bytes().splitlines(keepends=True)[:4]))
    (out / "identities.json").unlink()
    assert reidpipe("draw", out, "-q").exit_code == 0
    assert len(read_video(out / "video" / "cam.mp4")) == 4


def test_draw_refuses_with_one_line(out: Path, tmp_path: Path) -> None:
    assert "holds no run" in complaint(reidpipe("draw", tmp_path))
    assert "output.blur" in complaint(reidpipe("draw", out, "--blur", "cats"))
    before = (out / "video" / "cam.mp4").read_bytes()
    (tmp_path / "cam.mp4").rename(tmp_path / "elsewhere.mp4")
    assert "cam.mp4" in complaint(reidpipe("draw", out))
    assert (out / "video" / "cam.mp4").read_bytes() == before
    (out / "frames.jsonl").write_bytes(b"")
    assert "no picture to draw" in complaint(reidpipe("draw", out))
    run = json.loads((out / "run.json").read_text())
    run["sources"][0]["live"] = True
    (out / "run.json").write_text(json.dumps(run))
    assert "was a live camera" in complaint(reidpipe("draw", out))
