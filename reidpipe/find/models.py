"""The nets for a search: any detector, but exactly the embedder that made the gallery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reidpipe.build import build_detector, build_embedder
from reidpipe.config import Config
from reidpipe.errors import ConfigError, WeightsError
from reidpipe.find.gallery import Gallery
from reidpipe.stages import Detector, Embedder
from reidpipe.weights import file_sha256, model_sha256, resolve

__all__ = ["detector_for", "embedder_for"]


def detector_for(values: Mapping[str, Any]) -> Detector:
    """The shipped detector, or the one that the settings ``values`` (such as ``detect.model``) name.

    Raises:
        WeightsError: the model is missing, damaged, or no detector.
    """
    detector = build_detector(Config.load(values=values))
    if not isinstance(detector, Detector):
        raise ConfigError("a photo needs a detector that looks at pictures")
    return detector


def embedder_for(gallery: Gallery, values: Mapping[str, Any], *, model: str | None = None) -> Embedder:
    """The embedder that made a gallery's vectors.

    Args:
        gallery: names its model.
        values: settings such as ``runtime.backend``.
        model: where the same model lies now, when it has moved; None: as the gallery says.

    Raises:
        ConfigError: ``model`` is another one, or gives vectors of another length.
        WeightsError: the model is missing or damaged.
    """
    chosen = gallery.model if model is None else model
    if model is not None and not gallery.sha256 and not _same(gallery.model, model):
        raise ConfigError(
            f"the vectors in {gallery.source} were made with {gallery.model}, and {model} is another embedder: "
            "leave --embedder out, or run again with it"
        )
    if gallery.sha256 and model_sha256(resolve(chosen, kind="embedder").path) != gallery.sha256:
        raise ConfigError(
            f"the vectors in {gallery.source} were made with another file than what is {chosen} now (its sha256 was "
            f"{gallery.sha256[:8]}...): give the old file with --embedder, or run again"
        )
    embedder = build_embedder(Config.load(values={**values, "embed.model": chosen}))
    if embedder.dim != gallery.dim:
        raise ConfigError(
            f"the vectors in {gallery.source} have {gallery.dim} numbers, but {chosen} gives {embedder.dim}: "
            "it is not the embedder that made them; run again"
        )
    return embedder


def _same(recorded: str, given: str) -> bool:
    """Whether two names mean one model: the same file, or the same content. A file that is gone is told by its name."""
    here = resolve(given, kind="embedder").path
    try:
        there = resolve(recorded, kind="embedder").path
    except WeightsError:
        return Path(recorded).name == here.name
    if here.resolve() == there.resolve():
        return True
    return here.is_file() and there.is_file() and file_sha256(here) == file_sha256(there)
