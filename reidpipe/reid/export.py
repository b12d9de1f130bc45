"""Torch to ONNX with the facts that an embedder needs, and the gate that compares the two before a file is kept."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from reidpipe.errors import ConfigError, MissingExtraError, WeightsError
from reidpipe.reid.checkpoint import load_weights
from reidpipe.reid.embed import MEAN_RGB, STD_RGB
from reidpipe.reid.models import OSNet, build_osnet

GATE_BATCHES = (1, 2, 7, 32)
GATE_COSINE = 0.9999
OPSET = 18


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written and how well it agrees.

    Attributes:
        path: The ONNX file.
        sha256: Of the file, hex.
        size_bytes: Of the file.
        dim: Length of an embedding.
        cosines: Lowest cosine to torch by batch size.
        largest_error: Largest absolute difference over the gate, relative to the largest value.
    """

    path: Path
    sha256: str
    size_bytes: int
    dim: int
    cosines: Mapping[int, float]
    largest_error: float


def export_checkpoint(
    architecture: str | Path, weights: Path, output: Path, *, height: int = 256, width: int = 128, licence: str = ""
) -> ExportReport:
    """Export a checkpoint by architecture name or spec file; see :func:`export_onnx`.

    Raises:
        ConfigError: Unknown architecture.
        WeightsError: The checkpoint does not fit it, or the parity gate refused the result.
    """
    model = build_osnet(architecture)
    load_weights(model, weights)
    return export_onnx(model, output, architecture=str(architecture), height=height, width=width, licence=licence)


def export_onnx(
    model: OSNet, output: Path, *, architecture: str, height: int = 256, width: int = 128, licence: str = ""
) -> ExportReport:
    """Write fp32 ONNX with a free batch, compare it with torch, and keep it only if it agrees.

    Input `images` float32 `(N, 3, height, width)` RGB, ImageNet-normalised; output `embeddings` float32 `(N, dim)`,
    not normalised. All that an embedder has to know is in the file's metadata.

    Args:
        model: The net.
        output: The `.onnx` file to write.
        architecture: Name for the metadata.
        height: Rows of the input.
        width: Columns of the input.
        licence: Licence line for the metadata.

    Raises:
        WeightsError: The ONNX file differs from torch; the file is not kept.
        MissingExtraError: `onnx` is not installed.
    """
    if height < 32 or width < 16:
        raise ConfigError(f"an input of {height}x{width} is too small: use at least 32x16")
    model = copy.deepcopy(model).cpu().float().eval()
    model.classifier = None
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f"{output.stem}.{os.getpid()}.part.onnx")
    try:
        _write_onnx(model, unfinished, height=height, width=width)
        _add_metadata(unfinished, _facts(model, architecture, height, width, licence))
        cosines, error = compare(model, unfinished, height=height, width=width)
        worst = min(cosines, key=lambda batch: cosines[batch])
        if cosines[worst] < GATE_COSINE:
            raise WeightsError(
                f"export of {output} refused: cosine {cosines[worst]:.6f} at batch {worst} is below {GATE_COSINE}"
            )
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    content = output.read_bytes()
    return ExportReport(output, hashlib.sha256(content).hexdigest(), len(content), model.spec.embedding, cosines, error)


def compare(model: nn.Module, onnx_file: Path, *, height: int, width: int) -> tuple[dict[int, float], float]:
    """Run torch and onnxruntime on the same random inputs at batch 1, 2, 7 and 32.

    Returns:
        The lowest cosine by batch size, and the largest absolute error relative to the largest value.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    cosines: dict[int, float] = {}
    error = 0.0
    for batch in GATE_BATCHES:
        images = rng.standard_normal((batch, 3, height, width)).astype(np.float32)
        with torch.no_grad():
            wanted = model(torch.from_numpy(images)).numpy()
        got = np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])
        if got.shape != wanted.shape:
            raise WeightsError(f"export refused: ONNX gives {got.shape} at batch {batch}, torch {wanted.shape}")
        norms = np.linalg.norm(got, axis=1) * np.linalg.norm(wanted, axis=1)
        cosines[batch] = float(((got * wanted).sum(axis=1) / np.maximum(norms, 1e-12)).min())
        error = max(error, float(np.abs(got - wanted).max() / np.abs(wanted).max()))
    return cosines, error


def _write_onnx(model: nn.Module, path: Path, *, height: int, width: int) -> None:
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


def _add_metadata(path: Path, facts: Mapping[str, str]) -> None:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", extra="export", why="writing ONNX metadata") from error
    content = onnx.load(str(path))
    onnx.helper.set_model_props(content, dict(facts))
    onnx.checker.check_model(content)
    onnx.save(content, str(path))
