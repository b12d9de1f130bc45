"""A photo, and who in it is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reidpipe.boxes import clip, valid
from reidpipe.errors import ConfigError
from reidpipe.stages import Detector, Embedder
from reidpipe.types import Boxes, Image, Vectors

__all__ = ["LEAST_SCORE", "Photo", "choose_person", "open_photo"]

LEAST_SCORE = 0.4
"""Detections below are no person that somebody would mean."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture with one person chosen.

    Attributes:
        path: of the file.
        image: uint8 ``(H, W, 3)`` BGR.
        box: float32 ``(4,)`` x1 y1 x2 y2, pixels, inside the picture.
    """

    path: Path
    image: Image
    box: Boxes

    @property
    def crop(self) -> Image:
        """The person's pixels."""
        x1, y1 = np.floor(self.box[:2]).astype(int)
        x2, y2 = np.ceil(self.box[2:]).astype(int)
        return self.image[y1:y2, x1:x2]

    def vector(self, embedder: Embedder) -> Vectors:
        """What the person looks like, float32 ``(dim,)`` of unit length."""
        return np.asarray(embedder.embed([self.image], [self.box[None]])[0][0], dtype=np.float32)


def open_photo(path: Path | str) -> Image:
    """A picture file as uint8 ``(H, W, 3)`` BGR, turned upright as its EXIF data says.

    Raises:
        ConfigError: it is missing or no picture that can be read.
    """
    import cv2

    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        raise ConfigError(f"cannot read the photo {path}: {error.strerror}") from error
    image = None
    if data.size:
        try:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except cv2.error:  # a picture that claims to be larger than any memory
            image = None
    if image is None:
        raise ConfigError(f"{path} is no picture that can be read: give a JPEG, PNG, WebP, BMP or TIFF file")
    return np.asarray(image, dtype=np.uint8)


def choose_person(
    path: Path | str,
    detector: Detector | None,
    *,
    box: tuple[float, float, float, float] | None = None,
    person: int | None = None,
) -> Photo:
    """Open a photo and say who in it is meant.

    Args:
        path: of the photo.
        detector: finds people; not needed when ``box`` is given.
        box: x1 y1 x2 y2 in pixels: the person is there, nobody is searched for.
        person: number of the person, from 1, counted from left to right.

    Raises:
        ConfigError: the photo cannot be read, shows nobody, or shows several and none was chosen: then the message
            lists them.
    """
    image = open_photo(path)
    if box is not None:
        return Photo(Path(path), image, _inside(path, image, np.array(box, np.float32)))
    if detector is None:
        raise ConfigError("a detector is needed when no box is given")
    boxes = _people(detector, image)
    if not len(boxes):
        height, width = image.shape[:2]
        raise ConfigError(
            f"nobody was found in {path}: take another photo, or say where the person is with --box x1,y1,x2,y2 "
            f"(the whole picture is 0,0,{width},{height})"
        )
    if person is not None and not 1 <= person <= len(boxes):
        raise ConfigError(f"{path} shows {_persons(len(boxes))}, so there is no --person {person}: {_listed(boxes)}")
    if person is None and len(boxes) > 1:
        raise ConfigError(
            f"{path} shows {_persons(len(boxes))}: say which with --person N or --box x1,y1,x2,y2: {_listed(boxes)}"
        )
    return Photo(Path(path), image, boxes[(person or 1) - 1])


def _people(detector: Detector, image: Image) -> Boxes:
    """Boxes of the people in a picture, float32 ``(N, 4)``, from left to right."""
    found = detector.detect([image])[0]
    boxes = clip(found.boxes[found.scores >= LEAST_SCORE], width=image.shape[1], height=image.shape[0])
    boxes = boxes[valid(boxes)]
    return boxes[np.lexsort((boxes[:, 1], boxes[:, 0] + boxes[:, 2]))]


def _inside(path: Path | str, image: Image, box: Boxes) -> Boxes:
    height, width = image.shape[:2]
    if not np.isfinite(box).all() or not valid(box[None])[0]:
        raise ConfigError("--box needs x1,y1,x2,y2 with x2 above x1 and y2 above y1, in pixels")
    inside: Boxes = clip(box[None], width=width, height=height)[0]
    if inside[2] - inside[0] < 1 or inside[3] - inside[1] < 1:
        raise ConfigError(f"--box lies outside of {path}, which is {width} x {height} pixels")
    return inside


def _persons(count: int) -> str:
    return "one person" if count == 1 else f"{count} people"


def _listed(boxes: Boxes) -> str:
    return "; ".join(f"{number} at {','.join(f'{v:.0f}' for v in box)}" for number, box in enumerate(boxes.tolist(), 1))
