"""How one camera moves, from what stands still in its pictures: corners of a small grey copy, followed (Lucas, Kanade).

A camera that has stood still for two seconds is *fixed*: from then on a picture every half second is looked at, and
nothing else is done. One that moves is followed from picture to picture; people are left out, they move by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Boxes, Image

__all__ = ["CameraMotion", "Warp"]

Warp: TypeAlias = NDArray[np.float64]
"""float64 ``(2, 3)``: where a point of the picture before is now, ``warp @ (x, y, 1)``, pixels."""
State: TypeAlias = Literal["fixed", "moving", "unknown"]

WIDTH = 320
"""Pixels of the small copy."""
CHECK_S = 0.5
"""Time between two looks at whether the camera moves at all: a slow pan shows in half a second, not in a picture."""
STILL_CHECKS = 4
"""Looks in a row without a movement that make a camera fixed."""
MOVED = 0.75
"""Pixels of the small copy in one look."""
SHARE_MOVING = 0.1
"""Of the looks that saw something: a camera that was knocked once is fixed."""
MOST_CORNERS, CORNER_GAP, CORNER_QUALITY = 120, 8, 0.02
LEAST_CORNERS = 12
AGREE = 0.5
"""Share of the corners that must move alike, else nothing is said."""
WITHIN = 1.0
"""Pixels of the small copy, from where the common movement takes a corner."""

Points: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class _Small:
    """A picture small and grey, with what to look at in it."""

    grey: NDArray[np.uint8]
    scale: tuple[float, float]
    people: Boxes

    @cached_property
    def corners(self) -> Points:
        """What can be followed, outside people, float32 ``(K, 1, 2)``."""
        import cv2

        mask = np.full(self.grey.shape, 255, np.uint8)
        for x1, y1, x2, y2 in (self.people / np.tile(self.scale, 2)).round().astype(int).tolist():
            mask[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = 0
        found = cv2.goodFeaturesToTrack(self.grey, MOST_CORNERS, CORNER_QUALITY, CORNER_GAP, mask=mask)
        return np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)


class CameraMotion:
    """Follows the movement of one camera.

    Attributes:
        looks: how often it was looked whether the camera moves, and something could be said.
        moved: how often it did.
    """

    def __init__(self) -> None:
        self.looks = 0
        self.moved = 0
        self._still = 0
        self._before: _Small | None = None
        self._checked: _Small | None = None
        self._checked_s = -np.inf
        self._since: Warp | None = None

    @property
    def state(self) -> State:
        """``fixed`` or ``moving`` by all that was seen; ``unknown`` where nothing could be seen."""
        if self.looks == 0:
            return "unknown"
        return "moving" if self.moved > SHARE_MOVING * self.looks else "fixed"

    @property
    def is_still(self) -> bool:
        """Whether the camera has stood still lately, so that it need not be followed."""
        return self._still >= STILL_CHECKS

    def update(self, image: Image, people: Boxes, time_s: float) -> Warp | None:
        """Take one picture.

        Args:
            image: uint8 ``(H, W, 3)`` BGR.
            people: float32 ``(N, 4)``, everybody found in it.
            time_s: of the picture, seconds; grows.

        Returns:
            Where points of the picture before are now; None when the camera stands still, or when nothing can be said.
        """
        due = time_s - self._checked_s >= CHECK_S - 1e-6
        if self.is_still and not due:
            self._before = None
            return None
        now = _small(image, people)
        warp = None if self._before is None else _between(self._before, now)
        self._since = None if warp is None or self._since is None else _after(self._since, warp)
        if due:
            self._check(now, time_s)
        self._before = None if self.is_still else now
        return None if warp is None or self.is_still else _in_pixels(warp, now.scale)

    def _check(self, now: _Small, time_s: float) -> None:
        """Whether the camera moved since the last look; after a long way only the single steps tell."""
        before, self._checked, self._checked_s = self._checked, now, time_s
        steps, self._since = self._since, np.eye(2, 3)
        warp = None if before is None else _between(before, now)
        warp = steps if warp is None else warp
        if before is None or warp is None:
            return
        self.looks += 1
        if _way(warp, now.grey.shape) > MOVED:
            self.moved += 1
            self._still = 0
        else:
            self._still += 1


def _small(image: Image, people: Boxes) -> _Small:
    """The green channel at ``WIDTH``: rows and columns are left out first, then areas averaged, which costs little."""
    import cv2

    height, width = image.shape[:2]
    step = max(1, width // (2 * WIDTH))
    grey = np.ascontiguousarray(image[::step, ::step, 1])
    size = (min(WIDTH, width), max(1, round(height * min(WIDTH, width) / width)))
    grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _Small(grey, (width / size[0], height / size[1]), people)


def _between(before: _Small, now: _Small) -> Warp | None:
    """Movement, rotation and zoom of the small copy that most corners agree on."""
    import cv2

    points = before.corners
    if len(points) < LEAST_CORNERS or before.grey.shape != now.grey.shape:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before.grey, now.grey, points, np.zeros_like(points), winSize=(13, 13), maxLevel=3
    )
    kept = found.ravel() == 1
    if int(kept.sum()) < LEAST_CORNERS:
        return None
    warp, inliers = cv2.estimateAffinePartial2D(
        points[kept], there[kept], method=cv2.RANSAC, ransacReprojThreshold=WITHIN, maxIters=200
    )
    if warp is None or int(inliers.sum()) < max(LEAST_CORNERS, AGREE * len(points)):
        return None
    return np.asarray(warp, np.float64)


def _after(first: Warp, then: Warp) -> Warp:
    """One movement after another."""
    whole: Warp = np.vstack((then, (0.0, 0.0, 1.0))) @ np.vstack((first, (0.0, 0.0, 1.0)))
    return whole[:2]


def _way(warp: Warp, shape: tuple[int, ...]) -> float:
    """How far the corners of the picture moved, the most, in pixels of the small copy."""
    height, width = shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    return float(np.linalg.norm(corners @ warp.T - corners[:, :2], axis=1).max())


def _in_pixels(warp: Warp, scale: tuple[float, float]) -> Warp:
    """The same movement in pixels of the picture."""
    return np.asarray(warp * np.array([[1.0, scale[0] / scale[1], scale[0]], [scale[1] / scale[0], 1.0, scale[1]]]))
