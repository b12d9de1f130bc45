"""A checkpoint as an ONNX file: fused, dynamic batch and rectangular inputs, the facts in its metadata."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

OPSET = 17
LICENCE = "AGPL-3.0 (trained with ultralytics; training pictures have terms of their own, see the model card)"


def facts(size: tuple[int, int]) -> dict[str, str]:
    """What a reader of the file needs to know, as ONNX metadata."""
    height, width = size
    return {
        "reidpipe.kind": "detector", "head": "v8", "names": "{0: 'person'}", "task": "detect", "stride": "32",
        "input_size": f"[{height}, {width}]", "color_order": "RGB", "scale": repr(1 / 255), "license": LICENCE,
        "author": "reidpipe", "description": "reidpipe person detector, trained from scratch",
    }  # fmt: skip


def export(checkpoint: Path, output: Path, *, size: tuple[int, int]) -> str:
    """Write the EMA weights of ``checkpoint`` to ``output``; returns a line that says what was written.

    The file has one input ``images`` float32 (B, 3, H, W), RGB 0..1, H and W multiples of 32, and one output
    ``output0`` (B, 5, A): centre x, centre y, width, height in input pixels, and the score.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a stage.
        output: the ``.onnx`` file.
        size: (height, width) written into the metadata as the input to use by default.
    """
    import onnx
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.pt"  # ultralytics writes beside the checkpoint
        shutil.copyfile(checkpoint, copy)
        written = YOLO(copy).export(format="onnx", dynamic=True, opset=OPSET, simplify=True, imgsz=list(size))
        model: Any = onnx.load(written)
    del model.metadata_props[:]
    for key, value in facts(size).items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name = "reidpipe"
    onnx.checker.check_model(model)
    output.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, output)
    return f"{output}: {output.stat().st_size / 1e6:.2f} MB, opset {model.opset_import[0].version}"
