"""``--blur`` reaches every picture that a run writes, recorded or live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe import recorded
from reidpipe.config import Config
from reidpipe.live import run as live_run
from reidpipe.live import run_live
from reidpipe.live.stages import RationedPooler
from reidpipe.pipeline import Pipeline
from reidpipe.recorded import run
from reidpipe.types import Image
from tests.fakes import FirstVector, OneIdentity, OnePerson, RowTracker, UnitVectors
from tests.videos import read_video, write_video

SMOOTH = 0.6
"""Share of the noise that may be left inside a box of 10 x 30 pixels, lines and label drawn into it."""


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any, **__: Any) -> Pipeline:
        return Pipeline(
            detector=OnePerson(),
            embedder=UnitVectors(),
            tracker=RowTracker,
            pooler=FirstVector(),
            associator=OneIdentity(),
        )

    monkeypatch.setattr(recorded, "build_pipeline", build)
    monkeypatch.setattr(live_run, "build_stages", lambda *_: (build(), RationedPooler(FirstVector())))


def roughness(image: Image) -> float:
    """How much neighbours differ."""
    grey = image.astype(np.float64).mean(axis=2)
    return float(np.abs(np.diff(grey, axis=0)).mean())


@pytest.mark.parametrize("live", [False, True])
def test_run_blur_reaches_thumbnails_and_video(tmp_path: Path, live: bool) -> None:
    clip = write_video(tmp_path / "cam.mp4", frames=12, fps=12)
    rough = {}
    for blur in ("nobody", "people"):
        out = tmp_path / blur
        config = Config.load(overrides=[f"output.blur={blur}", "live.record=true", "output.report=false"])
        if live:
            run_live([clip], out, config=config, realtime=True)
        else:
            run([clip], out, config=config)
        thumbnail = np.asarray(cv2.imread(str(next((out / "thumbnails").iterdir()))), np.uint8)
        video = next((out / "video").rglob("*.mp4"))
        inside = read_video(video)[-1][18:38, 13:18]  # of the box 10 10 20 40, without its lines
        rough[blur] = (roughness(thumbnail), roughness(np.asarray(inside, np.uint8)))
    assert rough["people"][0] < SMOOTH * rough["nobody"][0]
    assert rough["people"][1] < SMOOTH * rough["nobody"][1]
