"""From a recipe to arrays: read the sets, decode the crops once, embed them by the teacher once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.reid.batches import TrainData
from reidpipe.reid.cache import build_cache, paths_digest
from reidpipe.reid.config import SourceConfig, TrainConfig
from reidpipe.reid.datasets import ReidSet, hold_out, merge_sets, read_set
from reidpipe.reid.teacher import teacher_embeddings
from reidpipe.types import Image, Vectors

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Training data, and the held-out part for validation (None where the recipe holds nothing out)."""

    train: TrainData
    held_out: ReidSet | None


def prepare(config: TrainConfig, *, on_progress: Progress | None = None) -> Prepared:
    """Read everything a run needs; crops and teacher vectors come from the cache where they are there.

    Raises:
        ConfigError: A source is not there or empty.
        WeightsError: The teacher's file is not there.
    """
    parts: list[ReidSet] = []
    held: list[ReidSet] = []
    for source in config.data.sources:
        found = _read_source(config.data.root, source)
        if source.hold_out:
            found, kept = hold_out(found, identities=source.hold_out)
            held.append(kept)
        parts.append(found)
    crops = [_crops(config, part, on_progress) for part in parts]
    teacher = None
    if config.distill.teacher is not None:
        pairs = zip(parts, crops, strict=True)
        teacher = np.concatenate([_teacher(config, part, images, on_progress) for part, images in pairs])
    merged = merge_sets(parts)
    data = TrainData(np.concatenate(crops), merged.persons, merged.cameras, teacher)
    return Prepared(data, merge_sets(held) if held else None)


def _read_source(root: Path, source: SourceConfig) -> ReidSet:
    found = read_set(source.name, root / source.path, source.part)
    if len(found) == 0:
        raise ConfigError(f"source {source.name} in {root / source.path} is empty: check data.root")
    return found


def _crops(config: TrainConfig, part: ReidSet, on_progress: Progress | None) -> Image:
    def report(done: int) -> None:
        if on_progress is not None:
            on_progress(f"decode {part.name}", done, len(part))

    folder = config.data.cache
    return build_cache(part.paths, folder, height=config.data.height, width=config.data.width, on_progress=report)


def _teacher(config: TrainConfig, part: ReidSet, crops: Image, on_progress: Progress | None) -> Vectors:
    def report(done: int) -> None:
        if on_progress is not None:
            on_progress(f"teacher on {part.name}", done, len(part))

    model_file = config.data.root / (config.distill.teacher or "")
    file = config.data.cache / f"teacher-{paths_digest(part.paths)}.npy"
    return teacher_embeddings(crops, model_file, file, on_progress=report)
