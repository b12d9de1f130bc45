"""torch: any module, or a TorchScript file. The only module of the runtime that imports torch."""

from __future__ import annotations

import copy
import threading
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime.session import TensorSpec, first_line

__all__ = ["TorchSession", "open_torch"]


class TorchSession:
    """A net run by torch, eagerly and without gradients.

    Args:
        module: takes one tensor, gives one tensor or a sequence of them. Used in ``eval`` mode; the caller's own is
            not touched.
        shape: of the input, None for a free axis.
        threads: torch has one thread pool for the whole process; it is set around each run and put back.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        metadata: facts about the model.

    Raises:
        ConfigError: torch has no such device here.
    """

    backend = "torch"

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        shape: Sequence[int | None] = (None, 3, None, None),
        threads: int = 2,
        device: str = "cpu",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self._device = torch.device(device)
            # A scripted module comes from a file, so it is nobody else's; torch cannot copy it cleanly either.
            own = module if isinstance(module, torch.jit.ScriptModule) else copy.deepcopy(module)
            self._module = own.to(self._device).eval()
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"torch cannot use the device {device!r} here ({first_line(error)})") from error
        self._threads = threads
        self._lock = threading.Lock()
        self.inputs = (TensorSpec("input", tuple(shape), np.dtype(np.float32)),)
        self.outputs = (TensorSpec("output", (None, None), np.dtype(np.float32)),)
        self.metadata = dict(metadata or {})

    def run(self, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
        """One array for the input -> one array for each output."""
        with self._lock, torch.inference_mode():
            before = torch.get_num_threads()
            torch.set_num_threads(self._threads)
            try:
                result = self._module(*(torch.from_numpy(array).to(self._device) for array in arrays))
            finally:
                torch.set_num_threads(before)
        tensors = [result] if isinstance(result, torch.Tensor) else list(result)
        return [tensor.float().cpu().numpy() for tensor in tensors]


def open_torch(path: Path, *, threads: int, device: str, precision: str) -> TorchSession:
    """Load a TorchScript file; see ``open_session`` for the arguments.

    Raises:
        WeightsError: truncated, or a checkpoint: numbers without the architecture they belong to.
    """
    del precision
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any("/code/" in name for name in archive.namelist())
        if not scripted:
            raise WeightsError(
                f"{path}: a checkpoint without its architecture; turn it into ONNX with `reidpipe export`"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit is frozen, its files remain
            module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise WeightsError(f"{path}: truncated, or not a TorchScript file ({first_line(error)})") from error
    return TorchSession(module, threads=threads, device=device)
