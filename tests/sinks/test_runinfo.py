"""run.json."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reidpipe.errors import ConfigError
from reidpipe.schemas import SCHEMAS, load_schema
from reidpipe.sinks.runinfo import SourceReport, Status, versions, write_run_info
from reidpipe.stages import SourceInfo


def written(path: Path, status: Status = "complete", **more: Any) -> dict[str, Any]:
    info = SourceInfo("lobby.mp4", 640, 360, 29.97, 100, warnings=("the file ends early",))
    write_run_info(
        path,
        status=status,
        started=datetime(2026, 5, 1, 14, 0, tzinfo=timezone(timedelta(hours=2))),
        config={"track": {"name": "bytetrack"}},
        sources=[SourceReport("lobby", info, 97, more.pop("failure", None))],
        counts={"frames": 97},
        stage_seconds={"detect": 1.23456789},
        wall_s=2.34567,
        **more,
    )
    record: dict[str, Any] = json.loads(path.read_text())
    jsonschema.Draft202012Validator(load_schema("run")).validate(record)
    return record


def test_runinfo_says_what_was_run(tmp_path: Path) -> None:
    record = written(tmp_path / "run.json")
    assert record["status"] == "complete"
    assert datetime.fromisoformat(record["started"]) == datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
    assert record["sources"][0]["warnings"] == ["the file ends early"]
    assert (record["sources"][0]["frames"], record["sources"][0]["frames_expected"]) == (97, 100)
    assert record["stage_seconds"] == {"detect": 1.2346}
    assert record["versions"].items() >= {"python": versions()["python"], "numpy": versions()["numpy"]}.items()


def test_runinfo_can_be_written_again_as_the_run_goes_on(tmp_path: Path) -> None:
    assert written(tmp_path / "run.json", "running")["status"] == "running"
    record = written(tmp_path / "run.json", "failed", error="the track stage failed", failure="lobby: gone")
    assert (record["error"], record["sources"][0]["failure"]) == ("the track stage failed", "lobby: gone")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid_and_name_their_version(name: str) -> None:
    schema = load_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == f"reidpipe.{name}/1"


def test_schemas_unknown_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no schema called 'frames'"):
        load_schema("frames")
