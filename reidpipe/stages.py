"""The stages, each a protocol with one verb, and the table that names the built-in ones.

    source -> detect -> embed -> track -> pool -> associate -> sinks

A stage is any object with the right methods: no base class, nothing to register. Detectors and embedders keep no
state and work on all cameras at once; a tracker belongs to one camera; a pooler keeps state per track; the associator
is global.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.types import Boxes, Detections, Frame, FrameResult, Ids, Image, Link, Tracklet, Tracks, Vectors

__all__ = [
    "STAGES",
    "Associator",
    "CameraWatch",
    "Detector",
    "Embedder",
    "FrameDetector",
    "Pooler",
    "Replaceable",
    "Sink",
    "Source",
    "SourceInfo",
    "Steerable",
    "Tracker",
    "stage_class",
]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source knows before the first frame.

    Attributes:
        uri: where it comes from, with credentials removed.
        width: pixels, after rotation.
        height: pixels, after rotation.
        fps: average frames per second, a float; 0.0 when unknown.
        frame_count: how many frames to expect (an estimate), None when unknown or endless.
        live: True when frames arrive by the wall clock and late ones are dropped.
        warnings: things worth saying in run.json (a truncated file, a guessed frame rate).
    """

    uri: str
    width: int
    height: int
    fps: float
    frame_count: int | None
    live: bool = False
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Source(Protocol):
    """One camera. ``info`` may gain warnings while frames are read (a file turns out to be truncated)."""

    @property
    def camera(self) -> str: ...  # noqa: D102
    @property
    def info(self) -> SourceInfo: ...  # noqa: D102

    def frames(self) -> Iterator[Frame]:
        """The pictures in order of time. Raises ``SourceError``; may be called again to read once more (files)."""
        ...

    def close(self) -> None:
        """Give back what is open. May be called twice."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds people. Keeps no state."""

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """One ``Detections`` for each image, in order; images may differ in size."""
        ...


@runtime_checkable
class FrameDetector(Protocol):
    """A detector that needs to know which picture it is, for instance one that replays a file."""

    def detect_frames(self, frames: Sequence[Frame]) -> list[Detections]:
        """One ``Detections`` for each frame, in order."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns people into vectors. Keeps no state."""

    @property
    def dim(self) -> int: ...  # noqa: D102

    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]:
        """One ``(N_i, dim)`` array for each image; all crops of all images go through the net in one batch."""
        ...


@runtime_checkable
class Tracker(Protocol):
    """Follows people inside one camera. One instance per camera; ids belong to the instance."""

    def wants(self, detections: Detections, time_s: float) -> Ids:
        """Rows whose appearance would decide something, int64 ``(K,)``; may be none. Changes no state."""
        ...

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """Take one picture's detections; ``time_s`` must grow from call to call."""
        ...

    def predict(self, time_s: float) -> Tracks:
        """Where the tracks of the last picture are at ``time_s``, all with ``det_row`` -1. Changes no state.

        For pictures that are not detected (``--every``): ``time_s`` lies after the last update.
        """
        ...

    def close(self) -> Tracks:
        """End of the camera: no rows, and every id that was still alive in ``ended``."""
        ...


@runtime_checkable
class Pooler(Protocol):
    """Collects a track's embeddings into one vector. Bounded memory for each track."""

    def wants(self, frame: Frame, detections: Detections, tracks: Tracks) -> Ids:
        """Rows of ``detections`` (not yet embedded) that a track's pool is due, int64 ``(K,)``; may be none."""
        ...

    def update(self, frame: Frame, detections: Detections, tracks: Tracks) -> list[Tracklet]:
        """Take one picture; returns the tracklets that changed enough to tell, and all that closed."""
        ...


@runtime_checkable
class Associator(Protocol):
    """Gives tracklets their global identity, over all cameras."""

    def update(self, tracklets: Sequence[Tracklet], time_s: float) -> list[Link]:
        """Take new or changed tracklets; returns what was decided now (offline: nothing until ``close``)."""
        ...

    def close(self) -> list[Link]:
        """Nothing more will come: decide the rest. Every tracklet ever given has a link after this."""
        ...


@runtime_checkable
class CameraWatch(Protocol):
    """Follows how one camera moves, from its pictures."""

    @property
    def state(self) -> str:
        """``fixed``, ``moving`` or ``unknown``, by all that was seen."""
        ...

    def update(self, image: Image, people: Boxes, time_s: float) -> NDArray[np.float64] | None:
        """Take one picture and where people are in it; where points of the picture before are now, ``(2, 3)``."""
        ...


@runtime_checkable
class Steerable(Protocol):
    """A tracker that can be told how its camera moved."""

    def camera_moved(self, warp: NDArray[np.float64]) -> None:
        """A point of the last picture is now at ``warp @ (x, y, 1)``; called before ``wants`` and ``update``."""
        ...


@runtime_checkable
class Replaceable(Protocol):
    """An associator that has decided nothing before ``close``: tracks may still be cut and joined until then."""

    def replace(self, tracklets: Sequence[Tracklet]) -> None:
        """Take these in the place of all that were given."""
        ...


@runtime_checkable
class Sink(Protocol):
    """Takes results in order of time. What was written stays valid whenever the run stops."""

    def write(self, result: FrameResult) -> None:
        """One picture of one camera. Raises ``SinkError``."""
        ...

    def close(self) -> None:
        """Finish the output. May be called twice."""
        ...


STAGES: dict[str, dict[str, str]] = {
    "camera": {"flow": "reidpipe.track.flow:CameraMotion"},
    "detect": {
        "replay": "reidpipe.detect.replay:ReplayDetector",
        "ultralytics": "reidpipe.detect.ultralytics:UltralyticsDetector",
        "yolo": "reidpipe.detect.yolo:YoloDetector",
    },
    "embed": {
        "osnet": "reidpipe.embed.osnet:OSNetEmbedder",
    },
    "track": {
        "botsort": "reidpipe.track.botsort:BoTSort",
        "bytetrack": "reidpipe.track.bytetrack:ByteTrack",
        "deepsort": "reidpipe.track.deepsort:DeepSORT",
        "ocsort": "reidpipe.track.ocsort:OCSort",
        "sort": "reidpipe.track.sort:Sort",
        "steady": "reidpipe.track.steady:Steady",
    },
    "pool": {
        "quality": "reidpipe.pool:QualityPooler",
    },
    "associate": {
        "offline": "reidpipe.associate.offline:OfflineAssociator",
        "online": "reidpipe.associate.online:OnlineAssociator",
    },
}
"""Stage -> name -> ``module:Class``. A module is imported only when its name is chosen."""


def stage_class(stage: str, name: str) -> Any:
    """The class behind a name of ``STAGES``, imported now.

    Raises:
        ConfigError: the name is not in the table; the message lists the names and the nearest one.
        MissingExtraError: the module needs a package that is not installed.
    """
    table = STAGES[stage]
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{stage}: no such name {name!r}{hint} Known: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
