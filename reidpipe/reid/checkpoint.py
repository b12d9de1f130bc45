"""Reading weights strictly and writing training checkpoints whole."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidpipe.errors import WeightsError

CLASSIFIER = "classifier."


def read_torch_file(path: Path) -> Any:
    """Read a `.pth`, `.pt` or `.pth.tar` file with `weights_only=True`: no code in the file is run.

    Raises:
        WeightsError: The file is not there, is damaged, or holds other things than tensors and plain values.
    """
    if not path.is_file():
        raise WeightsError(f"weights file {path} is not there: check the path")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} is no readable torch weights file ({reason}): fetch it again") from error


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a model's tensors; a `state_dict` or `model` entry is looked into, `module.` prefixes are taken off.

    Raises:
        WeightsError: As :func:`read_torch_file`, or no tensors inside.
    """
    content = read_torch_file(path)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} holds no state dict: expected layer names with tensors")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a checkpoint strictly into `model`.

    A classifier in the file is left out unless the model has one of the same shape; everything else must fit exactly.

    Raises:
        WeightsError: Naming the first layer that is missing, not known, or of another shape.
    """
    state = read_state_dict(path)
    wanted = model.state_dict()
    fits = all(name in wanted and wanted[name].shape == value.shape for name, value in state.items() if _head(name))
    if not fits:
        state = {name: value for name, value in state.items() if not _head(name)}
    if not any(_head(name) for name in state):
        state |= {name: value for name, value in wanted.items() if _head(name)}
    _check_layers(state, wanted, path)
    model.load_state_dict(state, strict=True)


def _head(name: str) -> bool:
    return name.startswith(CLASSIFIER)


def _check_layers(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in wanted if name not in state]
    if missing:
        raise WeightsError(f"{path} has no layer '{missing[0]}' ({len(missing)} missing): is it another architecture?")
    unknown = [name for name in state if name not in wanted]
    if unknown:
        raise WeightsError(
            f"{path} has layer '{unknown[0]}' that the model has not ({len(unknown)} in all): another architecture?"
        )
    for name, value in wanted.items():
        if state[name].shape != value.shape:
            theirs, ours = tuple(state[name].shape), tuple(value.shape)
            raise WeightsError(f"{path}: layer '{name}' is {theirs}, the model needs {ours}: is it another width?")


def write_torch_file(content: object, path: Path) -> None:
    """Write whole or not at all: to a file beside it, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    torch.save(content, unfinished)
    unfinished.replace(path)


def export_state_dict(model: nn.Module, path: Path) -> None:
    """Write the weights without classifier in Torchreid's key layout, float32 on the CPU."""
    state = {name: value.detach().cpu() for name, value in model.state_dict().items() if not _head(name)}
    write_torch_file(state, path)
