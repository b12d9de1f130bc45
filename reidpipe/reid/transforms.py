"""Training augmentation of person crops with numpy and OpenCV: one warp, one colour matrix, then degradations.

Crops come and go as uint8 BGR. A camera that nobody has seen differs in colour cast, exposure, sharpness and framing,
so those are what is varied. Every random number comes from the generator that is handed in.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from reidpipe.types import Image

Matrix = NDArray[np.float32]
LUMA_BGR = np.array([0.114, 0.587, 0.299], dtype=np.float32)  # ITU-R BT.601


class AugmentConfig(BaseModel):
    """How strongly crops are varied; `p_*` are probabilities per crop, the others half-widths of uniform ranges.

    Attributes:
        p_flip: Mirror left-right.
        scale: Relative change of the framing (0.08: 92 to 108 %).
        aspect: Relative change of width against height.
        shift: Move, as part of the size.
        rotate_degrees: Rotation.
        brightness: Relative change of all channels.
        contrast: Relative change around the mean.
        saturation: Relative change of colourfulness.
        hue_degrees: Rotation of the colours around the grey axis.
        channel_gain: Relative change of each channel by itself: white balance of another camera.
        p_grey_world: Scale the channels to equal means.
        p_grey: Take the colour away.
        gamma: Exponent range, as log2.
        p_blur: Gaussian blur.
        p_low_resolution: Shrink to 25 to 70 % and enlarge again.
        p_jpeg: JPEG at quality 20 to 70.
        p_noise: Gaussian noise, sigma up to 12 levels.
        p_erase: Erase a rectangle of 2 to 30 % of the area (Zhong et al., AAAI 2020) with noise or the mean colour.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    p_flip: float = Field(0.5, ge=0, le=1)
    scale: float = Field(0.10, ge=0, lt=1)
    aspect: float = Field(0.08, ge=0, lt=1)
    shift: float = Field(0.06, ge=0, lt=1)
    rotate_degrees: float = Field(4.0, ge=0, le=45)
    brightness: float = Field(0.25, ge=0, lt=1)
    contrast: float = Field(0.20, ge=0, lt=1)
    saturation: float = Field(0.30, ge=0, le=1)
    hue_degrees: float = Field(8.0, ge=0, le=180)
    channel_gain: float = Field(0.10, ge=0, lt=1)
    p_grey_world: float = Field(0.10, ge=0, le=1)
    p_grey: float = Field(0.02, ge=0, le=1)
    gamma: float = Field(0.40, ge=0, le=2)
    p_blur: float = Field(0.15, ge=0, le=1)
    p_low_resolution: float = Field(0.20, ge=0, le=1)
    p_jpeg: float = Field(0.15, ge=0, le=1)
    p_noise: float = Field(0.10, ge=0, le=1)
    p_erase: float = Field(0.35, ge=0, le=1)


def augment(crop: Image, config: AugmentConfig, rng: np.random.Generator, *, height: int, width: int) -> Image:
    """Vary one crop and bring it to `(height, width, 3)`; uint8 BGR in and out."""
    out = warp(crop, config, rng, height=height, width=width)
    out = shift_colours(out, config, rng)
    out = degrade(out, config, rng)
    if rng.random() < config.p_erase:
        erase(out, rng)
    return out


def warp(crop: Image, config: AugmentConfig, rng: np.random.Generator, *, height: int, width: int) -> Image:
    """Flip, scale, stretch, shift and rotate in one bilinear warp; what lies outside is filled by reflection."""
    import cv2

    rows, columns = crop.shape[:2]
    zoom = 1 + rng.uniform(-config.scale, config.scale)
    stretch = 1 + rng.uniform(-config.aspect, config.aspect)
    mirror = -1.0 if rng.random() < config.p_flip else 1.0
    angle = math.radians(rng.uniform(-config.rotate_degrees, config.rotate_degrees))
    # output pixel -> input pixel, both around their centres
    sx, sy = mirror * columns / width / (zoom * stretch), rows / height / zoom
    dx, dy = (rng.uniform(-config.shift, config.shift) * size for size in (columns, rows))
    cos, sin = math.cos(angle), math.sin(angle)
    linear = np.array([[sx * cos, -sx * sin], [sy * sin, sy * cos]])
    centre_out = np.array([(width - 1) / 2, (height - 1) / 2])
    centre_in = np.array([(columns - 1) / 2 + dx, (rows - 1) / 2 + dy])
    matrix = np.column_stack([linear, centre_in - linear @ centre_out])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(crop, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, dtype=np.uint8)


def shift_colours(crop: Image, config: AugmentConfig, rng: np.random.Generator) -> Image:
    """Brightness, contrast, saturation, hue, white balance and gamma: one 3x4 matrix and one table."""
    import cv2

    matrix = np.eye(3, dtype=np.float32)
    mean = (np.array(cv2.sumElems(crop)[:3]) / (crop.shape[0] * crop.shape[1])).astype(
        np.float32
    )  # numpy's, 100 times faster
    if rng.random() < config.p_grey_world:
        matrix = np.diag(np.clip(mean.mean() / np.maximum(mean, 1), 0.6, 1.7)).astype(np.float32)
    matrix = matrix * (1 + rng.uniform(-config.channel_gain, config.channel_gain, (3, 1))).astype(np.float32)
    matrix = _hue(math.radians(rng.uniform(-config.hue_degrees, config.hue_degrees))) @ matrix
    grey = rng.random() < config.p_grey
    colourfulness = 0.0 if grey else 1 + rng.uniform(-config.saturation, config.saturation)
    matrix = (colourfulness * np.eye(3, dtype=np.float32) + (1 - colourfulness) * LUMA_BGR[None, :]) @ matrix
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    gain = 1 + rng.uniform(-config.brightness, config.brightness)
    offset = gain * (1 - contrast) * float((matrix @ mean).mean())
    full = np.column_stack([gain * contrast * matrix, np.full(3, offset)]).astype(np.float32)
    out = cv2.transform(crop, full)
    exponent = 2.0 ** rng.uniform(-config.gamma, config.gamma)
    table = (255.0 * np.linspace(0, 1, 256) ** exponent + 0.5).astype(np.uint8)
    return np.asarray(cv2.LUT(out, table), dtype=np.uint8)


def _hue(angle: float) -> Matrix:
    """Rotation of colour space around the grey axis (Rodrigues' formula)."""
    cos, sin = math.cos(angle), math.sin(angle) / math.sqrt(3)
    spread = (1 - cos) / 3
    return np.array(
        [
            [cos + spread, spread - sin, spread + sin],
            [spread + sin, cos + spread, spread - sin],
            [spread - sin, spread + sin, cos + spread],
        ],
        dtype=np.float32,
    )


def degrade(crop: Image, config: AugmentConfig, rng: np.random.Generator) -> Image:
    """What a poor camera does: lower resolution, blur, noise, compression."""
    import cv2

    rows, columns = crop.shape[:2]
    if rng.random() < config.p_low_resolution:
        part = rng.uniform(0.25, 0.7)
        small = cv2.resize(crop, (max(int(columns * part), 4), max(int(rows * part), 8)), interpolation=cv2.INTER_AREA)
        crop = np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    if rng.random() < config.p_blur:
        sigma = rng.uniform(0.4, 1.0) * rows / 96
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), dtype=np.uint8)
    if rng.random() < config.p_noise:
        noise = rng.standard_normal(crop.shape, dtype=np.float32) * np.float32(rng.uniform(2, 12))
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.p_jpeg:
        _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))])
        crop = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return crop


def erase(crop: Image, rng: np.random.Generator) -> None:
    """Erase a random rectangle in place: noise half of the time, else one random colour."""
    rows, columns = crop.shape[:2]
    area = rng.uniform(0.02, 0.30) * rows * columns
    ratio = math.exp(rng.uniform(math.log(0.3), math.log(3.3)))
    box_rows, box_columns = int(math.sqrt(area * ratio)), int(math.sqrt(area / ratio))
    if not (0 < box_rows < rows and 0 < box_columns < columns):
        return
    top, left = int(rng.integers(0, rows - box_rows)), int(rng.integers(0, columns - box_columns))
    if rng.random() < 0.5:
        fill = rng.integers(0, 256, (box_rows, box_columns, 3), dtype=np.uint8)
    else:
        fill = np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (box_rows, box_columns, 3))
    crop[top : top + box_rows, left : left + box_columns] = fill
