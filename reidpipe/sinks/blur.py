"""People made unrecognisable, before a picture leaves the process: video, thumbnails, status page."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from reidpipe.types import Boxes, Detections, FrameResult, Image

__all__ = ["Blur", "Hider", "blur_people", "blurred"]

Blur: TypeAlias = Literal["nobody", "heads", "people"]

_HEAD = 0.25  # of a standing person's height, chin and hair included
_MARGIN = 0.08  # of the box: boxes are cut close
_CELLS = 6  # across the narrower side: too few to tell a face, or a pattern on a shirt


class Hider:
    """Hides whoever is tracked, and whoever the detector saw in this or the last picture of the camera.

    Args:
        what: is hidden.
    """

    def __init__(self, what: Blur) -> None:
        self._what = what
        self._seen: dict[str, Boxes] = {}

    def hide(self, result: FrameResult, found: Detections | None) -> FrameResult:
        """The result with a picture that may be shown; ``found`` is None when it was not looked at by the detector."""
        if self._what == "nobody":
            return result
        camera = result.frame.camera
        if found is not None:
            self._seen[camera] = found.boxes
        also = self._seen.get(camera)
        if also is None or not len(also) or not result.frame.has_image:
            return blurred(result, self._what)
        image = blur_people(result.frame.image, np.concatenate((also, result.tracks.boxes)), self._what)
        return replace(result, frame=replace(result.frame, image=image))


def blurred(result: FrameResult, what: Blur) -> FrameResult:
    """The result with a picture that may be shown; the same object when there is nothing to hide.

    Only who is tracked can be hidden: somebody the detector does not find stays visible.
    """
    if what == "nobody" or not result.frame.has_image or not len(result.tracks):
        return result
    image = blur_people(result.frame.image, result.tracks.boxes, what)
    return replace(result, frame=replace(result.frame, image=image))


def blur_people(image: Image, boxes: Boxes, what: Blur) -> Image:
    """A copy with each person, or their head, as a few squares of one colour each.

    Args:
        image: uint8 ``(H, W, 3)`` BGR.
        boxes: float32 ``(N, 4)`` x1 y1 x2 y2, pixels; may reach outside.
        what: ``people`` or ``heads``; ``nobody`` changes nothing.
    """
    shown = image.copy()
    if what == "nobody":
        return shown
    height, width = image.shape[:2]
    for x1, y1, x2, y2 in boxes.tolist():
        margin_x, margin_y = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
        bottom = y2 + margin_y if what == "people" else y1 + _HEAD * (y2 - y1)
        left, top = max(0, int(x1 - margin_x)), max(0, int(y1 - margin_y))
        right, bottom = min(width, int(np.ceil(x2 + margin_x))), min(height, int(np.ceil(bottom)))
        if right > left and bottom > top:
            # From the original: where two overlap, squares of squares would show the order they were made in.
            shown[top:bottom, left:right] = _squares(image[top:bottom, left:right])
    return shown


def _squares(patch: Image) -> Image:
    import cv2

    height, width = patch.shape[:2]
    side = max(1.0, min(height, width) / _CELLS)
    cells = (max(1, round(width / side)), max(1, round(height / side)))
    small = cv2.resize(patch, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
