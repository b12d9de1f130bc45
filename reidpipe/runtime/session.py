"""What every inference engine looks like here, and the one function that opens a model file with one of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, MissingExtraError, WeightsError

__all__ = ["BACKENDS", "Session", "TensorSpec", "first_line", "open_session"]

BACKENDS: dict[str, str] = {
    "onnxruntime": "reidpipe.runtime.onnxruntime_:open_onnxruntime",
    "openvino": "reidpipe.runtime.openvino_:open_openvino",
    "tflite": "reidpipe.runtime.tflite_:open_tflite",
    "torch": "reidpipe.runtime.torch_:open_torch",
}
"""Engine -> ``module:function``. A module is imported only when its engine is chosen."""

PRECISIONS = ("f32", "bf16", "f16")

_SUFFIX_BACKEND = {
    ".onnx": "onnxruntime",
    ".ort": "onnxruntime",
    ".tflite": "tflite",
    ".xml": "openvino",
    ".pt": "torch",
    ".pth": "torch",
    ".tar": "torch",
}
_SIDE_BY_SIDE = frozenset({"onnxruntime", "openvino"})  # whose openers take `runs`
_MIN_MODEL_BYTES = 16


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a net.

    Attributes:
        name: as the model calls it.
        shape: one entry per axis; None where the size is free.
        dtype: of the array that goes in or comes out.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class Session(Protocol):
    """A loaded net. Keeps no state between runs; may be called from several threads."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the net takes, in the order of ``run``."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What the net gives, in the order of the result of ``run``."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Facts stored in the model file, key -> text."""
        ...

    @property
    def backend(self) -> str:
        """Name of the engine, a key of ``BACKENDS``."""
        ...

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """One array for each input (its dtype and shape exactly) -> one fresh array for each output."""
        ...


def open_session(
    path: str | Path,
    *,
    backend: str = "auto",
    threads: int = 2,
    device: str = "cpu",
    precision: str = "f32",
    split: bool = False,
) -> Session:
    """Load a model file.

    Args:
        path: an ``.onnx`` file, an OpenVINO ``.xml`` (its ``.bin`` beside it), a folder that holds exactly one of
            these, a ``.tflite`` file, or a torch ``.pt``/``.pth`` (TorchScript).
        backend: ``onnxruntime``, ``openvino``, ``tflite``, ``torch``, or ``auto``: by the file (ONNX goes to
            onnxruntime).
        threads: threads for one run, at least 1. Decoding and encoding share the cores, so this is never left to
            chance.
        device: ``cpu``, ``cuda`` (``cuda:1``), ``mps`` with torch, ``gpu``/``npu`` with OpenVINO.
        precision: ``f32``; ``bf16`` or ``f16`` allow OpenVINO to compute in less (faster where the CPU has it, cosine
            to f32 about 0.998), never by itself.
        split: give each thread rows of its own instead of a part of every operator
            (:class:`reidpipe.runtime.split.SplitSession`): faster for batches of many small pictures. Only onnxruntime
            and OpenVINO on a CPU can, with a batch that is free; all others run a batch whole.

    Raises:
        WeightsError: missing, truncated, or not a model of this kind.
        MissingExtraError: the engine is not installed.
        ConfigError: an argument is out of range or does not fit the file.
    """
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    if precision not in PRECISIONS:
        raise ConfigError(f"no such precision {precision!r}: one of {', '.join(PRECISIONS)}")
    file = _model_file(Path(path))
    engine = _choose(backend, file)
    if precision != "f32" and engine != "openvino":
        raise ConfigError(
            f"precision {precision} is for the backend openvino; {engine} computes in what the file holds"
        )
    module, _, function = BACKENDS[engine].partition(":")
    opener = getattr(importlib.import_module(module), function)
    try:
        session: Session = opener(file, threads=threads, device=device, precision=precision)
        if split and threads > 1 and engine in _SIDE_BY_SIDE and device.lower() == "cpu":
            session = _split(session, partial(opener, file, device=device, precision=precision), threads)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != engine:
            raise
        raise MissingExtraError(engine, extra=engine, why=f"the backend {engine}") from error
    return session


def _split(whole: Session, open_single: Callable[..., Session], threads: int) -> Session:
    from reidpipe.runtime.split import SplitSession, can_split

    if not can_split(whole.inputs, whole.outputs):
        return whole
    return SplitSession(whole, open_single(threads=1, runs=threads), threads=threads)


def first_line(error: BaseException) -> str:
    """The first line of what a library said, without trailing noise: for one-line messages."""
    lines = str(error).strip().splitlines()
    return lines[0].strip()[:200] if lines else type(error).__name__


def _model_file(path: Path) -> Path:
    if path.is_dir():
        found = sorted([file for kind in ("*.onnx", "*.xml", "*.tflite") for file in path.rglob(kind)])
        if len(found) != 1:
            raise WeightsError(f"{path}: a folder with {len(found)} model files; give the .onnx or .xml itself")
        path = found[0]
    if not path.is_file():
        raise WeightsError(f"{path}: no such model file")
    with path.open("rb") as stream:
        head = stream.read(64)
    if len(head) < _MIN_MODEL_BYTES:
        raise WeightsError(f"{path}: empty or truncated ({len(head)} bytes); copy or fetch it again")
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path}: a Git LFS pointer, not the model; run `git lfs pull` where it came from")
    return path


def _choose(backend: str, file: Path) -> str:
    suffix = file.suffix.lower()
    if backend == "auto":
        if suffix not in _SUFFIX_BACKEND:
            raise WeightsError(f"{file}: not a model file; known are {', '.join(sorted(_SUFFIX_BACKEND))}")
        return _SUFFIX_BACKEND[suffix]
    if backend not in BACKENDS:
        raise ConfigError(f"no such backend {backend!r}: one of auto, {', '.join(sorted(BACKENDS))}")
    native = _SUFFIX_BACKEND.get(suffix, backend)
    reads_onnx = backend == "openvino" and suffix == ".onnx"
    if native != backend and not reads_onnx:
        raise ConfigError(f"{file}: the backend {backend} cannot read {suffix} files; use {native} or auto")
    return backend
