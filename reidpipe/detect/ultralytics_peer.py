"""ultralytics' own tracking, as the benchmark's peer: ``track(persist=True)`` with ByteTrack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reidpipe.errors import MissingExtraError
from reidpipe.types import Frame

__all__ = ["ultralytics_tracking"]


def ultralytics_tracking(
    model: str | Path, *, cameras: Sequence[str], input_size: tuple[int, int] | None = None
) -> Callable[[Sequence[Frame]], None]:
    """A function that detects and tracks pictures, one net for each camera; what it finds is thrown away.

    Args:
        model: any file that ``ultralytics.YOLO`` takes.
        cameras: their names.
        input_size: height and width of the net's input; None: as ultralytics chooses.

    Raises:
        MissingExtraError: ultralytics is not installed.
    """
    try:
        from ultralytics import YOLO
    except ModuleNotFoundError as error:
        raise MissingExtraError("ultralytics", extra="ultralytics", why="the peer of the benchmark") from error
    nets = {camera: YOLO(str(model), task="detect") for camera in cameras}
    options: dict[str, Any] = {"persist": True, "tracker": "bytetrack.yaml", "classes": [0], "verbose": False}
    if input_size is not None:
        options["imgsz"] = list(input_size)

    def track(frames: Sequence[Frame]) -> None:
        for frame in frames:
            nets[frame.camera].track(frame.image, **options)

    return track
