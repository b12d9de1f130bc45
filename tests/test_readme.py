"""What the README says is what is run: the two commands, and the floor of the samples."""

from __future__ import annotations

import re
from pathlib import Path

from reidpipe.evaluate.mtmc import camera_files, evaluate_mtmc
from tests.cli.command import reidpipe, run_info

FLOOR = 95.0
"""Joint IDF1 of the samples over both cameras, percent, with the shipped models."""


def test_readme_commands_are_those_of_ci(repo_root: Path) -> None:
    readme = (repo_root / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", readme, flags=re.DOTALL)
    install = "python3 -m venv .venv && . .venv/bin/activate && "
    assert f"{install}pip install . && reidpipe run samples/cam1.mp4 samples/cam2.mp4 --out out --force\n" in blocks
    assert f"{install}pip install -e '.[dev]' && pytest\n" in blocks
    ci = (repo_root / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install -q -e '.[dev]'\n" in ci
    assert ci.rstrip().endswith("\npytest")


def test_readme_main_job_keeps_its_floor(repo_root: Path, tmp_path: Path) -> None:
    clips = [repo_root / "samples" / f"cam{n}.mp4" for n in (1, 2)]
    assert reidpipe("run", *clips, "--out", tmp_path / "out", "--no-save-video").exit_code == 0
    joint = evaluate_mtmc(
        camera_files(repo_root / "samples" / "truth"), camera_files(tmp_path / "out" / "mot")
    ).combined
    assert joint["IDF1"] >= FLOOR
    assert run_info(tmp_path / "out")["status"] == "complete"
