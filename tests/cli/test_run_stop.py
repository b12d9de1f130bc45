"""A run that is stopped or breaks: it ends soon, and what was written is valid."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reidpipe.errors import StageError
from tests.cli.command import frame_lines, run_info
from tests.fakes import FirstVector, OneIdentity, OnePerson, RowTracker, UnitVectors
from tests.videos import read_video, write_video

ENDS_WITHIN_S = 60.0  # a hang is what this catches; how fast it is, is not a matter for a test


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["track", "draw"])
def test_run_stopped_by_a_signal_leaves_every_file_valid(tmp_path: Path, number: signal.Signals, after: str) -> None:
    clip = write_video(tmp_path / "long.mp4", frames=900, width=96, height=64)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "reidpipe", "run", str(clip), "-o", str(out), "--every", "50"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + ENDS_WITHIN_S
    began = out / "frames.jsonl" if after == "track" else out / "video"
    while not (began.exists() and (began.is_dir() or began.stat().st_size)) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert run_info(out)["status"] == "interrupted"
    assert f"reidpipe draw {out}" in errors
    assert 0 < len(frame_lines(out)) <= 900
    for path in out.glob("video/*"):
        assert path.suffix == ".mp4"
        assert read_video(path)


@pytest.mark.parametrize("stage", ["detect", "embed", "track", "pool", "associate"])
def test_run_ends_when_a_stage_raises_and_its_json_is_valid(
    tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reidpipe import recorded
    from reidpipe.pipeline import Pipeline

    fail: dict[str, Any] = {
        name: {"fail_at": 3 if name == stage else None} for name in ("detect", "embed", "track", "pool", "associate")
    }

    def build(config: Any, *, cameras: Any, embedder: Any, associator: Any) -> Pipeline:
        return Pipeline(
            detector=OnePerson(**fail["detect"]),
            embedder=UnitVectors(**fail["embed"]),
            tracker=lambda: RowTracker(**fail["track"]),
            pooler=FirstVector(**fail["pool"]),
            associator=OneIdentity(**fail["associate"]),
        )

    monkeypatch.setattr(recorded, "build_pipeline", build)
    clip = write_video(tmp_path / "cam.mp4", frames=50)
    with pytest.raises(StageError, match=f"the {stage} stage failed"):
        recorded.run([clip], tmp_path / "out")
    info = run_info(tmp_path / "out")
    assert info["status"] == "failed"
    assert stage in info["error"]
    assert len(frame_lines(tmp_path / "out")) <= 3
