"""Torch to ONNX, OpenVINO and TFLite, in fp32 and INT8, with the facts that an embedder needs inside the file.

Every file goes through one gate (:mod:`reidpipe.reid.parity`) before it gets its name.
"""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reidpipe.errors import ConfigError, MissingExtraError
from reidpipe.reid.checkpoint import load_weights
from reidpipe.reid.embed import MEAN_RGB, STD_RGB
from reidpipe.reid.models import OSNet, build_osnet
from reidpipe.reid.openvino import write_openvino
from reidpipe.reid.parity import Parity, Precision, compare
from reidpipe.reid.quantise import quantise_onnx
from reidpipe.reid.spec import BLOCK_NAMES
from reidpipe.reid.tflite import write_tflite
from reidpipe.runtime import open_session

FORMATS: Mapping[str, str] = {".onnx": "ONNX", ".xml": "OpenVINO", ".tflite": "TFLite"}
OPSET = 18
LEAST_IMAGES = 8


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written and how well it agrees.

    Attributes:
        path: The file; an OpenVINO `.xml` has its `.bin` beside it.
        precision: `fp32` or `int8`.
        sha256: Of the file, hex.
        size_bytes: Of the file, with the `.bin`.
        dim: Length of an embedding.
        parity: Agreement with torch.
        float_blocks: Blocks that had to stay fp32 for INT8 to be near enough.
    """

    path: Path
    precision: Precision
    sha256: str
    size_bytes: int
    dim: int
    parity: Parity
    float_blocks: tuple[str, ...] = ()


def export_checkpoint(
    architecture: str | Path,
    weights: Path,
    output: Path,
    *,
    precision: Precision = "fp32",
    calibration: NDArray[np.float32] | None = None,
    height: int = 256,
    width: int = 128,
    licence: str = "",
) -> ExportReport:
    """Export a checkpoint by architecture name or spec file; see :func:`export_model`.

    Raises:
        ConfigError: Unknown architecture.
        WeightsError: The checkpoint does not fit it, or the parity gate refused the result.
    """
    model = build_osnet(architecture)
    load_weights(model, weights)
    return export_model(
        model,
        output,
        architecture=str(architecture),
        precision=precision,
        calibration=calibration,
        height=height,
        width=width,
        licence=licence,
    )


def export_model(
    model: OSNet,
    output: Path,
    *,
    architecture: str,
    precision: Precision = "fp32",
    calibration: NDArray[np.float32] | None = None,
    height: int = 256,
    width: int = 128,
    licence: str = "",
) -> ExportReport:
    """Write one file with a free batch, compare it with torch, and keep it only if it agrees.

    Input `images` float32 `(N, 3, height, width)` RGB, ImageNet-normalised (in a TFLite file `(N, height, width, 3)`);
    output `embeddings` float32 `(N, dim)`, not normalised. All that an embedder has to know is in the metadata.

    Args:
        model: The net.
        output: The file to write: `.onnx`, `.xml` (OpenVINO) or `.tflite`.
        architecture: Name for the metadata.
        precision: `fp32`, or `int8`: weights and most activations; gates and instance norms stay fp32, and so do the
            first blocks, as few as it takes to get through the gate (the report and the metadata name them).
        calibration: Prepared images `(N, 3, height, width)` of real people, a few hundred, not those that are
            evaluated. INT8 needs them: three quarters set the ranges, the last quarter goes through the gate. With
            fp32 they are used for the gate alone, which takes noise without them.
        height: Rows of the input.
        width: Columns of the input.
        licence: Licence line for the metadata.

    Raises:
        ConfigError: A format, size or precision that does not exist, or no images for INT8.
        WeightsError: The file differs from torch; it is not kept.
        MissingExtraError: The package for the format is not installed.
    """
    _check_request(output, precision, calibration, height, width)
    model = copy.deepcopy(model).cpu().float().eval()
    model.classifier = None
    facts = _facts(model, architecture, height, width, licence) | {"precision": precision}
    ranges, test = _split(calibration, height, width)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.stem}.") as folder:
        plan = _Plan(model, Path(folder) / output.name, facts, ranges if precision == "int8" else None)
        for float_blocks in _attempts(precision):
            made = plan.write(float_blocks)
            parity = compare(model, open_session(made[0], threads=torch.get_num_threads(), split=True), test)
            if parity.passes(precision):
                break
        parity.check(str(output), precision=precision)
        digest, size = _digest(made[0]), sum(file.stat().st_size for file in made)
        for file in reversed(made):
            file.replace(output.with_name(file.name))
    return ExportReport(output, precision, digest, size, model.spec.embedding, parity, float_blocks)


def _attempts(precision: Precision) -> Iterator[tuple[str, ...]]:
    """Which blocks stay fp32: none; and where INT8 is not near enough, one more from the input on, most of them."""
    yield ()
    if precision == "int8":
        for count in range(1, len(BLOCK_NAMES)):
            yield BLOCK_NAMES[:count]


def _check_request(
    output: Path, precision: str, calibration: NDArray[np.float32] | None, height: int, width: int
) -> None:
    if output.suffix.lower() not in FORMATS:
        known = ", ".join(f"{suffix} ({name})" for suffix, name in FORMATS.items())
        raise ConfigError(f"cannot export to {output.name}: give a file name with one of {known}")
    if precision not in ("fp32", "int8"):
        raise ConfigError(f"no such precision '{precision}': fp32 or int8")
    if height < 32 or width < 16:
        raise ConfigError(f"an input of {height}x{width} is too small: use at least 32x16")
    if calibration is None and precision == "int8":
        raise ConfigError("INT8 needs calibration images: a few hundred crops of people")
    if calibration is not None and (calibration.ndim != 4 or calibration.shape[1:] != (3, height, width)):
        raise ConfigError(f"calibration images must be (N, 3, {height}, {width}), got {calibration.shape}")
    if calibration is not None and len(calibration) < LEAST_IMAGES:
        raise ConfigError(f"calibration needs at least {LEAST_IMAGES} images, got {len(calibration)}")


def _split(
    calibration: NDArray[np.float32] | None, height: int, width: int
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Images that set the ranges, and images for the gate."""
    if calibration is None:
        return None, np.random.default_rng(0).standard_normal((32, 3, height, width)).astype(np.float32)
    border = len(calibration) * 3 // 4
    return calibration[:border], calibration[border:]


class _Plan:
    """Writes a file in its format, perhaps several times with other blocks in fp32."""

    def __init__(self, model: OSNet, path: Path, facts: Mapping[str, str], ranges: NDArray[np.float32] | None) -> None:
        self._path, self._facts, self._ranges = path, facts, ranges
        final = path.suffix == ".onnx" and ranges is None
        self._plain = path if final else path.with_name("plain.onnx")
        height, width = json.loads(facts["input_size"])
        write_onnx(model, self._plain, facts, height=height, width=width)

    def write(self, float_blocks: Sequence[str]) -> tuple[Path, ...]:
        """Write it; returns the file and what belongs to it."""
        path, facts = self._path, dict(self._facts)
        if self._ranges is not None:
            facts["float_blocks"] = json.dumps(list(float_blocks))
        if path.suffix == ".tflite":
            write_tflite(self._plain, path, facts, calibration=self._ranges, float_blocks=float_blocks)
            return (path,)
        source = self._plain
        if self._ranges is not None:
            source = path.with_suffix(".onnx")
            quantise_onnx(self._plain, source, self._ranges, facts, float_blocks=float_blocks)
        if path.suffix == ".onnx":
            return (path,)
        write_openvino(source, path, facts)
        return path, path.with_suffix(".bin")


def write_onnx(model: nn.Module, path: Path, facts: Mapping[str, str], *, height: int, width: int) -> None:
    """Write fp32 ONNX with a free batch and `facts` as its metadata; nothing is compared.

    Raises:
        MissingExtraError: `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", extra="export", why="writing ONNX metadata") from error
    example = torch.zeros(2, 3, height, width)
    with warnings.catch_warnings():
        # the TorchScript exporter is old but needs no further package; its notice is for us, not for users
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["embeddings"],
            dynamic_axes={"images": {0: "batch"}, "embeddings": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    content = onnx.load(str(path))
    onnx.helper.set_model_props(content, dict(facts))
    onnx.checker.check_model(content)
    onnx.save(content, str(path))


def _facts(model: OSNet, architecture: str, height: int, width: int, licence: str) -> dict[str, str]:
    return {
        "reidpipe.kind": "embedder",
        "architecture": architecture,
        "spec": model.spec.model_dump_json(),
        "input_size": json.dumps([height, width]),
        "input_height": str(height),
        "input_width": str(width),
        "color_order": "RGB",
        "scale": json.dumps(1 / 255),
        "mean": json.dumps(MEAN_RGB),
        "std": json.dumps(STD_RGB),
        "dim": str(model.spec.embedding),
        "licence": licence,
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
