"""Models trained on real people must work on the drawn ones."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tool(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_synth", repo_root / "tools" / "check_synth.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("tools/check_synth.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_synth"] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


@pytest.mark.real
def test_samples_people_are_found_and_told_apart_by_models_of_real_people(
    tool: ModuleType, repo_root: Path, shared_data: Path
) -> None:
    detector = tool.session(shared_data / "weights" / "yolov5n_coco_fp16.onnx")
    embedder = tool.session(shared_data / "weights" / "osnet_x0_25_msmt17_combineall.onnx")
    result = tool.measure(tool.from_samples(repo_root / "samples", 20), detector, embedder, 0.25, None)
    assert result["people visible > 0.7"] > 80
    assert result["recall"] >= 0.90
    assert result["false alarms a picture"] < 0.2
    assert result["rank-1 per crop"] >= 0.90
    assert result["rank-1 per person and camera mean"] >= 0.90
