"""What docs/live.md tells an operator to type exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reidpipe.cli.app import app
from reidpipe.config import Config
from reidpipe.live.entry import Entry
from reidpipe.live.roster import Roster


@pytest.fixture
def page(repo_root: Path) -> str:
    return (repo_root / "docs" / "live.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_docs_options_and_settings_exist(page: str) -> None:
    help_text = "".join(
        CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "300"}).output for command in ("run", "find")
    )
    known = set(re.findall(r"--[a-z][a-z-]+", help_text))
    # Of curl, docker, pip, useradd, systemctl, and of what lies in tools/.
    others = {"--data-binary", "--no-cache-dir", "--create-home", "--frames", "--threads", "--minutes", "--settle"}
    others |= {
        "--no-reviews",
        "--calls",
        "--warm-up",
        "--busy",
        "--nice",
        "--system",
        "--home-dir",
        "--now",
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - others <= known
    fields = set(Config.load().live.__class__.model_fields)
    assert set(re.findall(r"live\.([a-z_]+)", page)) - {"run_live", "md"} <= fields


def test_docs_cameras_file_is_one(page: str, tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(blocks(page, "yaml")[0])
    roster = Roster(file)
    lobby = Entry("rtsp://10.0.0.8/stream", paused=True, priority=2.0)
    assert roster.entries == {"gate": Entry("rtsp://10.0.0.7/stream"), "lobby": lobby}


def test_docs_docker_image_has_all_that_is_built_and_served(page: str, repo_root: Path) -> None:
    dockerfile = blocks(page, "dockerfile")[0]
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())
    lines = re.findall(r"^COPY (.*) /src/\S*$", dockerfile, flags=re.MULTILINE)
    copied = {word for line in lines for word in line.split()}
    built = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    meta = {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml"}
    assert copied == {*built["packages"], *built["force-include"], *meta}
    assert all((repo_root / name).exists() for name in copied)
    (version,) = re.findall(r"^FROM python:(\S+)-slim$", dockerfile, flags=re.MULTILINE)
    assert f"Programming Language :: Python :: {version}" in project["project"]["classifiers"]
    (command,) = re.findall(r"^docker run .*?(?=```)", page, flags=re.MULTILINE | re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    (image,) = re.findall(r"docker build -t (\S+) ", dockerfile)
    port = words[words.index("--serve") + 1].rpartition(":")[2]
    assert words[words.index(image) + 1] == "run"
    assert words[words.index("-p") + 1] == f"{port}:{port}"
    assert f"EXPOSE {port}" in dockerfile
    assert f"WORKDIR {words[words.index('-v') + 1].partition(':')[2]}" in dockerfile


def test_docs_service_is_taken_by_systemd(page: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    unit = blocks(page, "ini")[0]
    (command,) = re.findall(r"ExecStart=(.*?)\nRestart", unit, flags=re.DOTALL)
    words = shlex.split(command.replace("\\\n", " "))
    assert words[1] == "run"
    file = tmp_path / "reidpipe.service"
    file.write_text(unit.replace(words[0], "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in done.stderr.splitlines() if "reidpipe" in line]
    assert said == []
