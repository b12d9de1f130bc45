"""TFLite: what phones and small boards run; here its interpreter, without TensorFlow."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, MissingExtraError, WeightsError
from reidpipe.runtime.session import TensorSpec, first_line

__all__ = ["TfliteSession", "open_tflite"]

_METADATA = "reidpipe"  # the entry that `reidpipe export` writes, JSON


class TfliteSession:
    """A net run by the TFLite interpreter. Made by ``open_session``.

    A picture input that is channels-last in the file is channels-first here, as with every other engine.
    """

    backend = "tflite"

    def __init__(self, interpreter: Any, metadata: Mapping[str, str]) -> None:
        self._interpreter = interpreter
        self._lock = threading.Lock()  # the interpreter keeps the arrays of one run
        self._given = interpreter.get_input_details()
        self._results = interpreter.get_output_details()
        self._last = [_channels_last(entry["shape"]) for entry in self._given]
        pairs = zip(self._given, self._last, strict=True)
        self.inputs = tuple(_spec(entry, channels_last=last) for entry, last in pairs)
        self.outputs = tuple(_spec(entry, channels_last=False) for entry in self._results)
        self.metadata = metadata

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """One array for each input -> one array for each output."""
        with self._lock:
            for entry, last, array in zip(self._given, self._last, arrays, strict=True):
                given = np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if last else array
                self._resize(entry, given.shape)
                self._interpreter.set_tensor(entry["index"], given)
            self._interpreter.invoke()
            return [np.asarray(self._interpreter.get_tensor(entry["index"])) for entry in self._results]

    def _resize(self, entry: dict[str, Any], shape: tuple[int, ...]) -> None:
        if tuple(entry["shape"]) != shape:
            self._interpreter.resize_tensor_input(entry["index"], shape)
            self._interpreter.allocate_tensors()
            entry["shape"] = np.array(shape)


def open_tflite(path: Path, *, threads: int, device: str, precision: str) -> TfliteSession:
    """Load a TFLite file; see ``open_session`` for the arguments.

    Raises:
        MissingExtraError: ``ai-edge-litert`` is not installed.
        WeightsError: truncated, or not a TFLite file.
    """
    del precision  # the file says itself in what it computes
    if device.lower() != "cpu":
        raise ConfigError(f"the backend tflite runs on cpu here, not on {device!r}")
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("ai-edge-litert", extra="tflite", why="the backend tflite") from error
    try:
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: truncated, or not a TFLite model ({first_line(error)})") from error
    return TfliteSession(interpreter, _metadata(path))


def _channels_last(shape: NDArray[Any]) -> bool:
    return len(shape) == 4 and shape[3] == 3 and shape[1] != 3


def _spec(entry: Mapping[str, Any], *, channels_last: bool) -> TensorSpec:
    sizes = [int(size) if size > 0 else None for size in entry["shape_signature"]]
    if channels_last:
        sizes = [sizes[0], sizes[3], sizes[1], sizes[2]]
    return TensorSpec(entry["name"], tuple(sizes), np.dtype(entry["dtype"]))


def _metadata(path: Path) -> dict[str, str]:
    """Our facts, none in files of others."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes())
    for place in range(model.MetadataLength()):
        entry = model.Metadata(place)
        if entry.Name() == _METADATA.encode():
            content = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            return {str(key): str(value) for key, value in json.loads(content).items()}
    return {}
