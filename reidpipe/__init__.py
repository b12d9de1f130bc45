"""reidpipe follows people across cameras: detect, track, re-identify; on a CPU, without calibration.

The names below are the public API; each is imported when it is first used, so that ``import reidpipe`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "ByteTrack": "reidpipe.track.bytetrack",
    "Config": "reidpipe.config",
    "DeepSORT": "reidpipe.track.deepsort",
    "Detections": "reidpipe.types",
    "Frame": "reidpipe.types",
    "FrameResult": "reidpipe.types",
    "Link": "reidpipe.types",
    "OSNetEmbedder": "reidpipe.embed.osnet",
    "OfflineAssociator": "reidpipe.associate.offline",
    "OnlineAssociator": "reidpipe.associate.online",
    "Pipeline": "reidpipe.pipeline",
    "QualityPooler": "reidpipe.pool",
    "ReidpipeError": "reidpipe.errors",
    "TrackKey": "reidpipe.types",
    "Tracklet": "reidpipe.types",
    "Tracks": "reidpipe.types",
    "YoloDetector": "reidpipe.detect.yolo",
    "open_source": "reidpipe.source",
    "run": "reidpipe.recorded",
}

__all__ = sorted([*_EXPORTS, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'reidpipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return __all__
