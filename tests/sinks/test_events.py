"""events.jsonl: who came, who left, what was decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reidpipe.schemas import load_schema
from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.jsonl import assign_global_ids
from reidpipe.stages import Sink
from reidpipe.types import Link, TrackKey
from tests.sinks.results import result

BOX = (1.0, 1.0, 9.0, 20.0)


def story(path: Path) -> list[dict[str, Any]]:
    """Track 1 comes, is linked, is corrected, leaves; track 2 stays to the end; camera b goes down and up."""
    key = TrackKey("a", 1)
    sink = EventsSink(path)
    sink.write(result("a", 0, [(1, -1, BOX)]))
    sink.write(result("a", 1, [(1, 4, BOX)], links=[Link(key, 4, 1.0, 0.1)]))
    sink.write(result("a", 2, [(1, 5, BOX), (2, -1, BOX)], links=[Link(key, 5, 0.71234, 0.2, previous=4)]))
    sink.camera_down("b", 0.25, "b: connection lost")
    sink.drops("b", 0.3, 12)
    sink.camera_up("b", 0.5)
    sink.write(result("a", 9, [(2, -1, BOX)], ended=[1, 77]))
    sink.end_camera("a", 1.0)
    sink.end_camera("b", 1.0)
    sink.links([Link(TrackKey("a", 2), 6, -0.1, 1.0)])
    sink.close()
    sink.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_tell_the_story_in_order(tmp_path: Path) -> None:
    events = story(tmp_path / "e")
    assert {event.pop("schema") for event in events} == {"reidpipe.event/1"}
    a = {"camera": "a"}
    assert events == [
        {"event": "enter", **a, "time_s": 0.0, "track_id": 1, "global_id": None},
        {"event": "link", **a, "time_s": 0.1, "track_id": 1, "global_id": 4, "similarity": 1.0},
        {"event": "enter", **a, "time_s": 0.2, "track_id": 2, "global_id": None},
        {"event": "correct", **a, "time_s": 0.2, "track_id": 1, "global_id": 5, "previous": 4, "similarity": 0.7123},
        {"event": "camera_down", "camera": "b", "time_s": 0.25, "reason": "b: connection lost"},
        {"event": "drops", "camera": "b", "time_s": 0.3, "count": 12},
        {"event": "camera_up", "camera": "b", "time_s": 0.5},
        {"event": "leave", **a, "time_s": 0.9, "track_id": 1, "global_id": 5, "first_s": 0.0, "last_s": 0.2},
        {"event": "leave", **a, "time_s": 1.0, "track_id": 2, "global_id": None, "first_s": 0.2, "last_s": 0.9},
        {"event": "link", **a, "time_s": 1.0, "track_id": 2, "global_id": 6, "similarity": -0.1},
    ]


def test_events_fit_their_schema(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(load_schema("event"))
    events = story(tmp_path / "e")
    for event in events:
        validator.validate(event)
    for broken in ({**events[0], "extra": 1}, {**events[1], "previous": 2}, {**events[5], "count": 0}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(broken)


def test_events_final_identities_are_written_in(tmp_path: Path) -> None:
    story(tmp_path / "e")
    assign_global_ids(tmp_path / "e", {TrackKey("a", 1): 5, TrackKey("a", 2): 6})
    events = [json.loads(line) for line in (tmp_path / "e").read_text().splitlines()]
    ids = [(event["event"], event["track_id"], event["global_id"]) for event in events if "track_id" in event]
    assert ids[0] == ("enter", 1, 5)
    assert ("leave", 2, 6) in ids
    jsonschema.Draft202012Validator(load_schema("event")).validate(events[0])


def test_events_sink_is_a_sink_and_keeps_nothing_of_who_left(tmp_path: Path) -> None:
    sink = EventsSink(tmp_path / "e")
    assert isinstance(sink, Sink)
    for number in range(500):
        sink.write(result("a", number, [(number, -1, BOX)], ended=[number - 1]))
    assert len(sink._visits) == 1
    sink.close()
