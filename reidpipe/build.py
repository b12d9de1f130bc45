"""From settings to stages: the only place that turns names into objects for a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reidpipe.associate.likeness import likeness_of
from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.pipeline import Pipeline
from reidpipe.settings import Section
from reidpipe.stages import Associator, Detector, Embedder, FrameDetector, Pooler, Tracker, stage_class

__all__ = [
    "build_associator",
    "build_detector",
    "build_embedder",
    "build_pipeline",
    "build_pooler",
    "build_tracker",
    "fitted",
]


SCORES_OF_YOLO = {"high_score": 0.45, "new_score": 0.6}
"""Trust begins lower than in the tracking benchmarks: small YOLO nets are less sure of themselves than the detectors
that those use. Mean IDF1 and MOTA of ``python -m tools.bench_appearance --high H --new N``, person_n, five sequences:
65.4 and 58.6 at 0.55 and 0.65, 67.5 and 60.3 here, 67.8 and 61.9 with 0.55 for ``new_score``, which made two more of
the people in PETS09-S2L1. Indoors, seen from above, a fifth to a third more is tracked (MMPTRACK). Replayed detections
keep the tracker's own defaults."""


def fitted(config: Config) -> Config:
    """The config with the tracker's score limits fitted to the detector, where nobody set them."""
    if config.detect.name == "replay":
        return config
    given = config.track.model_fields_set
    fields = type(config.track).model_fields
    scores = {name: value for name, value in SCORES_OF_YOLO.items() if name in fields and name not in given}
    return config.model_copy(update={"track": config.track.model_copy(update=scores)})


def build_pipeline(
    config: Config,
    *,
    cameras: Sequence[str],
    embedder: Embedder | None = None,
    associator: Associator | None = None,
) -> Pipeline:
    """All stages of a run, models loaded.

    Args:
        config: the settings.
        cameras: names of the cameras; a detector that replays files needs one for each.
        embedder: made before, of these settings; None: made here.
        associator: the same.

    Raises:
        ConfigError: a setting does not fit.
        WeightsError: a model is missing, damaged, or not what its stage needs.
        MissingExtraError: a chosen implementation needs a package that is not installed.
    """
    return Pipeline(
        detector=build_detector(config, cameras=cameras),
        embedder=embedder or build_embedder(config),
        tracker=partial(build_tracker, config),
        pooler=build_pooler(config),
        associator=associator or build_associator(config),
        every=config.source.every,
        camera_watch=stage_class("camera", "flow"),
    )


def build_detector(config: Config, *, cameras: Sequence[str] = ()) -> Detector | FrameDetector:
    """The detector that ``config.detect`` names; a ``.pt`` file goes to ultralytics by itself."""
    detect = config.detect
    name = "ultralytics" if detect.name == "yolo" and Path(detect.model).suffix == ".pt" else detect.name
    made = stage_class("detect", name)
    if name == "replay":
        missing = [camera for camera in cameras if camera not in detect.files]
        if missing:
            known = ", ".join(detect.files) or "none"
            raise ConfigError(f"detect.files has no detections for the camera {missing[0]}: it has {known}")
        replay: FrameDetector = made(detect.files, min_score=detect.min_score)
        return replay
    options = detect.model_dump(include={"min_score", "max_iou", "input_size", "classes"})
    if name == "yolo":
        options["backend"] = config.runtime.backend
    detector: Detector = made(detect.model, threads=threads(config), **options)
    return detector


def build_embedder(config: Config) -> Embedder:
    """The embedder that ``config.embed`` names."""
    made = stage_class("embed", config.embed.name)
    precision, backend = config.embed.precision, config.runtime.backend
    if precision != "f32" and backend == "auto":
        backend = "openvino"  # the one engine that can
    embedder: Embedder = made(
        config.embed.model,
        threads=threads(config),
        backend=backend,
        precision=precision,
        max_batch=config.embed.max_batch,
    )
    return embedder


def build_tracker(config: Config) -> Tracker:
    """A new tracker of the kind that ``config.track`` names, for one camera."""
    tracker: Tracker = stage_class("track", config.track.name)(**_options(config.track))
    return tracker


def build_pooler(config: Config) -> Pooler:
    """The pooler that ``config.pool`` names."""
    pooler: Pooler = stage_class("pool", config.pool.name)(**_options(config.pool))
    return pooler


def build_associator(config: Config, **more: Any) -> Associator:
    """The associator that ``config.associate`` names, fitted to the embedder that ``config.embed`` names.

    ``more`` goes to it as it is (store, write, ...).
    """
    more.setdefault("likeness", likeness_of(config.embed.model))
    associator: Associator = stage_class("associate", config.associate.name)(**_options(config.associate), **more)
    return associator


def threads(config: Config) -> int:
    """Threads of one inference: as set, else one for each core."""
    return config.runtime.threads or os.cpu_count() or 1


def _options(settings: Section) -> dict[str, Any]:
    """A section as the keyword arguments of the class it is for."""
    return settings.model_dump(exclude={"name"})
