from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from reidpipe.errors import ConfigError, MissingExtraError, WeightsError
from reidpipe.runtime import open_session

pytest.importorskip("ai_edge_litert", reason="the extra tflite is not installed")

from reidpipe.reid.tflite_file import tflite_bytes
from reidpipe.reid.tflite_graph import Graph, Step


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The mean of each channel."""
    axes, shape = np.array([1, 2], np.int32), np.array([-1, 3], np.int32)
    steps = [Step("mean", ("x", "axes"), "m"), Step("reshape", ("m", "shape"), "y")]
    shapes = {"x": (16, 8, 3), "m": (1, 1, 3), "y": (3,)}
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_bytes(Graph("x", "y", steps, {"axes": axes, "shape": shape}, shapes), {"dim": "3"}))
    return path


def test_tflite_session_takes_channels_first_and_any_batch(net: Path) -> None:
    session = open_session(net)
    assert session.backend == "tflite"
    assert (session.inputs[0].name, session.inputs[0].shape) == ("images", (None, 3, 16, 8))
    assert (session.outputs[0].name, session.outputs[0].shape) == ("embeddings", (None, 3))
    assert session.metadata == {"dim": "3"}
    for batch in (1, 5, 2):
        values = np.random.default_rng(batch).random((batch, 3, 16, 8), dtype=np.float32)
        np.testing.assert_allclose(session.run(values)[0], values.mean(axis=(2, 3)), atol=1e-6)


def test_tflite_results_are_not_overwritten_by_the_next_run(net: Path) -> None:
    session = open_session(net)
    first = session.run(np.ones((1, 3, 16, 8), np.float32))[0]
    session.run(np.full((1, 3, 16, 8), 7, np.float32))
    np.testing.assert_allclose(first, np.ones((1, 3)), atol=1e-6)


def test_tflite_session_may_be_called_from_several_threads(net: Path) -> None:
    session = open_session(net)

    def right(value: int) -> bool:
        given = np.full((1 + value % 3, 3, 16, 8), value, np.float32)
        return bool(np.allclose(session.run(given)[0], value))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(60)))


def test_tflite_bad_files_devices_and_engines_are_one_line(net: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs on cpu"):
        open_session(net, device="cuda")
    with pytest.raises(ConfigError, match=r"cannot read \.tflite files; use tflite"):
        open_session(net, backend="onnxruntime")
    net.write_bytes(b"not a model at all, but long enough")
    with pytest.raises(WeightsError, match=r"net\.tflite: truncated, or not a TFLite model"):
        open_session(net)


def test_tflite_without_the_extra_says_what_to_install(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"reidpipe\[tflite\]"):
        open_session(net)
