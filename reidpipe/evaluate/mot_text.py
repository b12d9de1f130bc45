"""MOTChallenge text files: ``frame,id,x,y,w,h,flag,...``, frames and ids from 1, plain or gzipped."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.types import Boxes, Ids, Mask, Scores, Tracks

__all__ = ["MotRows", "read_mot"]

PEDESTRIAN = 1
CLASS_COLUMNS = 9
"""Truth of MOT16 and later has exactly nine columns, the last two being class and visibility."""


@dataclass(frozen=True, slots=True)
class MotRows:
    """The rows of one file, sorted by frame.

    Attributes:
        frames: int64 ``(N,)``, as in the file.
        ids: int64 ``(N,)``.
        boxes: float64 ``(N, 4)`` x1 y1 x2 y2, pixels.
        scores: float64 ``(N,)``: the seventh column; in truth files 0 means "do not count"; 1 where it is absent.
        classes: int64 ``(N,)``, MOT16's classes; 1 (pedestrian) everywhere in files that have none.
        visibility: float64 ``(N,)``, 0..1; 1 where it is absent.
        has_classes: whether the file has classes.
    """

    frames: Ids
    ids: Ids
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: Ids
    visibility: NDArray[np.float64]
    has_classes: bool

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows: Ids | Mask | slice) -> MotRows:
        """The chosen rows."""
        return MotRows(
            self.frames[rows],
            self.ids[rows],
            self.boxes[rows],
            self.scores[rows],
            self.classes[rows],
            self.visibility[rows],
            self.has_classes,
        )

    @classmethod
    def of(cls, frames: Ids, ids: Ids, boxes: Boxes, scores: Scores) -> Self:
        """From the rows of a result, ``(N,)`` each and boxes ``(N, 4)`` x1 y1 x2 y2, in any order."""
        order = np.argsort(frames, kind="stable")
        ones = np.ones(len(frames))
        return cls(
            frames=frames[order].astype(np.int64),
            ids=ids[order].astype(np.int64),
            boxes=boxes[order].astype(np.float64),
            scores=scores[order].astype(np.float64),
            classes=(ones * PEDESTRIAN).astype(np.int64),
            visibility=ones,
            has_classes=False,
        )

    @classmethod
    def of_tracks(cls, pictures: Iterable[tuple[int, Tracks]]) -> Self:
        """From what a tracker gave: frame number and tracks, picture by picture."""
        parts = [(0, Tracks.empty()), *pictures]
        return cls.of(
            np.repeat([frame for frame, _ in parts], [len(tracks) for _, tracks in parts]),
            np.concatenate([tracks.track_ids for _, tracks in parts]),
            np.concatenate([tracks.boxes for _, tracks in parts]),
            np.concatenate([tracks.scores for _, tracks in parts]),
        )

    @classmethod
    def from_table(cls, table: NDArray[np.float64]) -> Self:
        """From the numbers of a file, ``(N, 6)`` or wider."""
        table = table[np.argsort(table[:, 0], kind="stable")]
        ones = np.ones(len(table))
        has_classes = table.shape[1] == CLASS_COLUMNS
        boxes = np.concatenate((table[:, 2:4], table[:, 2:4] + table[:, 4:6]), axis=1)
        return cls(
            frames=table[:, 0].astype(np.int64),
            ids=table[:, 1].astype(np.int64),
            boxes=boxes,
            scores=table[:, 6] if table.shape[1] > 6 else ones,
            classes=(table[:, 7] if has_classes else ones * PEDESTRIAN).astype(np.int64),
            visibility=table[:, 8] if has_classes else ones,
            has_classes=has_classes,
        )


def read_mot(path: Path) -> MotRows:
    """Read a MOTChallenge file, ``.txt`` or ``.txt.gz``; an empty file has no rows.

    Raises:
        ConfigError: the file is missing, is no table of numbers, has under six columns, or a number is not finite.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="loadtxt: input contained no data")
            table = np.loadtxt(lines, delimiter=",", ndmin=2)
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is no MOTChallenge table (frame,id,x,y,w,h,...): {error}") from error
    if table.size == 0:
        return MotRows.from_table(np.zeros((0, 10)))
    if table.shape[1] < 6:
        raise ConfigError(f"{path}: has {table.shape[1]} columns, a MOTChallenge file has six or more")
    if not np.isfinite(table[:, :6]).all():
        row = int(np.flatnonzero(~np.isfinite(table[:, :6]).all(axis=1))[0])
        raise ConfigError(f"{path}: row {row + 1} holds a number that is not finite")
    return MotRows.from_table(table)
