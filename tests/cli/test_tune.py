"""reidpipe tune, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("optuna", reason="the search needs the extra tune")

from reidpipe.cli.app import app
from reidpipe.config import Config
from tests.tune.conftest import write_sequence


def test_tune_command_writes_a_config_and_goes_on(tmp_path: Path) -> None:
    folder, out = write_sequence(tmp_path / "gate", seed=0), tmp_path / "out"
    arguments = ["tune", str(folder), "--out", str(out), "--limit", "high_score", "--limit", "new_score", "--trials"]
    first = CliRunner().invoke(app, [*arguments, "2"])
    assert first.exit_code == 0, first.output
    assert "gate: 60 pictures, detections from det.txt, motion only" in first.output
    again = CliRunner().invoke(app, [*arguments, "6", "--objective", "hota"])
    assert again.exit_code == 0, again.output
    assert "what it does elsewhere is not known" in again.output
    assert "6 settings tried" in (out / "config.yaml").read_text()
    Config.load(out / "config.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "max_ages"], "did you mean max_age_s"),
        (["--truth", "gate"], "--truth takes NAME=PATH"),
        (["--detections", "hall=x.txt"], "hall, which is no sequence here"),
        (["--trials", "0"], "trials must be 1 or more"),
    ],
)
def test_tune_command_says_what_is_wrong(arguments: list[str], message: str, tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "gate", seed=0)
    result = CliRunner().invoke(app, ["tune", str(folder), "--out", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert message in result.output
