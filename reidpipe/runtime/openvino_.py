"""OpenVINO: IR files, and ONNX when it is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime.session import TensorSpec, first_line
from reidpipe.runtime.signal_stack import same_signal_stack

__all__ = ["OpenvinoSession", "open_openvino"]


class OpenvinoSession:
    """A net run by OpenVINO. Made by ``open_session``."""

    backend = "openvino"

    def __init__(self, compiled: Any, metadata: Mapping[str, str], *, runs: int = 1) -> None:
        self._requests: SimpleQueue[Any] = SimpleQueue()  # the idle ones: a request serves one run at a time
        for _ in range(runs):
            self._requests.put(compiled.create_infer_request())
        self.inputs = tuple(_spec(port, f"input{i}") for i, port in enumerate(compiled.inputs))
        self.outputs = tuple(_spec(port, f"output{i}") for i, port in enumerate(compiled.outputs))
        self.metadata = metadata

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """One array for each input -> one array for each output."""
        feed = {i: array for i, (_, array) in enumerate(zip(self.inputs, arrays, strict=True))}
        request = self._requests.get()
        try:
            results = request.infer(feed, share_inputs=True, share_outputs=False)
            return [np.asarray(results[i]) for i in range(len(self.outputs))]
        finally:
            self._requests.put(request)


@same_signal_stack()
def open_openvino(path: Path, *, threads: int, device: str, precision: str, runs: int = 1) -> OpenvinoSession:
    """Load an IR or ONNX file; see ``open_session`` for the arguments.

    Args:
        path: the file.
        threads: for one run.
        device: where it runs.
        precision: in what it computes.
        runs: how many may go on at the same time; more of them wait.
    """
    import openvino as ov

    core = ov.Core()
    try:
        model = core.read_model(path)
    except Exception as error:  # OpenVINO raises plain RuntimeError
        raise WeightsError(f"{path}: truncated, or not a model OpenVINO can read ({first_line(error)})") from error
    name = "CPU" if device.lower() == "cpu" else device.upper()
    if name.partition(":")[0].partition(".")[0] not in {known.partition(".")[0] for known in core.available_devices}:
        raise ConfigError(f"OpenVINO finds no device {device!r} here: one of {', '.join(core.available_devices)}")
    # Without the hint a CPU with bf16 units computes in bf16 and says nothing.
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if name == "CPU":
        settings |= {"INFERENCE_NUM_THREADS": threads * runs, "NUM_STREAMS": runs, "ENABLE_CPU_PINNING": False}
    try:
        compiled = core.compile_model(model, name, settings)
    except Exception as error:
        raise WeightsError(f"{path}: OpenVINO cannot compile it for {name} ({first_line(error)})") from error
    return OpenvinoSession(compiled, _metadata(model, path), runs=runs)


def _spec(port: Any, name: str) -> TensorSpec:
    names = sorted(port.get_names())
    shape = tuple(axis.get_length() if axis.is_static else None for axis in port.get_partial_shape())
    return TensorSpec(names[0] if names else name, shape, np.dtype(port.get_element_type().to_dtype()))


def _metadata(model: Any, path: Path) -> dict[str, str]:
    """Facts from the model itself, then from a ``metadata.yaml`` beside it (as exporters write one)."""
    if path.suffix.lower() == ".onnx":
        return _onnx_metadata(path)
    facts: dict[str, str] = {}
    for key in ("model_info", "framework", "reidpipe"):
        if model.has_rt_info([key]):
            facts |= {name: str(value.astype(str)) for name, value in model.get_rt_info([key]).astype(dict).items()}
    beside = path.with_name("metadata.yaml")
    if beside.is_file():
        try:
            loaded = yaml.safe_load(beside.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise WeightsError(f"{beside}: not valid YAML ({first_line(error)})") from error
        if isinstance(loaded, dict):
            facts |= {str(key): str(value) for key, value in loaded.items()}
    return facts


def _onnx_metadata(path: Path) -> dict[str, str]:
    """OpenVINO drops an ONNX file's metadata; onnxruntime (always installed) reads it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)
