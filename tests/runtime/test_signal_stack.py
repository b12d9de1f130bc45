"""Ctrl-C after OpenVINO was used and dropped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc, signal, sys
from reidpipe.runtime.session import open_session
session = open_session(sys.argv[1], backend="openvino")
del session
gc.collect()
signal.signal(signal.SIGINT, lambda number, frame: print("noted"))
signal.raise_signal(signal.SIGINT)
"""


def test_signal_stack_of_openvino_does_not_outlive_it(repo_root: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    model = repo_root / "weights" / "osnet_x0_25_reidpipe.onnx"
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(model)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "noted\n")
