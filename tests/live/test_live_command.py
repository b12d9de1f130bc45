"""``reidpipe run rtsp://...`` as an operator sees it: signals, and no password anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from reidpipe.schemas import load_schema
from tests.live.conftest import Serve
from tests.live.server import pattern
from tests.live.watch import until

PASSWORD = "s3c/r@t"
STOPS_WITHIN_S = 5.0
BUSY_S = 10.0
"""Added to what must be quick, for a machine that does other things."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_live_command_stopped_by_a_signal_leaves_valid_files_and_no_password(
    tmp_path: Path, serve: Serve, number: signal.Signals
) -> None:
    server = serve({"/a": {"launch": pattern(), "user": "operator", "password": PASSWORD}})
    gone = "rtsp://operator:s3cr@t2@127.0.0.1:9/x"
    out = tmp_path / "out"
    command = [sys.executable, "-m", "reidpipe", "run", "a=" + server.url("/a", "${WHO}:${PASS}@"), f"b={gone}"]
    process = subprocess.Popen(
        [*command, "-o", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WHO": "operator", "PASS": PASSWORD},
    )
    frames = out / "frames.jsonl"
    until(lambda: process.poll() is not None or (frames.exists() and frames.stat().st_size > 1000), patience_s=60)
    process.send_signal(number)
    stopped = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - stopped < STOPS_WITHIN_S + BUSY_S
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    info = json.loads((out / "run.json").read_text())
    jsonschema.Draft202012Validator(load_schema("run")).validate(info)
    assert info["status"] == "complete"
    assert [source["uri"] for source in info["sources"]] == [server.url("/a"), "rtsp://127.0.0.1:9/x"]
    for line in frames.read_text().splitlines():
        jsonschema.Draft202012Validator(load_schema("frame")).validate(json.loads(line))
    everything = errors + "".join(path.read_text() for path in out.glob("*.json*"))
    for secret in (PASSWORD, "s3c%2Fr%40t", "s3cr", "t2@"):
        assert secret not in everything
    assert "b: down, connection refused" in errors


def test_live_command_logs_json_and_writes_lines_to_standard_output(tmp_path: Path, serve: Serve) -> None:
    server = serve({"/a": {"launch": pattern(), "user": "operator", "password": PASSWORD}})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "reidpipe", "run", "a=" + server.url("/a", "${WHO}:${PASS}@")]
    process = subprocess.Popen(
        [*command, "-o", str(out), "--send", "-", "--log", "json"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "WHO": "operator", "PASS": PASSWORD},
    )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(10)]
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in (*first, *rest.splitlines())]
    for kind, name in (("frame", "frames.jsonl"), ("event", "events.jsonl")):
        validator = jsonschema.Draft202012Validator(load_schema(kind))
        own = [line for line in lines if line["schema"].startswith(f"reidpipe.{kind}/")]
        assert own == [json.loads(line) for line in (out / name).read_text().splitlines()]
        for line in own:
            validator.validate(line)
    messages = [json.loads(line)["message"] for line in errors.splitlines()]
    assert messages[:2] == ["live begins", "a: up"]
    assert messages[-1].startswith("complete: 0 people")
    assert len(messages) < 8  # one for each event, none for pictures
    assert PASSWORD not in errors + rest
