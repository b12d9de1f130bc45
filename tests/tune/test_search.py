"""The search finds what is there to find, goes on where it was, and says what it is worth."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="the search needs the extra tune")

from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.tune import Sequence, load_sequence, tune
from tests.tune.conftest import write_sequence


def load(paths: list[Path], folder: Path) -> list[Sequence]:
    return [load_sequence(str(path), config=Config.load(), folder=folder) for path in paths]


def test_search_finds_limits_for_a_weak_detector_and_run_takes_them(sequences: list[Path], tmp_path: Path) -> None:
    """Scores end at 0.55, so that the defaults follow nobody; nearly every trial with lower limits is better."""
    known, folder = load(sequences, tmp_path / "out"), tmp_path / "out"
    outcome = tune(known, Config.load(), folder=folder, limits=["high_score", "new_score"], trials=8)
    assert outcome.complete
    assert outcome.before.combined["HOTA"] < 20
    assert outcome.after.combined["HOTA"] > 80
    assert outcome.held_out is not None
    assert outcome.held_out.combined["HOTA"] > 80
    assert set(outcome.held_out.sequences) == {"gate", "hall"}
    loaded = Config.load(folder / "config.yaml")
    assert loaded.track == outcome.config.track
    assert loaded.track.model_dump()["new_score"] == outcome.changed["new_score"][1] < 0.7
    written = json.loads((folder / "outcome.json").read_text())
    assert written["trials"] == outcome.trials == 3 * 8
    assert "on sequences that had no say" in written["verdict"]


def test_search_goes_on_as_if_it_had_not_been_interrupted(sequences: list[Path], tmp_path: Path) -> None:
    known = load(sequences[:1], tmp_path / "x")
    limits = ["high_score", "new_score"]
    first = tune(known, Config.load(), folder=tmp_path / "a", limits=limits, trials=14, time_s=0.0)
    assert not first.complete
    assert first.trials == 1
    later = tune(known, Config.load(), folder=tmp_path / "a", limits=limits, trials=14)
    whole = tune(known, Config.load(), folder=tmp_path / "b", limits=limits, trials=14)
    assert later.complete
    assert later.config == whole.config
    assert later.trials == whole.trials == 14


def test_search_that_is_stopped_before_it_begins_keeps_the_limits(sequences: list[Path], tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    known = load(sequences, tmp_path / "out")
    outcome = tune(known, Config.load(), folder=tmp_path / "out", trials=3, stop=stop)
    assert (outcome.complete, outcome.held_out, dict(outcome.changed)) == (False, None, {})
    assert outcome.config.track == Config.load().track
    assert "keep the limits there were" in outcome.verdict()


def test_search_changes_no_limit_that_does_not_matter(tmp_path: Path) -> None:
    """Everybody is found with a high score: no limit can do better, and so none moves."""
    known = load([write_sequence(tmp_path / "easy", seed=3, weak=False)], tmp_path / "out")
    outcome = tune(known, Config.load(), folder=tmp_path / "out", limits=["max_age_s", "memory_s"], trials=4)
    assert dict(outcome.changed) == {}


def test_search_refuses_the_study_of_something_else(sequences: list[Path], tmp_path: Path) -> None:
    known, folder = load(sequences[:1], tmp_path / "out"), tmp_path / "out"
    tune(known, Config.load(), folder=folder, limits=["max_age_s"], trials=1)
    with pytest.raises(ConfigError, match="choose another --out"):
        tune(known, Config.load(), folder=folder, limits=["max_age_s"], trials=1, objective="IDF1")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "study.sqlite3").write_text("no database " * 500)
    with pytest.raises(ConfigError, match="cannot be used as a study"):
        tune(known, Config.load(), folder=tmp_path / "bad", limits=["max_age_s"], trials=1)


def test_search_needs_sequences_with_different_names(sequences: list[Path], tmp_path: Path) -> None:
    known = load(sequences[:1], tmp_path)
    with pytest.raises(ConfigError, match="different names"):
        tune(known * 2, Config.load(), folder=tmp_path)
    with pytest.raises(ConfigError, match="different names"):
        tune([], Config.load(), folder=tmp_path)
