"""Stages from a configuration."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.build import build_embedder
from reidpipe.config import Config
from reidpipe.errors import ConfigError


def test_build_embedder_computes_in_less_only_when_it_is_asked_for() -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    boxes = np.array([[10, 10, 60, 150], [100, 20, 170, 190]], np.float32)
    full = build_embedder(Config.load(None, overrides=["runtime.threads=1"]))
    half = build_embedder(Config.load(None, overrides=["runtime.threads=1", "embed.precision=bf16"]))
    cosines = (full.embed([image], [boxes])[0] * half.embed([image], [boxes])[0]).sum(axis=1)
    assert cosines.min() > 0.99


def test_build_embedder_of_less_precision_needs_openvino() -> None:
    config = Config.load(None, overrides=["runtime.backend=onnxruntime", "embed.precision=bf16"])
    with pytest.raises(ConfigError, match="precision bf16 is for the backend openvino"):
        build_embedder(config)
