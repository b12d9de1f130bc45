"""``reidpipe bench``: files without saying so, live by its name."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from reidpipe import bench as bench_module
from reidpipe.bench import BenchResult
from reidpipe.cli.app import app


def test_bench_of_files_needs_no_name_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def bench(sources: list[str], **options: object) -> BenchResult:
        asked.append(sources)
        return BenchResult(3, {"decode": 1.0}, {"track": 0.5}, 1.1, 1.2, None)

    monkeypatch.setattr(bench_module, "bench", bench)
    for arguments in (["a.mp4", "b.mp4"], ["--rounds", "2", "a.mp4", "b.mp4"], ["files", "a.mp4", "b.mp4"]):
        result = CliRunner().invoke(app, ["bench", *arguments])
        assert result.exit_code == 0, result.output
        assert "run / max(decode, detect)             1.100" in result.output
    assert asked == [["a.mp4", "b.mp4"]] * 3


def test_bench_live_wants_one_clip_and_says_what_is_out_of_range() -> None:
    assert CliRunner().invoke(app, ["bench", "live"]).exit_code == 2
    result = CliRunner().invoke(app, ["bench", "live", "a.mp4", "--fps", "0"])
    assert result.exit_code == 2
    assert "fps must be" in result.output
