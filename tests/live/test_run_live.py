"""Live runs: recordings in real time and real RTSP cameras, with stages made for the test."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import jsonschema
import numpy as np
import pytest

from reidpipe.associate.online import OnlineAssociator
from reidpipe.associate.store import Store
from reidpipe.associate.store_care import forget
from reidpipe.config import Config
from reidpipe.errors import ConfigError, SourceError, StageError
from reidpipe.live import run as live_run
from reidpipe.live import run_live
from reidpipe.live.background import BackgroundAssociator
from reidpipe.live.stages import RationedPooler
from reidpipe.pipeline import Pipeline
from reidpipe.recorded import RunResult
from reidpipe.schemas import load_schema
from reidpipe.types import Detections, Frame, Tracklet, Tracks
from tests.fakes import FirstVector, OneIdentity, OnePerson, RowTracker, UnitVectors
from tests.live.conftest import Serve
from tests.live.operating import TOKEN, Operator
from tests.live.server import free_port, pattern
from tests.live.watch import until
from tests.videos import write_video
from tools.soak_rtsp import lengthened

STAGES = ("detect", "embed", "track", "pool", "associate")
QUICK = Config.load(overrides=["live.report_s=0.1", "live.retry_s=0.2", "live.retry_max_s=0.5"])


class LiveVector(FirstVector):
    """Its tracklets begin now, not in 1970."""

    def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
        return [replace(one, first_s=frame.time_s) for one in super().update(frame, detections, tracks)]


class Long(LiveVector):
    """Vectors as long as those of the shipped embedder, whose store it is."""

    def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
        look = np.eye(512, dtype=np.float32)[0]
        return [replace(one, vector=look) for one in super().update(frame, detections, tracks)]


def fake_stages(**fail_at: int) -> tuple[Pipeline, RationedPooler]:
    """The pipeline of ``fakes``."""
    fail = {name: {"fail_at": fail_at.get(name)} for name in STAGES}
    pooler = RationedPooler(LiveVector(**fail["pool"]))
    pipeline = Pipeline(
        detector=OnePerson(**fail["detect"]),
        embedder=UnitVectors(**fail["embed"]),
        tracker=lambda: RowTracker(**fail["track"]),
        pooler=pooler,
        associator=OneIdentity(**fail["associate"]),
    )
    return pipeline, pooler


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stages that find the same person everywhere; ``fakes(detect=3)``: that stage raises in its third call."""

    def install(**fail_at: int) -> None:
        monkeypatch.setattr(live_run, "build_stages", lambda config, names, **_: fake_stages(**fail_at))

    install()
    return install


def read(folder: Path, name: str, schema: str) -> list[dict[str, Any]]:
    """Lines of a file, each valid by its schema."""
    validator = jsonschema.Draft202012Validator(load_schema(schema))
    records = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    for record in records:
        validator.validate(record)
    return records


def info(folder: Path) -> dict[str, Any]:
    """run.json, valid."""
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    jsonschema.Draft202012Validator(load_schema("run")).validate(record)
    return record


def test_run_live_plays_recordings_in_real_time(tmp_path: Path, fakes: Callable[..., None]) -> None:
    clips = [write_video(tmp_path / f"{name}.mp4", frames=20, fps=20) for name in "ab"]
    out = tmp_path / "out"
    began = time.time()
    result = run_live(clips, out, config=QUICK, realtime=True)
    assert result.status == "complete"
    frames = read(out, "frames.jsonl", "frame")
    for name in "ab":
        own = [record for record in frames if record["camera"] == name]
        assert own
        times = [record["time_s"] for record in own]
        assert times == sorted(set(times))
        assert began <= times[0]
        assert times[-1] - times[0] >= 0.5  # paced: 0.95 s but for what was dropped
        assert own[-1]["frame"] == 19  # the last picture is not lost
    live = info(out)["live"]
    for name in "ab":
        counts = live["cameras"][name]
        assert counts["state"] == "ended"
        assert counts["received"] == counts["processed"] + counts["dropped"] == 20
    events = read(out, "events.jsonl", "event")
    assert {"camera_up", "camera_end", "enter", "link", "leave"} <= {event["event"] for event in events}
    assert json.loads((out / "identities.json").read_text())["identities"][0]["global_id"] == 7


def test_run_live_refuses_a_recording_among_cameras_without_realtime(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", frames=2)
    with pytest.raises(ConfigError, match="add --realtime"):
        run_live(["rtsp://me:hunter2@127.0.0.1:9/x", clip], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_run_live_detects_no_more_often_than_told(tmp_path: Path, fakes: Callable[..., None]) -> None:
    clip = write_video(tmp_path / "a.mp4", frames=30, fps=30)
    config = Config.load(overrides=["live.detect_gap_s=0.25"])
    run_live([clip], tmp_path / "out", config=config, realtime=True)
    counts = info(tmp_path / "out")["live"]["cameras"]["a"]
    assert 1 <= counts["detected"] <= 4  # 0, 0.25, 0.5 and 0.75 s


@pytest.mark.parametrize(
    ("setting", "message"),
    [("source.every=2", "live.detect_gap_s"), ("source.start_s=1", "no start"), ("live.serve=x", "HOST:PORT")],
)
def test_run_live_refuses_settings_that_make_no_sense(
    tmp_path: Path, fakes: Callable[..., None], setting: str, message: str
) -> None:
    clip = write_video(tmp_path / "a.mp4", frames=2)
    with pytest.raises(ConfigError, match=message):
        run_live([clip], tmp_path / "out", config=Config.load(overrides=[setting]), realtime=True)


@pytest.mark.parametrize("stage", STAGES)
def test_run_live_ends_when_a_stage_raises(tmp_path: Path, fakes: Callable[..., None], stage: str) -> None:
    fakes(**{stage: 3})
    clip = write_video(tmp_path / "a.mp4", frames=60, fps=20)
    with pytest.raises(StageError, match=f"the {stage} stage failed"):
        run_live([clip], tmp_path / "out", config=QUICK, realtime=True)
    assert info(tmp_path / "out")["status"] == "failed"
    assert len(read(tmp_path / "out", "frames.jsonl", "frame")) <= 3


def test_run_live_all_cameras_given_up_is_an_error_that_shows_no_password(
    tmp_path: Path, fakes: Callable[..., None]
) -> None:
    config = Config.load(overrides=["live.max_retries=1", "live.retry_s=0.01", "live.retry_max_s=0.01"])
    with pytest.raises(SourceError, match="connection refused") as caught:
        run_live(["gate=rtsp://me:hunter2@127.0.0.1:9/x"], tmp_path / "out", config=config)
    assert caught.value.camera == "gate"
    assert info(tmp_path / "out")["status"] == "failed"
    assert "hunter2" not in "".join(path.read_text() for path in (tmp_path / "out").glob("*.json*"))


class Run:
    """A live run in a thread, stopped at the end."""

    def __init__(self, sources: list[str], out: Path, **options: Any) -> None:
        self.out = out
        self.stop = threading.Event()
        self.result: RunResult | None = None
        self._thread = threading.Thread(target=self._run, args=(sources, options), daemon=True)
        self._thread.start()

    def _run(self, sources: list[str], options: dict[str, Any]) -> None:
        self.result = run_live(sources, self.out, stop=self.stop, **({"config": QUICK} | options))

    def events(self, name: str, camera: str) -> list[dict[str, Any]]:
        path = self.out / "events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        records = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [record for record in records if record["event"] == name and record["camera"] == camera]

    def end(self) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_run_live_camera_that_goes_and_comes_back(tmp_path: Path, serve: Serve, fakes: Callable[..., None]) -> None:
    one, other = serve({"/a": {"launch": pattern()}}), serve({"/b": {"launch": pattern()}})
    out = tmp_path / "out"
    run = Run([f"a={one.url('/a')}", f"b={other.url('/b')}"], out)
    until(lambda: bool(run.events("link", "a") and run.events("camera_up", "b")))
    one.kill()
    killed_s = time.time()
    until(lambda: bool(run.events("leave", "a")))  # who was there has left, without waiting for the camera
    one.start()
    until(lambda: len(run.events("camera_up", "a")) == 2)
    until(lambda: len(run.events("enter", "a")) == 2)
    run.end()
    assert run.result is not None
    assert run.result.status == "complete"  # a live run has no other end than to be stopped
    down = run.events("camera_down", "a")
    assert len(down) == 1
    assert abs(down[0]["time_s"] - killed_s) < 3
    assert not run.events("camera_down", "b")
    read(out, "events.jsonl", "event")
    times = [record["time_s"] for record in read(out, "frames.jsonl", "frame") if record["camera"] == "b"]
    assert max(b - a for a, b in itertools.pairwise(times)) < 1.5
    live = info(out)["live"]
    assert live["cameras"]["a"]["reconnects"] == 1
    for counts in live["cameras"].values():
        assert 0 <= counts["received"] - counts["processed"] - counts["dropped"] <= 1  # one may wait at the end


def test_run_live_identities_and_ids_hold_over_a_reconnect(
    tmp_path: Path, serve: Serve, fakes: Callable[..., None]
) -> None:
    server = serve({"/a": {"launch": pattern()}})
    run = Run([f"a={server.url('/a')}"], tmp_path / "out")
    until(lambda: bool(run.events("link", "a")))
    server.kill()
    until(lambda: bool(run.events("camera_down", "a")))
    server.mounts["/a"]["launch"] = pattern(width=96, height=64, codec="jpeg")
    server.start()
    until(lambda: len(run.events("enter", "a")) == 2)
    run.end()
    assert not [record for record in read(run.out, "frames.jsonl", "frame") if record["age_s"] > 30]


def test_run_live_cameras_are_added_paused_and_removed_while_it_runs(
    tmp_path: Path, serve: Serve, fakes: Callable[..., None]
) -> None:
    server = serve({"/a": {"launch": pattern()}, "/b": {"launch": pattern()}})
    file = tmp_path / "cameras.yaml"
    file.write_text(f"a: {server.url('/a')}\n")
    config = Config.load(overrides=["live.report_s=0.1", "live.record=true"], values={"live.cameras": str(file)})
    run = Run([], tmp_path / "out", config=config)
    until(lambda: bool(run.events("link", "a")))
    file.write_text(f"a: {server.url('/a')}\nb: {server.url('/b')}\n")
    until(lambda: bool(run.events("link", "b")))
    until(lambda: any((run.out / "video").glob("b/*")))
    file.write_text(f"a: {{uri: '{server.url('/a')}', paused: true}}\nb: {server.url('/b')}\n")
    until(lambda: bool(run.events("camera_end", "a") and run.events("leave", "a")))
    file.write_text("not: [yaml")
    file.write_text(f"a: {server.url('/a')}\n")
    until(lambda: len(run.events("camera_up", "a")) == 2 and len(run.events("camera_end", "b")) == 1)
    until(lambda: len(run.events("enter", "a")) == 2)
    run.end()
    read(run.out, "events.jsonl", "event")
    assert [source["camera"] for source in info(run.out)["sources"]] == ["a"]
    assert sorted(path.name for path in (run.out / "video").iterdir()) == ["a", "b"]


def test_run_live_cameras_are_added_paused_and_removed_over_http(
    tmp_path: Path, serve: Serve, fakes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REIDPIPE_TOKEN", TOKEN)
    server, place = serve({"/a": {"launch": pattern()}}), f"127.0.0.1:{free_port()}"
    other = serve({"/b": {"launch": pattern(), "user": "me", "password": "hunter2"}})
    config = Config.load(overrides=["live.report_s=0.1", "live.retry_s=0.2"], values={"live.serve": place})
    run = Run([f"a={server.url('/a')}"], tmp_path / "out", config=config)
    operator = Operator(place)
    until(lambda: bool(run.events("link", "a")))
    assert not operator.tell("add", "b", uri=other.url("/b").replace("//", "//me:hunter2@"))  # no file: it is forgotten
    until(lambda: bool(run.events("link", "b")))
    operator.tell("pause", "a")
    until(lambda: operator.states() == {"b": "up", "a": "paused"})
    until(lambda: bool(run.events("camera_end", "a") and run.events("leave", "a")))
    seen = len(run.events("enter", "a"))
    operator.tell("remove", "b")
    with pytest.raises(HTTPError, match="400"):
        operator.tell("pause", "b")
    until(lambda: operator.states() == {"a": "paused"})  # nothing runs, and the run goes on
    operator.tell("resume", "a")
    until(lambda: len(run.events("enter", "a")) > seen)
    run.end()
    read(run.out, "events.jsonl", "event")
    reasons = [(event["camera"], event["reason"]) for name in "ab" for event in run.events("camera_end", name)]
    assert reasons == [("a", "paused"), ("b", "removed")]
    assert [source["camera"] for source in info(run.out)["sources"]] == ["a"]
    assert not [file for file in run.out.rglob("*.json*") if "hunter2" in file.read_text()]


def test_run_live_cameras_are_as_they_were_left_after_a_restart(
    tmp_path: Path, serve: Serve, fakes: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REIDPIPE_TOKEN", TOKEN)
    server = serve({f"/{name}": {"launch": pattern()} for name in "abc"})
    file, place = tmp_path / "cameras.yaml", f"127.0.0.1:{free_port()}"
    text = f"a: {server.url('/a')}\nb: {server.url('/b')}\n"
    file.write_text(text)
    config = Config.load(values={"live.serve": place, "live.cameras": str(file)})
    operator = Operator(place)
    run = Run([], tmp_path / "one", config=config)
    until(lambda: bool(run.events("link", "a")))
    assert operator.tell("pause", "a")
    assert operator.tell("remove", "b")
    assert operator.tell("add", "c", uri=server.url("/c"))
    until(lambda: operator.states() == {"a": "paused", "c": "up"})
    run.end()
    again = Run([], tmp_path / "two", config=config)
    until(lambda: bool(again.events("link", "c")))
    assert operator.states() == {"a": "paused", "c": "up"}
    again.end()
    assert file.read_text() == text


def test_run_live_ends_with_a_report(tmp_path: Path, fakes: Callable[..., None]) -> None:
    clip = write_video(tmp_path / "a.mp4", frames=10, fps=20)
    run_live([clip], tmp_path / "out", config=QUICK, realtime=True)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "a" in info(tmp_path / "out")["live"]["cameras"]
    assert page.startswith("<!doctype html>")
    config = Config.load(overrides=["output.report=false"])
    run_live([clip], tmp_path / "none", config=config, realtime=True)
    assert not (tmp_path / "none" / "report.html").exists()


def test_run_live_refuses_a_priority_for_no_camera(tmp_path: Path, fakes: Callable[..., None]) -> None:
    clip = write_video(tmp_path / "a.mp4", frames=2)
    with pytest.raises(ConfigError, match="'gate', which there is not: a"):
        run_live([clip], tmp_path / "out", config=Config.load(overrides=["live.priority={gate: 2}"]), realtime=True)


def test_run_live_forgets_whom_another_process_deletes_from_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "people.db"

    def stages(config: Config, names: Any, *, keeping: Any, **_: Any) -> tuple[Pipeline, RationedPooler]:
        pooler = RationedPooler(Long())
        online = OnlineAssociator(store=keeping.store, album=keeping.album, window_s=0.1, delay_s=0.1)
        pipeline = Pipeline(
            detector=OnePerson(),
            embedder=UnitVectors(),
            tracker=RowTracker,
            pooler=pooler,
            associator=BackgroundAssociator(online),
        )
        return pipeline, pooler

    monkeypatch.setattr(live_run, "build_stages", stages)
    short = write_video(tmp_path / "short.mp4", frames=20, fps=10)
    clip = lengthened(short, tmp_path / "a.mp4", 120.0)
    config = Config.load(values={"store.path": str(path), "output.report": False, "live.report_s": 0.1})
    run = Run([str(clip)], tmp_path / "out", config=config, realtime=True)
    until(lambda: bool(run.events("link", "a")))
    first = run.events("link", "a")[0]["global_id"]
    until(lambda: path.exists())
    with Store.open(path) as store:
        until(lambda: [person.global_id for person in store.people()] == [first])
        forget(store, [first], now_s=time.time())
    until(lambda: bool(run.events("forget", "*")))
    until(lambda: len(run.events("link", "a")) == 2)  # still in the picture: known anew under another number
    run.end()
    read(run.out, "events.jsonl", "event")
    assert [event["global_id"] for event in run.events("forget", "*")] == [first]
    written = json.loads((run.out / "identities.json").read_text())["identities"]
    assert first not in [identity["global_id"] for identity in written]
