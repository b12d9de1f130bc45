"""What has to be known about an embedder's net: from the caller, its metadata, the manifest, or by convention."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime import Normalize, Session

__all__ = ["EmbedderFacts", "read_facts"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_TORCHREID: dict[str, Any] = {"color_order": "rgb", "scale": 1 / 255, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
_KEYS = ("color_order", "scale", "mean", "std")
_OSNET_SIZE = (256, 128)


@dataclass(frozen=True, slots=True)
class EmbedderFacts:
    """An embedder's net, understood.

    Attributes:
        input_size: height and width of the crops, pixels.
        normalize: how pixels become the input.
        dim: length of a vector.
        batch: fixed size of the batch, None when free.
        assumed: True when nothing said how pixels are prepared, so that torchreid's convention (RGB, ImageNet mean
            and std) was taken; a model that was trained otherwise then gives bad vectors without an error.
    """

    input_size: tuple[int, int]
    normalize: Normalize
    dim: int
    batch: int | None
    assumed: bool


def read_facts(session: Session, *, path: Path, manifest: Mapping[str, Any], given: Mapping[str, Any]) -> EmbedderFacts:
    """Put together what is known; the caller beats the model's metadata, and this the manifest.

    Args:
        session: the loaded net.
        path: its file, for messages.
        manifest: facts of the manifest's entry, perhaps none.
        given: what the caller says: ``color_order``, ``scale``, ``mean``, ``std``, ``input_size``.

    Raises:
        WeightsError: the net is no embedder, or contradicts what is said about it.
        ConfigError: a given value is out of range.
    """
    known = {**manifest, **_from_metadata(session.metadata, path), **given}
    batch, size = _input_shape(session, path, known.get("input_size"))
    assumed = not any(key in known for key in _KEYS)
    values = _TORCHREID if assumed else _complete(known)
    normalize = Normalize(values["color_order"], values["scale"], tuple(values["mean"]), tuple(values["std"]))
    dim = _dim(session, path, (batch or 1, 3, *size))
    if known.get("dim") not in (None, dim):
        raise WeightsError(f"{path}: gives vectors of {dim}, but is said to give {known['dim']}")
    return EmbedderFacts(size, normalize, dim, batch, assumed)


def _from_metadata(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Our own keys of an ONNX file's metadata: ``color_order`` and JSON numbers and lists."""
    facts: dict[str, Any] = {}
    if "color_order" not in metadata:
        return facts
    facts["color_order"] = metadata["color_order"].strip().lower()
    for key in ("scale", "mean", "std", "input_size", "dim"):
        if key in metadata:
            try:
                facts[key] = json.loads(metadata[key])
            except json.JSONDecodeError as error:
                raise WeightsError(
                    f"{path}: its metadata {key} = {metadata[key]!r} is not a number or a list"
                ) from error
    return facts


def _complete(known: Mapping[str, Any]) -> dict[str, Any]:
    """What is left open when something is said: ImageNet's other half beside a mean or a std, else plain 0..1."""
    plain: dict[str, Any] = {"color_order": "rgb", "scale": 1 / 255, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    if "mean" in known or "std" in known:
        plain |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    return {key: known.get(key, plain[key]) for key in _KEYS}


def _input_shape(session: Session, path: Path, asked: Sequence[int] | None) -> tuple[int | None, tuple[int, int]]:
    shape = session.inputs[0].shape
    if len(session.inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None) or session.inputs[0].dtype.kind != "f":
        shapes = " and ".join(str(spec.shape).replace("None", "?") for spec in session.inputs)
        raise WeightsError(f"{path}: no embedder of crops: it takes {shapes}, not one (batch, 3, height, width)")
    height, width = asked or _OSNET_SIZE
    if min(height, width) < 1:
        raise ConfigError(f"input_size must be positive, got {asked}")
    fixed = (shape[2] or height, shape[3] or width)
    if asked is not None and fixed != (height, width):
        raise WeightsError(
            f"{path}: its input is fixed to {fixed[0]} x {fixed[1]}, but is said to be {height} x {width}"
        )
    return shape[0], fixed


def _dim(session: Session, path: Path, shape: tuple[int, ...]) -> int:
    """Length of a vector: from the output's shape, else from one run."""
    output = session.outputs[0].shape
    if not output or output[-1] is None or len(output) != 2:
        import numpy as np

        output = session.run(np.zeros(shape, session.inputs[0].dtype))[0].shape
    vector = [size for size in output[1:] if size != 1]
    if len(vector) != 1 or vector[0] is None:
        raise WeightsError(f"{path}: no embedder: it gives {tuple(output)}, not one vector (batch, dim) for each crop")
    return vector[0]
