"""Frames of the synthetic world as training pictures: other seeds than the samples', random crops, exact boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from reidpipe.synth.world import World

from .dataset import write_labels

FIRST_SEED = 20_000  # far from the samples (7) and from the seeds of tests and benchmarks
FRAMES_EACH = 6  # per camera
LEAST_VISIBLE = 0.25  # people of whom less can be seen get no box
LAYOUTS: tuple[Literal["mixed", "overlap", "apart"], ...] = ("mixed", "overlap", "apart")
SIZES = ((640, 360), (640, 480), (800, 450), (576, 432))


def make_world(seed: int) -> World:
    """A world of random size: 2 or 3 cameras, 4 to 14 people, any light."""
    rng = np.random.default_rng([seed, 0xDE7])
    return World.make(
        seed, people=int(rng.integers(4, 15)), cameras=int(rng.integers(2, 4)), duration_s=20.0,
        layout=LAYOUTS[int(rng.integers(3))], size=SIZES[int(rng.integers(len(SIZES)))],
        light=float(rng.uniform(0.2, 1.0)), obstacles=int(rng.integers(1, 7)),
    )  # fmt: skip


def crop_window(rng: np.random.Generator, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a random window of half to all of the frame."""
    share = rng.uniform(0.5, 1.0)
    wide, high = round(width * share), round(height * min(1.0, share * rng.uniform(1.0, 1.5)))
    left, top = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
    return left, top, left + wide, top + high


def generate(output: Path, worlds: int) -> int:
    """Write ``images`` and ``labels`` of ``worlds`` worlds under ``output``; worlds already there are skipped.

    Returns:
        The number of pictures in the folder.
    """
    images, labels = output / "images", output / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for seed in range(FIRST_SEED, FIRST_SEED + worlds):
        if any(images.glob(f"synth_{seed}_*.jpg")):
            continue
        world = make_world(seed)
        rng = np.random.default_rng([seed, 0xC0])
        for camera in world.cameras:
            for number, time_s in enumerate(np.sort(rng.uniform(0, 20.0, FRAMES_EACH))):
                frame = world.render(camera, float(time_s))
                height, width = frame.image.shape[:2]
                left, top, right, bottom = crop_window(rng, width, height)
                picture = frame.image[top:bottom, left:right]
                origin = np.array([left, top, left, top], np.float32)
                limit = np.array([right - left, bottom - top] * 2, np.float32)
                cut = np.clip(frame.boxes - origin, 0, limit)
                whole = (frame.boxes[:, 2:] - frame.boxes[:, :2]).prod(axis=1)
                kept = (frame.visibility >= LEAST_VISIBLE) & ((cut[:, 2:] - cut[:, :2]).prod(axis=1) >= 0.3 * whole)
                name = f"synth_{seed}_{camera.name}_{number}"
                quality = int(rng.integers(55, 96))
                cv2.imwrite(str(images / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
                write_labels(labels / f"{name}.txt", cut[kept] / limit)
    return len(list(images.glob("*.jpg")))
