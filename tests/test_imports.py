"""Who may import what (DESIGN section 2), and what the command line may not load for --help."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

STAGES = ("source", "detect", "embed", "track", "pool", "associate", "sinks")
SHARED = {"types", "boxes", "errors", "stages", "runtime", "weights", "download"}
TORCH = ("reid/", "runtime/torch", "detect/ultralytics")
HEAVY = ("cv2", "onnxruntime", "supervision", "torch", "av", "scipy", "numpy")


def modules(root: Path) -> list[Path]:
    return sorted((root / "reidpipe").rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_imports_a_stage_knows_the_shared_core_and_itself_only(repo_root: Path) -> None:
    bad = []
    for path in modules(repo_root):
        parts = path.relative_to(repo_root / "reidpipe").parts
        if parts[0] not in STAGES:
            continue
        for name in imported(path):
            package, _, rest = name.partition(".")
            if package == "reidpipe" and rest.split(".")[0] not in {*SHARED, parts[0]}:
                bad.append(f"{'/'.join(parts)} imports {name}")
    assert not bad


def test_imports_torch_stays_in_its_rooms(repo_root: Path) -> None:
    bad = []
    for path in modules(repo_root):
        name = path.relative_to(repo_root / "reidpipe").as_posix()
        if not name.startswith(TORCH):
            bad += [f"{name} imports {module}" for module in imported(path) if module.split(".")[0] in TORCH_PACKAGES]
    assert not bad


TORCH_PACKAGES = {"torch", "torchvision", "ultralytics"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["evaluate", "--help"], ["--version"]])
def test_imports_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, contextlib, io\n"
        "from reidpipe.cli import main\n"
        f"sys.argv = ['reidpipe', *{arguments!r}]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_public_names_are_there_and_sorted() -> None:
    import reidpipe

    assert reidpipe.__all__ == sorted(reidpipe.__all__)
    for name in reidpipe.__all__:
        assert getattr(reidpipe, name) is not None


def test_imports_no_file_and_no_function_is_too_long(repo_root: Path) -> None:
    long = []
    for path in modules(repo_root):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(repo_root).as_posix()
        if len(text.splitlines()) > 400:
            long.append(f"{name}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > 60:
                long.append(f"{name}: {node.name} has {length} lines")
    assert not long
