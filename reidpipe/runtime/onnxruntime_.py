"""onnxruntime: the engine that is always there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime.session import TensorSpec, first_line

__all__ = ["OnnxruntimeSession", "open_onnxruntime"]

_DTYPES = {
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}
_FATAL_ONLY = 4


class OnnxruntimeSession:
    """A net run by onnxruntime. Made by ``open_session``."""

    backend = "onnxruntime"

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs = tuple(_spec(node) for node in session.get_inputs())
        self.outputs = tuple(_spec(node) for node in session.get_outputs())
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """One array for each input -> one array for each output."""
        feed = {spec.name: array for spec, array in zip(self.inputs, arrays, strict=True)}
        results: list[NDArray[Any]] = self._session.run(None, feed)
        return results


def open_onnxruntime(path: Path, *, threads: int, device: str, precision: str, runs: int = 1) -> OnnxruntimeSession:
    """Load an ONNX file; see ``open_session`` for the arguments, ``open_openvino`` for ``runs``."""
    del precision  # an ONNX file says itself in what it computes
    del runs  # any number of threads may call a session; each run computes in its caller, with `threads` of help
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _FATAL_ONLY
    # A spinning thread holds a core between two operators; decode and encode need it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(path), options, providers=_providers(ort, device))
    except ConfigError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        raise WeightsError(f"{path}: truncated, or not an ONNX model ({first_line(error)})") from error
    return OnnxruntimeSession(session)


def _providers(ort: Any, device: str) -> list[Any]:
    kind, _, number = device.lower().partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if kind != "cuda":
        raise ConfigError(f"onnxruntime runs on cpu or cuda, not on {device!r}")
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise ConfigError("device cuda needs onnxruntime-gpu in place of onnxruntime; install it or use device cpu")
    return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]


def _spec(node: Any) -> TensorSpec:
    if node.type not in _DTYPES:
        raise WeightsError(f"{node.name}: no support for values of type {node.type}")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorSpec(node.name, shape, np.dtype(_DTYPES[node.type]))
