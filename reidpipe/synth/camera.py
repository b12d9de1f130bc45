"""Perspective cameras of the synthetic world and the way each of them sees light and colour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Image

__all__ = ["Camera", "Response", "sample_response"]

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Response:
    """How a camera turns light into numbers.

    Attributes:
        exposure: Factor on the light.
        white_balance: Factors on blue, green, red.
        gamma: Display exponent; 2.2 is usual, larger = flatter.
        saturation: 1 = as it is, 0 = grey.
        vignette: Loss of light in the corners, 0..1.
        blur_px: Standard deviation of the lens blur, pixels.
        noise: Standard deviation of the sensor noise at mid grey, grey levels of 255.
    """

    exposure: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 2.2
    saturation: float = 1.0
    vignette: float = 0.15
    blur_px: float = 0.45
    noise: float = 1.5

    def develop(self, light: NDArray[np.float32], gain: float, rng: np.random.Generator) -> Image:
        """Linear light, float32 (H, W, 3) BGR, to a picture, uint8 (H, W, 3) BGR; ``gain`` is this moment's light."""
        height, width = light.shape[:2]
        if self.blur_px > 0.1:
            light = cv2.GaussianBlur(light, (0, 0), self.blur_px)
        factor = np.asarray(self.white_balance, dtype=np.float32) * np.float32(self.exposure * gain)
        light = light * factor
        mix = (1 - self.saturation) * np.tile([0.114, 0.587, 0.299], (3, 1)) + self.saturation * np.eye(3)
        light = cv2.transform(light, mix.astype(np.float32))
        rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
        columns = np.linspace(-1, 1, width, dtype=np.float32)[None] ** 2
        light *= (1 - np.float32(0.5 * self.vignette) * (rows + columns))[..., None]
        np.maximum(light, 0.0, out=light)
        light = light * np.float32(1.3) / (1 + np.float32(0.3) * light)
        picture = cv2.pow(light, 1.0 / self.gamma) * np.float32(255.0)
        # Sensor noise from one tile of random numbers, shifted at random: quick, and never the same twice.
        tile = rng.standard_normal((height // 4 + 8, width // 4 + 8, 3), dtype=np.float32) * np.float32(self.noise)
        tile = np.tile(tile, (5, 5, 1))
        top, left = int(rng.integers(8)), int(rng.integers(8))
        picture += tile[top : top + height, left : left + width]
        return np.asarray(cv2.convertScaleAbs(np.maximum(picture, 0)), dtype=np.uint8)


def sample_response(rng: np.random.Generator, variation: float) -> Response:
    """A camera's response; ``variation`` 0 = all alike, 1 = as different as cheap cameras are."""
    warm = float(rng.normal(0, 0.09)) * variation
    green = float(rng.normal(0, 0.025)) * variation
    return Response(
        exposure=float(np.exp(np.clip(rng.normal(0, 0.22), -0.4, 0.4) * variation)),
        white_balance=(1.0 - warm, 1.0 + green, 1.0 + warm),
        gamma=2.2 + float(rng.uniform(-0.2, 0.25)) * variation,
        saturation=1.0 + float(rng.uniform(-0.25, 0.12)) * variation,
        vignette=0.10 + 0.2 * float(rng.random()) * variation,
        blur_px=0.40 + 0.30 * float(rng.random()) * variation,
        noise=1.0 + 1.5 * float(rng.random()) * variation,
    )


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera without roll; its optical axis passes through the middle of the frame.

    Attributes:
        name: Camera name, e.g. ``cam1``.
        position: World x, y, z, metres.
        yaw: Viewing direction around the vertical, radians from the x axis, counter-clockwise.
        pitch: How far it looks down, radians.
        focal_px: Focal length, pixels.
        size: Width and height of the frame, pixels.
        fps: Frames a second.
        court: Which part of the site it hangs in.
        response: Light and colour.
        clock_skew_s: World time minus the camera's own time.
    """

    name: str
    position: tuple[float, float, float]
    yaw: float
    pitch: float
    focal_px: float
    size: tuple[int, int]
    fps: float
    court: int = 0
    response: Response = field(default_factory=Response)
    clock_skew_s: float = 0.0

    def axes(self) -> Array:
        """float64 (3, 3): rows are the camera's right, down and forward directions in the world."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        forward = np.array([cos * np.cos(self.pitch), sin * np.cos(self.pitch), -np.sin(self.pitch)])
        right = np.array([sin, -cos, 0.0])
        return np.stack([right, np.cross(forward, right), forward])

    def project(self, points: Array) -> tuple[Array, Array]:
        """World points to the frame.

        Args:
            points: float64 (..., 3), metres.

        Returns:
            float64 (..., 2), x y in pixels (the middle of the first pixel is 0.5, 0.5), and float64 (...), distance
            along the optical axis in metres; positions are meaningless where it is not positive.
        """
        seen = (points - np.asarray(self.position)) @ self.axes().T
        depth = seen[..., 2]
        safe = np.where(depth > 0.05, depth, 0.05)
        middle = np.array([self.size[0] / 2, self.size[1] / 2])
        return seen[..., :2] / safe[..., None] * self.focal_px + middle, depth

    def rays(self, columns: Array, rows: Array) -> Array:
        """Directions through frame positions, float64 (R, C, 3), of length 1 along the optical axis."""
        across = (columns - self.size[0] / 2) / self.focal_px
        down = (rows - self.size[1] / 2) / self.focal_px
        right, low, forward = self.axes()
        return np.asarray(forward + across[None, :, None] * right + down[:, None, None] * low)
