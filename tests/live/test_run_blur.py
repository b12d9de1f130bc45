"""``--blur`` reaches every picture that a run writes, recorded or live."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

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
from tests.live.test_run_live import LiveVector
from tests.live.watch import until
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
            pooler=LiveVector(),
            associator=OneIdentity(),
        )

    monkeypatch.setattr(recorded, "build_pipeline", build)
    monkeypatch.setattr(live_run, "build_stages", lambda *_, **__: (build(), RationedPooler(FirstVector())))


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


class Served:
    """Remembers where the status page is."""

    url = ""

    def phase(self, name: str, totals: Any) -> None: ...

    def frame(self, camera: str, *, people: int) -> None: ...

    def note(self, message: str) -> None:
        if "http://" in message:
            self.url = message.split()[-1]


def fetched(url: str) -> Image:
    """A picture of the status page, once there is one."""
    got: list[bytes] = []

    def ready() -> bool:
        with suppress(OSError), urlopen(url, timeout=10) as answer:
            got.append(answer.read())
        return bool(got)

    until(ready)
    return np.asarray(cv2.imdecode(np.frombuffer(got[0], np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_run_blur_reaches_status_page_and_store(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "cam.mp4", frames=600, fps=15)
    rough: dict[str, list[float]] = {}
    for blur in ("nobody", "people"):
        settings = {"output.blur": blur, "live.serve": "127.0.0.1:0", "output.report": False}
        config, served, stop = Config.load(values=settings), Served(), threading.Event()
        run = partial(run_live, [clip], tmp_path / blur, config=config, realtime=True, progress=served, stop=stop)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            until(lambda: bool(served.url))  # noqa: B023
            tile = fetched(f"{served.url}camera/cam.jpg")[18:38, 13:18]
            crop = fetched(f"{served.url}person/7.jpg")
        finally:
            stop.set()
            thread.join()
        rough[blur] = [roughness(np.asarray(tile)), roughness(crop)]
    assert rough["people"][0] < SMOOTH * rough["nobody"][0]
    assert rough["people"][1] < SMOOTH * rough["nobody"][1]


def test_run_without_thumbnails_keeps_no_picture_of_anybody(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "cam.mp4", frames=600, fps=15)
    settings = {"output.thumbnails": False, "live.serve": "127.0.0.1:0"}
    config, served, stop = Config.load(values=settings), Served(), threading.Event()
    out = tmp_path / "out"
    run = partial(run_live, [clip], out, config=config, realtime=True, progress=served, stop=stop)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        until(lambda: bool(served.url))
        fetched(f"{served.url}camera/cam.jpg")
        until(lambda: b'"global_id": 7' in urlopen(f"{served.url}api/state", timeout=10).read())
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{served.url}person/7.jpg", timeout=10)
    finally:
        stop.set()
        thread.join()
    kinds = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert kinds == {".json", ".jsonl", ".npz", ".html"}
    assert b"image/jpeg" not in (out / "report.html").read_bytes()
