"""Small videos made by PyAV, each picture of which tells its own number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from reidpipe.types import Image

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)


def picture(number: int, width: int = 64, height: int = 48) -> Image:
    """Upper left red, upper right green, lower left blue, lower right a grey of ``10 * number``."""
    image = np.zeros((height, width, 3), np.uint8)
    top, left = (height + 1) // 2, (width + 1) // 2
    image[:top, :left], image[:top, left:], image[top:, :left] = RED, GREEN, BLUE
    image[top:, left:] = 10 * number % 250
    return image


def number_of(image: Image) -> int:
    """The number of a ``picture`` below 25, from its lower right quarter."""
    height, width = image.shape[:2]
    return round(float(image[3 * height // 4, 3 * width // 4].mean()) / 10)


def make_clip(
    path: Path,
    *,
    frames: int = 20,
    width: int = 64,
    height: int = 48,
    fps: float = 10.0,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: int | None = None,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    noise: int = 0,
) -> Path:
    """Encode ``picture(0..frames-1)``; ``times_ms`` makes the rate variable, ``noise`` the file larger."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            image = picture(number, width, height)
            if noise:
                image[: height // 2] = rng.integers(0, noise, (height // 2, width, 3))
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_sound(path: Path) -> Path:
    """Half a second of silence, no picture."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        for number in range(8):
            sound.pts = number * 1024
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


def cut(source: Path, target: Path, share: float) -> Path:
    """The first part of a file."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target
