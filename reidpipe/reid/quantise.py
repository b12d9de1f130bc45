"""The INT8 twin of an exported ONNX file: static, QDQ, weights per channel."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import MissingExtraError

KEPT_FLOAT = (
    "gate",
)  # parts of node names that stay float: a gate sees one value per channel, INT8 gains nothing there


def quantise_onnx(
    source: Path,
    output: Path,
    calibration: NDArray[np.float32],
    facts: Mapping[str, str],
    *,
    float_blocks: Sequence[str] = (),
    batch: int = 16,
) -> None:
    """Write the INT8 twin; nothing is compared.

    Args:
        source: The fp32 ONNX file.
        output: The `.onnx` file to write.
        calibration: Prepared images `(N, 3, H, W)` of real people that set the ranges.
        facts: For its metadata.
        float_blocks: Blocks that stay float, `conv2.0` to `conv4.1`.
        batch: Images in one run.

    Raises:
        MissingExtraError: `onnx` is not installed.
    """
    try:
        import onnx
        from onnxruntime import quantization as q
    except ImportError as error:
        raise MissingExtraError("onnx", extra="export", why="INT8 export") from error
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"  # batch norms folded, shapes known
        q.shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        nodes = onnx.load(str(prepared)).graph.node
        kept = (*KEPT_FLOAT, *(f"/{block}/" for block in float_blocks))
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # the quantiser warns through the root logger about every skipped node
        try:
            q.quantize_static(
                str(prepared),
                str(output),
                _Batches("images", calibration, batch),
                quant_format=q.QuantFormat.QDQ,
                per_channel=True,
                activation_type=q.QuantType.QUInt8,
                weight_type=q.QuantType.QInt8,
                # with Relu, so that the range of a convolution is the one after its ReLU
                op_types_to_quantize=["Conv", "Relu", "Gemm", "MaxPool", "Add", "Mul", "AveragePool"],
                nodes_to_exclude=[node.name for node in nodes if any(part in node.name for part in kept)],
            )
        finally:
            root.setLevel(level)
    content = onnx.load(str(output))
    onnx.helper.set_model_props(content, dict(facts))
    onnx.save(content, str(output))


class _Batches:
    """Feeds the calibrator; has the one method that it asks for."""

    def __init__(self, name: str, images: NDArray[np.float32], batch: int) -> None:
        parts: Sequence[NDArray[np.float32]] = np.array_split(images, max(len(images) // batch, 1))
        self._feeds: Iterator[dict[str, Any]] = iter([{name: part} for part in parts])

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, None at the end."""
        return next(self._feeds, None)
