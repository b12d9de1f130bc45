"""TFLite from an exported ONNX file, in float32 or calibrated INT8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.reid.tflite_file import tflite_bytes
from reidpipe.reid.tflite_graph import optimised, read_graph


def write_tflite(
    source: Path,
    output: Path,
    facts: Mapping[str, str],
    *,
    calibration: NDArray[np.float32] | None = None,
    float_blocks: Sequence[str] = (),
) -> None:
    """Write the TFLite twin of a float32 ONNX file.

    Args:
        source: What `reidpipe export` wrote.
        output: The `.tflite` file.
        facts: For its metadata.
        calibration: Prepared images `(N, 3, H, W)` of real people: makes the file INT8. None = float32.
        float_blocks: Blocks that stay float32 all the same, `conv2.0` to `conv4.1`.

    Raises:
        WeightsError: An operator that no OSNet has.
        MissingExtraError: `ai-edge-litert` is not installed.
    """
    model = optimised(source)
    graph = read_graph(model)
    kept = tuple(f"/{block}/" for block in float_blocks)
    graph.steps = [replace(step, exact=step.exact or any(part in step.output for part in kept)) for step in graph.steps]
    ranges = None
    if calibration is not None:
        ranges = tensor_ranges(model, calibration)
        ranges[graph.input] = float(calibration.min()), float(calibration.max())
    output.write_bytes(tflite_bytes(graph, facts, ranges=ranges))


def tensor_ranges(model: Any, images: NDArray[np.float32], *, batch: int = 8) -> dict[str, tuple[float, float]]:
    """Least and largest value of every tensor of an ONNX model over some images `(N, 3, H, W)`."""
    import onnx
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {entry.name for entry in watched.graph.output}
    names = [name for node in watched.graph.node for name in node.output if name not in given]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: dict[str, tuple[float, float]] = {}
    for start in range(0, len(images), batch):
        values = session.run(None, {session.get_inputs()[0].name: images[start : start + batch]})
        for node, value in zip(session.get_outputs(), values, strict=True):
            low, high = found.get(node.name, (np.inf, -np.inf))
            found[node.name] = min(low, float(value.min())), max(high, float(value.max()))
    return found
