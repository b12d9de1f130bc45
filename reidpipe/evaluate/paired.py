"""Truth and result of one sequence, picture by picture, after MOTChallenge's preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.evaluate.mot_text import PEDESTRIAN, MotRows
from reidpipe.types import Ids, Mask

__all__ = ["EPS", "PairedSequence", "Step", "overlaps"]

EPS = float(np.finfo("float").eps)
"""TrackEval's slack in comparisons; the same here, so that borderline pairs fall the same way."""

DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection: a result that finds one is neither right nor wrong."""
CROWDED_DISTRACTORS = (*DISTRACTORS, 6)
"""MOT20 adds vehicles."""
PREPROCESS_OVERLAP = 0.5


def overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union in double precision, ``(N, M)``; 0 for boxes without area."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    np.maximum(sides, 0, out=sides)
    both = sides[..., 0] * sides[..., 1]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    both[area_a <= EPS] = 0
    both[:, area_b <= EPS] = 0
    union = area_a[:, None] + area_b[None, :] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > EPS))


class Step(NamedTuple):
    """One picture: truth ids ``(G,)`` and result ids ``(T,)`` counted from 0, and their overlaps ``(G, T)``."""

    truth: Ids
    result: Ids
    overlap: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairedSequence:
    """What the metrics work on.

    Attributes:
        steps: the pictures in order; those where nobody is in truth or result may be absent.
        truth_ids: int64 ``(G,)``, the ids of the truth in the file's numbers.
        result_ids: int64 ``(T,)``, the ids of the result in the file's numbers.
    """

    steps: tuple[Step, ...]
    truth_ids: Ids
    result_ids: Ids

    @classmethod
    def of(cls, truth: MotRows, result: MotRows, *, min_visibility: float = 0.0, crowded: bool = False) -> Self:
        """Pair two files.

        As the benchmarks do: rows of the truth with flag 0 do not count. Where the truth has classes (MOT16 and later),
        only pedestrians count, and what the result says on a distractor is taken away first. Where it has none
        (MOT15), nothing is taken away.

        Args:
            truth: rows of ``gt.txt``.
            result: rows of a result.
            min_visibility: people of the truth that are less visible than this are treated like distractors, 0..1.
            crowded: MOT20's rule, where vehicles are distractors too.

        Raises:
            ConfigError: an id appears twice in a picture.
        """
        counted = (truth.scores != 0) & (truth.classes == PEDESTRIAN) & (truth.visibility >= min_visibility)
        neutral = np.isin(truth.classes, CROWDED_DISTRACTORS if crowded else DISTRACTORS)
        neutral |= (truth.scores != 0) & (truth.visibility < min_visibility)
        _refuse_doubles("truth", truth[counted])
        _refuse_doubles("result", result)
        steps = [
            _step(truth, result, ours, theirs, counted, neutral, preprocess=truth.has_classes)
            for ours, theirs in _pictures(truth.frames, result.frames)
        ]
        return cls.numbered(steps)

    @classmethod
    def numbered(cls, steps: Sequence[Step]) -> Self:
        """Number the ids of the steps from 0."""
        none = np.zeros(0, np.int64)
        truth_ids = np.unique(np.concatenate([none, *(step.truth for step in steps)]))
        result_ids = np.unique(np.concatenate([none, *(step.result for step in steps)]))
        numbered = (
            Step(np.searchsorted(truth_ids, step.truth), np.searchsorted(result_ids, step.result), step.overlap)
            for step in steps
        )
        return cls(tuple(numbered), truth_ids, result_ids)

    @classmethod
    def joined(cls, parts: Sequence[PairedSequence]) -> Self:
        """Several sequences as one long one, in which the same id is the same person: several cameras."""
        return cls.numbered(
            [
                Step(part.truth_ids[step.truth], part.result_ids[step.result], step.overlap)
                for part in parts
                for step in part.steps
            ]
        )

    @property
    def truth_count(self) -> int:
        """Boxes of the truth."""
        return sum(len(step.truth) for step in self.steps)

    @property
    def result_count(self) -> int:
        """Boxes of the result."""
        return sum(len(step.result) for step in self.steps)


def _pictures(truth: Ids, result: Ids) -> Iterator[tuple[slice, slice]]:
    """The rows of each picture, both sides sorted by frame."""
    frames = np.union1d(truth, result)
    edges = [np.searchsorted(side, frames, side=where) for side in (truth, result) for where in ("left", "right")]
    for a, b, c, d in zip(*(edge.tolist() for edge in edges), strict=True):
        yield slice(a, b), slice(c, d)


def _step(
    truth: MotRows, result: MotRows, ours: slice, theirs: slice, counted: Mask, neutral: Mask, *, preprocess: bool
) -> Step:
    overlap = overlaps(truth.boxes[ours], result.boxes[theirs])
    kept = np.ones(overlap.shape[1], np.bool_)
    if preprocess and overlap.size and neutral[ours].any():
        kept[_on_neutral(overlap, neutral[ours])] = False
    real = counted[ours]
    return Step(truth.ids[ours][real], result.ids[theirs][kept], overlap[np.ix_(real, kept)])


def _on_neutral(overlap: NDArray[np.float64], neutral: Mask) -> Ids:
    """Columns that a best matching over all of the truth gives to a neutral row."""
    from scipy.optimize import linear_sum_assignment

    score = np.where(overlap < PREPROCESS_OVERLAP - EPS, 0.0, overlap)
    rows, columns = linear_sum_assignment(-score)
    taken = (score[rows, columns] > EPS) & neutral[rows]
    return np.asarray(columns[taken], dtype=np.int64)


def _refuse_doubles(side: str, rows: MotRows) -> None:
    order = np.lexsort((rows.ids, rows.frames))
    frames, ids = rows.frames[order], rows.ids[order]
    twice = np.flatnonzero((frames[1:] == frames[:-1]) & (ids[1:] == ids[:-1]))
    if len(twice):
        frame, one = int(frames[twice[0]]), int(ids[twice[0]])
        raise ConfigError(f"the {side} has id {one} twice in frame {frame}: an id is one person in a picture")
