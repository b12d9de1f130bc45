"""A teacher's embeddings of every training crop, computed once: the facts that distillation learns from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.errors import MissingExtraError, WeightsError
from reidpipe.runtime.signal_stack import same_signal_stack
from reidpipe.types import Image, Vectors


def teacher_embeddings(
    crops: Image,
    model_file: Path,
    cache_file: Path,
    *,
    batch: int = 32,
    threads: int = 2,
    on_progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Embed crops with an OpenVINO model that takes BGR 0..255 (person-reidentification-retail-0277).

    The result is kept in `cache_file`.

    Args:
        crops: uint8 `(N, H, W, 3)` BGR; resized to the model's input by bilinear interpolation.
        model_file: The `.xml` of the model.
        cache_file: `.npy` that holds the result; used as it is where it has `N` rows.
        batch: Crops in one call.
        threads: CPU threads.
        on_progress: Called with the number of crops done.

    Returns:
        float32 `(N, D)`, unit rows.

    Raises:
        MissingExtraError: openvino is not installed.
        WeightsError: The model file is not there.
    """
    if cache_file.is_file():
        stored: Vectors = np.load(cache_file)
        if len(stored) == len(crops):
            return stored
    network = _compile(model_file, batch=batch, threads=threads)
    rows: list[Vectors] = []
    for start in range(0, len(crops), batch):
        rows.append(_embed(network, crops[start : start + batch], batch))
        if on_progress is not None:
            on_progress(min(start + batch, len(crops)))
    vectors = np.concatenate(rows).astype(np.float32)
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cache_file.with_suffix(f".{os.getpid()}.npy")
    np.save(unfinished, vectors)
    unfinished.replace(cache_file)
    return vectors


@same_signal_stack()
def _compile(model_file: Path, *, batch: int, threads: int) -> Any:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", extra="openvino", why="the teacher model") from error
    if not model_file.is_file():
        raise WeightsError(f"teacher model {model_file} is not there: set distill.teacher to its .xml file")
    core = openvino.Core()
    model = core.read_model(model_file)
    height, width = model.input(0).partial_shape[2], model.input(0).partial_shape[3]
    model.reshape([batch, 3, height, width])
    return core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"})


def _embed(network: Any, crops: Image, batch: int) -> Vectors:
    import cv2

    height, width = (int(network.input(0).shape[axis]) for axis in (2, 3))
    images = np.zeros((batch, 3, height, width), dtype=np.float32)
    for row, crop in enumerate(crops):
        images[row] = cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    output = next(iter(network([images]).values())).reshape(batch, -1)[: len(crops)]
    return np.asarray(output / np.linalg.norm(output, axis=1, keepdims=True), dtype=np.float32)
