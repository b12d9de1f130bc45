"""MOTChallenge text."""

from __future__ import annotations

from pathlib import Path

import pytest

from reidpipe.errors import SinkError
from reidpipe.sinks.mot import MOTSink
from reidpipe.stages import Sink
from tests.sinks.results import result

RESULTS = [
    result("a", 0, [(1, 3, (1.0, 2.0, 11.5, 22.5)), (2, -1, (0.0, 0.0, 3.0, 9.0))]),
    result("b", 0, [(1, 3, (5.0, 5.0, 6.0, 7.25))], scores=[0.5]),
    result("a", 4, [(1, 3, (1.0, 2.0, 11.0, 22.0))]),
]


def test_mot_writes_global_ids_from_frame_one(tmp_path: Path) -> None:
    sink = MOTSink(tmp_path / "mot", cameras=("a", "b", "empty"))
    assert isinstance(sink, Sink)
    for one in RESULTS:
        sink.write(one)
    sink.close()
    sink.close()
    texts = {path.name: path.read_text() for path in (tmp_path / "mot").iterdir()}
    assert texts == {
        "a.txt": "1,3,1.00,2.00,10.50,20.50,0.9000,-1,-1,-1\n5,3,1.00,2.00,10.00,20.00,0.9000,-1,-1,-1\n",
        "b.txt": "1,3,5.00,5.00,1.00,2.25,0.5000,-1,-1,-1\n",
        "empty.txt": "",
    }


def test_mot_can_write_track_ids(tmp_path: Path) -> None:
    sink = MOTSink(tmp_path, track_ids=True)
    sink.write(RESULTS[0])
    sink.close()
    assert [line.split(",")[1] for line in (tmp_path / "a.txt").read_text().splitlines()] == ["1", "2"]


def test_mot_does_not_replace_files_unasked(tmp_path: Path) -> None:
    MOTSink(tmp_path, cameras=("a",)).close()
    with pytest.raises(SinkError, match="exists already"):
        MOTSink(tmp_path, cameras=("a",))
    MOTSink(tmp_path, cameras=("a",), overwrite=True).close()
