"""The INT8 twin of an ONNX detector: static QDQ (8 bits, per channel), calibrated on training pictures.

The first layer and the detection head stay in float32: with the head in 8 bits the scores fall into a few steps and
half of AP50 is lost (70 to 32 on the sequences, measured on the first shipped ``person_n``); the rest loses nothing.
"""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .geometry import letterbox, to_blob

KINDS = ("Conv", "Mul", "Sigmoid", "Concat", "MaxPool", "Resize", "Add", "Split")


class TrainingPictures:
    """Calibration batches: a fixed random choice of training pictures, letterboxed to the default input."""

    def __init__(self, paths: list[str], size: tuple[int, int]) -> None:
        self.paths = iter(paths)
        self.size = size

    def get_next(self) -> dict[str, Any] | None:
        """The next batch of one, or None at the end (onnxruntime's protocol)."""
        path = next(self.paths, None)
        if path is None:
            return None
        image = np.asarray(cv2.imread(path), dtype=np.uint8)
        return {"images": to_blob([letterbox(image, *self.size)[0]])}


def float_nodes(model: Any) -> list[str]:
    """Nodes that stay in float: those of the first and of the last module, and what follows it.

    Ultralytics names the nodes after the modules: ``/model.0/conv/Conv`` ... ``/model.22/cv3.2/...``.
    """
    found = [re.match(r"/model\.(\d+)/", node.name) for node in model.graph.node]
    last = max(int(match[1]) for match in found if match)
    return [
        node.name
        for node, match in zip(model.graph.node, found, strict=True)
        if node.name and (match is None or int(match[1]) in (0, last))
    ]


def quantize(model_path: Path, output: Path, pictures: Path, *, count: int = 96, kinds: tuple[str, ...] = KINDS) -> str:
    """Write the INT8 twin; returns a line that says what was written.

    Args:
        model_path: the float32 file.
        output: the file to write.
        pictures: list of training pictures (``runs/detector/data/train.txt``).
        count: how many of them to calibrate on.
        kinds: operators that become 8-bit.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    model = onnx.load(model_path)
    facts = {item.key: item.value for item in model.metadata_props}
    size = ast.literal_eval(facts["input_size"])
    paths = random.Random(0).sample(pictures.read_text().split(), count)
    quantize_static(
        str(model_path), str(output), TrainingPictures(paths, size), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=list(kinds),
        calibrate_method=CalibrationMethod.MinMax, nodes_to_exclude=float_nodes(model),
    )  # fmt: skip
    twin = onnx.load(output)
    del twin.metadata_props[:]
    for key, value in facts.items():
        twin.metadata_props.add(key=key, value=value)
    onnx.save(twin, output)
    return f"{output}: {output.stat().st_size / 1e6:.2f} MB"
