"""Detections read from MOTChallenge files instead of a net: to compare trackers on equal boxes."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from reidpipe.boxes import clip, valid
from reidpipe.errors import ConfigError
from reidpipe.types import Detections, Frame, Image

__all__ = ["ReplayDetector", "read_mot_detections"]

_COLUMNS = 7  # frame, id, x, y, width, height, score


class ReplayDetector:
    """Gives the boxes of a file for each frame of a camera. Frames without a line have nobody.

    Args:
        files: camera -> MOTChallenge detection file (``.txt`` or ``.txt.gz``).
        min_score: lines below are dropped. Scores are the file's own: some detectors write logits or percentages.

    Raises:
        ConfigError: a file is missing, or a line is wrong; the message has its number.
    """

    def __init__(self, files: Mapping[str, str | Path], *, min_score: float = -math.inf) -> None:
        if not files:
            raise ConfigError("replay needs one detection file for each camera")
        self._cameras = {camera: read_mot_detections(path, min_score=min_score) for camera, path in files.items()}

    def detect_frames(self, frames: Sequence[Frame]) -> list[Detections]:
        """One ``Detections`` for each frame, in order, found by its camera and index (frame 1 of the file is index 0).

        Boxes are clipped to the picture where there is one.

        Raises:
            ConfigError: a camera has no file.
        """
        return [self._of(frame) for frame in frames]

    def detect(self, images: Sequence[Image]) -> list[Detections]:  # noqa: ARG002
        """Not possible: a picture alone does not say which camera and frame it is."""
        raise ConfigError("replay finds boxes by camera and frame number: call detect_frames with frames")

    def _of(self, frame: Frame) -> Detections:
        if frame.camera not in self._cameras:
            known = ", ".join(sorted(self._cameras))
            raise ConfigError(f"replay has no detection file for the camera {frame.camera!r}: it has {known}")
        found = self._cameras[frame.camera].get(frame.index)
        if found is None:
            return Detections.empty()
        if not frame.has_image:
            return found
        boxes = clip(found.boxes, width=frame.image.shape[1], height=frame.image.shape[0])
        inside = valid(boxes)
        return Detections(boxes[inside], found.scores[inside])


def read_mot_detections(path: str | Path, *, min_score: float = -math.inf) -> dict[int, Detections]:
    """Read a MOTChallenge detection file: ``frame,id,x,y,width,height,score,...``, in any order of lines.

    Args:
        path: ``.txt`` or ``.txt.gz``.
        min_score: lines below are dropped.

    Returns:
        0-based frame index (the file counts from 1) -> its boxes, in the file's order; those without area left out.

    Raises:
        ConfigError: the file cannot be read, or a line has too few columns, no numbers, NaN, or a frame below 1.
    """
    path = Path(path)
    try:
        rows = [row for row in _rows(path) if row[6] >= min_score]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot read the detections ({reason})") from error
    table = np.array(rows, np.float64).reshape(-1, _COLUMNS)
    table = table[np.argsort(table[:, 0], kind="stable")]
    corners = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1).astype(np.float32)
    good = valid(corners)
    frames, boxes, scores = table[good, 0].astype(np.int64) - 1, corners[good], table[good, 6].astype(np.float32)
    indices, starts = np.unique(frames, return_index=True)
    pieces = zip(np.split(boxes, starts[1:]), np.split(scores, starts[1:]), strict=True)
    return {int(index): Detections(*piece) for index, piece in zip(indices, pieces, strict=False)}


def _rows(path: Path) -> Iterator[list[float]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield _row(line, path, number)


def _row(line: str, path: Path, number: int) -> list[float]:
    cells = line.replace(",", " ").split()
    if len(cells) < _COLUMNS:
        raise ConfigError(f"{path}, line {number}: {len(cells)} columns, wants frame,id,x,y,width,height,score")
    try:
        values = [float(cell) for cell in cells[:_COLUMNS]]
    except ValueError as error:
        raise ConfigError(f"{path}, line {number}: not a number ({error})") from error
    if not all(map(math.isfinite, values)):
        raise ConfigError(f"{path}, line {number}: NaN or infinite")
    if values[0] < 1 or values[0] != int(values[0]):
        raise ConfigError(f"{path}, line {number}: frame {cells[0]}, wants a whole number from 1")
    return values
