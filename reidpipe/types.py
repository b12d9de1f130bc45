"""What flows between the stages: frozen structs of arrays, checked for shape and dtype when they are made.

Conventions, everywhere in reidpipe:

* images are uint8 ``(H, W, 3)`` in **BGR** order (OpenCV's);
* boxes are float32 ``(N, 4)``: ``x1 y1 x2 y2`` in pixels of the frame, ``x2 > x1`` and ``y2 > y1``, far edge exclusive;
* vectors are float32 ``(N, D)`` with rows of unit length;
* times are float seconds: presentation time for files, wall clock for live cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision as sv

__all__ = [
    "NOT_KNOWN",
    "Boxes",
    "Detections",
    "Frame",
    "FrameResult",
    "Ids",
    "Image",
    "Link",
    "Mask",
    "Scores",
    "TrackKey",
    "Tracklet",
    "Tracks",
    "Vectors",
]

Image: TypeAlias = NDArray[np.uint8]
Boxes: TypeAlias = NDArray[np.float32]
Scores: TypeAlias = NDArray[np.float32]
Vectors: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = "Ids | Mask | slice | Sequence[int]"

NOT_KNOWN = -1
"""The global id of a track that has none yet."""

UNIT_TOLERANCE = 1e-3


def _check(name: str, value: Any, dtype: type[np.generic], shape: tuple[int | None, ...]) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy array, got {type(value).__name__}")
    if value.dtype != dtype:
        raise TypeError(f"{name} must be {np.dtype(dtype).name}, got {value.dtype.name}")
    if value.shape == shape or (shape == (None,) and value.ndim == 1):
        return
    if value.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, value.shape, strict=True)):
        wanted = "(" + ", ".join("_" if want is None else str(want) for want in shape) + ")"
        raise ValueError(f"{name} must have shape {wanted}, got {value.shape}")


def _check_boxes(name: str, boxes: Boxes, *, rows: int | None = None) -> None:
    _check(name, boxes, np.float32, (rows, 4))
    if np.count_nonzero(np.isfinite(boxes)) < boxes.size:  # counting is faster than .all()
        raise ValueError(f"{name} must be finite")
    if np.count_nonzero(boxes[:, 2:] > boxes[:, :2]) < 2 * len(boxes):
        raise ValueError(f"{name} must have x2 > x1 and y2 > y1 in every row")


class TrackKey(NamedTuple):
    """Names one track of one camera. ``track_id`` is unique inside its camera only."""

    camera: str
    track_id: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera.

    Attributes:
        camera: name of the camera, unique in a run.
        index: 0-based number of the picture in its source; a gap means that frames were dropped.
        time_s: presentation time (file) or wall clock (live), in seconds.
        image: uint8 ``(H, W, 3)`` BGR. ``(0, 0, 3)`` in a replay that needs no pixels: see ``without_image``.
    """

    camera: str
    index: int
    time_s: float
    image: Image

    def __post_init__(self) -> None:
        _check("image", self.image, np.uint8, (None, None, 3))

    @classmethod
    def without_image(cls, camera: str, index: int, time_s: float) -> Self:
        """A frame whose pixels nobody needs, for instance while results are replayed from a file."""
        return cls(camera, index, time_s, np.zeros((0, 0, 3), np.uint8))

    @property
    def has_image(self) -> bool:
        """False in a replay without pixels."""
        return self.image.size > 0


@dataclass(frozen=True, slots=True)
class Detections:
    """What a detector saw in one picture. All fields are cut together: ``d[rows]``.

    Attributes:
        boxes: float32 ``(N, 4)`` x1 y1 x2 y2, pixels of the frame.
        scores: float32 ``(N,)`` in 0..1.
        embeddings: float32 ``(N, D)`` unit rows, or None when no row has one. Rows without one are zero.
        embedded: bool ``(N,)``: which rows of ``embeddings`` are filled. None exactly when ``embeddings`` is None.

    Raises:
        TypeError, ValueError: when a dtype or a shape is not as above.
    """

    boxes: Boxes
    scores: Scores
    embeddings: Vectors | None = None
    embedded: Mask | None = None

    def __post_init__(self) -> None:
        _check_boxes("boxes", self.boxes)
        n = len(self.boxes)
        _check("scores", self.scores, np.float32, (n,))
        if self.embeddings is None:
            if self.embedded is not None:
                raise ValueError("embedded is given without embeddings")
            return
        _check("embeddings", self.embeddings, np.float32, (n, None))
        if self.embedded is None:
            object.__setattr__(self, "embedded", np.ones(n, np.bool_))
        _check("embedded", self.embedded, np.bool_, (n,))
        norms = np.linalg.norm(self.embeddings[self.embedded], axis=1)
        if not (np.abs(norms - 1.0) < UNIT_TOLERANCE).all():
            raise ValueError("embeddings must be finite rows of unit length")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Rows) -> Detections:
        """The chosen rows (bool mask, integer array, list or slice), all fields together."""
        index = rows if isinstance(rows, slice | np.ndarray) else np.asarray(rows, dtype=np.int64)
        if self.embeddings is None or self.embedded is None:
            return Detections(self.boxes[index], self.scores[index])
        return Detections(self.boxes[index], self.scores[index], self.embeddings[index], self.embedded[index])

    @classmethod
    def empty(cls) -> Self:
        """No person."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def with_embeddings(self, rows: Ids, vectors: Vectors) -> Detections:
        """The same detections, with an embedding for some rows; what other rows had is kept.

        Args:
            rows: int64 ``(K,)``, the rows that ``vectors`` belong to.
            vectors: float32 ``(K, D)``, unit rows.
        """
        if self.embeddings is not None and self.embedded is not None:
            embeddings, embedded = self.embeddings.copy(), self.embedded.copy()
        else:
            embeddings = np.zeros((len(self), vectors.shape[1]), np.float32)
            embedded = np.zeros(len(self), np.bool_)
        embeddings[rows] = vectors
        embedded[rows] = True
        return replace(self, embeddings=embeddings, embedded=embedded)

    def to_supervision(self) -> sv.Detections:
        """As ``supervision.Detections``; embeddings go to ``data["embedding"]``, class 0 is person."""
        import supervision as sv

        data = {} if self.embeddings is None else {"embedding": self.embeddings}
        return sv.Detections(
            xyxy=self.boxes, confidence=self.scores, class_id=np.zeros(len(self), dtype=int), data=data
        )

    @classmethod
    def from_supervision(cls, detections: sv.Detections) -> Self:
        """From ``supervision.Detections``. Boxes without area are dropped; a missing confidence counts as 1.

        Callers choose the class themselves: ``Detections.from_supervision(d[d.class_id == 0])``.
        """
        boxes = np.asarray(detections.xyxy, dtype=np.float32).reshape(-1, 4)
        scores = np.ones(len(boxes), np.float32)
        if detections.confidence is not None:
            scores = np.asarray(detections.confidence, dtype=np.float32)
        good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        vectors = detections.data.get("embedding")
        if vectors is None:
            return cls(boxes[good], scores[good])
        embeddings = np.asarray(vectors, dtype=np.float32)[good]
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        embedded = np.asarray(norms[:, 0] > 0)
        unit = np.divide(embeddings, norms, out=np.zeros_like(embeddings), where=norms > 0)
        return cls(boxes[good], scores[good], unit, embedded)


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of one camera after one picture.

    Attributes:
        track_ids: int64 ``(N,)``, unique, never used again by the same tracker.
        boxes: float32 ``(N, 4)`` x1 y1 x2 y2, pixels: the filtered (or measured, as the tracker says) box.
        scores: float32 ``(N,)``: score of the detection; of a predicted row, the last one it had.
        det_rows: int64 ``(N,)``: row of the detection that fed the track, -1 when the box is predicted only.
        ended: int64 ``(M,)``: ids that ended with this update and will never come back.
    """

    track_ids: Ids
    boxes: Boxes
    scores: Scores
    det_rows: Ids
    ended: Ids = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        _check("track_ids", self.track_ids, np.int64, (None,))
        n = len(self.track_ids)
        _check_boxes("boxes", self.boxes, rows=n)
        _check("scores", self.scores, np.float32, (n,))
        _check("det_rows", self.det_rows, np.int64, (n,))
        _check("ended", self.ended, np.int64, (None,))
        growing = np.count_nonzero(self.track_ids[1:] > self.track_ids[:-1]) >= n - 1  # as trackers give them
        if not growing and len(np.unique(self.track_ids)) != n:  # sorting costs ten times as much
            raise ValueError("track_ids must be unique")

    def __len__(self) -> int:
        return len(self.track_ids)

    def __getitem__(self, rows: Rows) -> Tracks:
        """The chosen rows; ``ended`` stays as it is."""
        index = rows if isinstance(rows, slice | np.ndarray) else np.asarray(rows, dtype=np.int64)
        return Tracks(self.track_ids[index], self.boxes[index], self.scores[index], self.det_rows[index], self.ended)

    @classmethod
    def empty(cls, ended: Ids | None = None) -> Self:
        """No track at all, perhaps some that ended."""
        none = np.zeros(0, np.int64)
        return cls(none, np.zeros((0, 4), np.float32), np.zeros(0, np.float32), none, none if ended is None else ended)

    def to_supervision(self) -> sv.Detections:
        """As ``supervision.Detections`` with ``tracker_id`` filled; class 0 is person."""
        import supervision as sv

        return sv.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=np.zeros(len(self), dtype=int),
            tracker_id=self.track_ids.astype(int),
        )


@dataclass(frozen=True, slots=True)
class Tracklet:
    """What one track looks like, pooled over time. A later tracklet of the same key replaces an earlier one.

    Attributes:
        key: camera and track id.
        vector: float32 ``(D,)`` of unit length.
        count: how many crops went in.
        quality: 0..1, how much the vector can be trusted.
        first_s: time of the first picture of the track, seconds.
        last_s: time of the last picture of the track, seconds.
        closed: True when the track has ended: nothing will be added.
        prototypes: float32 ``(K, D)`` unit rows in order of time, some of the crops, spread over the track's life;
            None when the pooler keeps none.
        path: float64 ``(T, 5)``: time in seconds, x1 y1 x2 y2 in pixels, some moments of the track in order of time;
            None when unknown.
        prototype_times_s: float64 ``(K,)``, when each prototype was seen, seconds; None when unknown.
    """

    key: TrackKey
    vector: Vectors
    count: int
    quality: float
    first_s: float
    last_s: float
    closed: bool
    prototypes: Vectors | None = None
    path: NDArray[np.float64] | None = None
    prototype_times_s: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        _check("vector", self.vector, np.float32, (None,))
        if self.prototypes is not None:
            _check("prototypes", self.prototypes, np.float32, (None, len(self.vector)))
            norms = np.linalg.norm(self.prototypes, axis=1)
            if not (np.abs(norms - 1.0) < UNIT_TOLERANCE).all():
                raise ValueError("prototypes must be finite rows of unit length")
            if self.prototype_times_s is not None:
                _check("prototype_times_s", self.prototype_times_s, np.float64, (len(self.prototypes),))
        if self.path is not None:
            _check("path", self.path, np.float64, (None, 5))
            if not np.isfinite(self.path).all():
                raise ValueError("path must be finite")
        if abs(float(np.linalg.norm(self.vector)) - 1.0) >= UNIT_TOLERANCE:
            raise ValueError("vector must be finite and of unit length")
        if self.last_s < self.first_s:
            raise ValueError(f"last_s ({self.last_s}) is before first_s ({self.first_s})")


@dataclass(frozen=True, slots=True)
class Link:
    """A decision: this track is that person.

    Attributes:
        key: the track.
        global_id: the identity, 1 or more, unique over all cameras of a run.
        similarity: cosine to the rest of the identity, -1..1; 1.0 when the track is the first of its identity.
        time_s: when it was decided.
        previous: the identity it had before, when this corrects an earlier link; else None.
        probability: 0..1 that the track belongs to the rest of its identity; None when it is alone there, or unknown.
    """

    key: TrackKey
    global_id: int
    similarity: float
    time_s: float
    previous: int | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Everything known about one picture, as the sinks get it.

    Attributes:
        frame: the picture (perhaps without pixels, see ``Frame.without_image``).
        tracks: the tracks in it.
        global_ids: int64 ``(N,)``, one for each track, -1 when not known yet.
        links: decisions made with this picture.
    """

    frame: Frame
    tracks: Tracks
    global_ids: Ids
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        _check("global_ids", self.global_ids, np.int64, (len(self.tracks),))
