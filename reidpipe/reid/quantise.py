"""INT8 and OpenVINO twins of an exported embedder, each behind the same kind of gate as the fp32 file."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, MissingExtraError, WeightsError

INT8_COSINE = 0.99
OPENVINO_COSINE = 0.9999
KEPT_FLOAT = (
    "gate",
)  # parts of node names that stay float: a gate sees one value per channel, INT8 gains nothing there


@dataclass(frozen=True, slots=True)
class TwinReport:
    """What was written and how near it is to the fp32 file.

    Attributes:
        path: The file.
        size_bytes: Of the file, for OpenVINO of the `.bin` with the weights.
        lowest_cosine: Lowest cosine to fp32 over the test inputs.
        mean_cosine: Mean of the same.
    """

    path: Path
    size_bytes: int
    lowest_cosine: float
    mean_cosine: float


def quantise_onnx(
    source: Path,
    output: Path,
    calibration: NDArray[np.float32],
    *,
    test: NDArray[np.float32] | None = None,
    batch: int = 16,
) -> TwinReport:
    """Make a static INT8 file (QDQ, weights per channel) and keep it only if it agrees with fp32.

    Args:
        source: The fp32 ONNX file from :func:`reidpipe.reid.export.export_onnx`.
        output: The `.onnx` file to write; the metadata of `source` is kept.
        calibration: Prepared images `(N, 3, H, W)` of real people, a few hundred, not those that are evaluated.
        test: Prepared images to compare on; None = the last quarter of `calibration`, which is then not calibrated on.
        batch: Images in one run.

    Raises:
        ConfigError: Too few calibration images.
        WeightsError: The mean cosine to fp32 is below 0.99; the file is not kept.
        MissingExtraError: `onnx` is not installed.
    """
    if len(calibration) < 8:
        raise ConfigError(f"calibration needs at least 8 images, got {len(calibration)}: a few hundred are good")
    if test is None:
        split = len(calibration) * 3 // 4
        calibration, test = calibration[:split], calibration[split:]
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f"{output.stem}.{os.getpid()}.part.onnx")
    try:
        _quantise(source, unfinished, calibration, batch)
        _copy_metadata(source, unfinished)
        cosines = row_cosines(_run_onnx(source, test, batch), _run_onnx(unfinished, test, batch))
        if cosines.mean() < INT8_COSINE:
            raise WeightsError(
                f"INT8 of {source.name} refused: mean cosine {cosines.mean():.4f}, {INT8_COSINE} is needed"
            )
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    return TwinReport(output, output.stat().st_size, float(cosines.min()), float(cosines.mean()))


def export_openvino(source: Path, output: Path, *, half: bool = False) -> TwinReport:
    """Turn an ONNX file into an OpenVINO IR (`.xml` and `.bin`), computed and compared in fp32.

    Args:
        source: The fp32 ONNX file.
        output: The `.xml` file to write.
        half: Store the weights as float16.

    Raises:
        MissingExtraError: openvino is not installed.
        WeightsError: The cosine to the ONNX file is below 0.9999; the files are not kept.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", extra="openvino", why="export to OpenVINO") from error
    model = openvino.convert_model(str(source))
    for key, value in _metadata(source).items():
        model.set_rt_info(value, ["reidpipe", key])
    output.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, str(output), compress_to_fp16=half)
    shape = [16, 3, *(dimension.get_length() for dimension in model.input(0).partial_shape[2:])]
    test = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    compiled = openvino.Core().compile_model(str(output), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = np.asarray(next(iter(compiled([test]).values())))
    cosines = row_cosines(_run_onnx(source, test, 16), got)
    if cosines.min() < OPENVINO_COSINE:
        for file in (output, output.with_suffix(".bin")):
            file.unlink(missing_ok=True)
        raise WeightsError(
            f"OpenVINO of {source.name} refused: cosine {cosines.min():.5f}, {OPENVINO_COSINE} is needed"
        )
    size = output.with_suffix(".bin").stat().st_size
    return TwinReport(output, size, float(cosines.min()), float(cosines.mean()))


def row_cosines(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of each row of `one` with the same row of `two`, `(N,)`."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return np.asarray((one * two).sum(axis=1) / np.maximum(norms, 1e-12), dtype=np.float32)


class _Batches:
    """Feeds the calibrator; has the one method that it asks for."""

    def __init__(self, name: str, images: NDArray[np.float32], batch: int) -> None:
        parts: Sequence[NDArray[np.float32]] = np.array_split(images, max(len(images) // batch, 1))
        self._feeds: Iterator[dict[str, Any]] = iter([{name: part} for part in parts])

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, None at the end."""
        return next(self._feeds, None)


def _quantise(source: Path, target: Path, calibration: NDArray[np.float32], batch: int) -> None:
    try:
        import onnx
        from onnxruntime import quantization as q
    except ImportError as error:
        raise MissingExtraError("onnx", extra="export", why="INT8 export") from error
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"  # batch norms folded, shapes known
        q.shape_inference.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        nodes = onnx.load(str(prepared)).graph.node
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # the quantiser warns through the root logger about every skipped node
        try:
            q.quantize_static(
                str(prepared),
                str(target),
                _Batches("images", calibration, batch),
                quant_format=q.QuantFormat.QDQ,
                per_channel=True,
                activation_type=q.QuantType.QUInt8,
                weight_type=q.QuantType.QInt8,
                op_types_to_quantize=["Conv", "Gemm", "MaxPool", "Add", "Mul", "AveragePool"],
                nodes_to_exclude=[node.name for node in nodes if any(part in node.name for part in KEPT_FLOAT)],
            )
        finally:
            root.setLevel(level)


def _copy_metadata(source: Path, target: Path) -> None:
    import onnx

    content = onnx.load(str(target))
    onnx.helper.set_model_props(content, {**_metadata(source), "precision": "int8"})
    onnx.save(content, str(target))


def _metadata(path: Path) -> dict[str, str]:
    import onnx

    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


def _run_onnx(path: Path, images: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    parts = np.array_split(images, max(len(images) // batch, 1))
    return np.concatenate([np.asarray(session.run(None, {"images": part})[0]) for part in parts])
