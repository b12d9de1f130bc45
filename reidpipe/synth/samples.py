"""The two sample cameras that come with the project."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reidpipe.synth.clip import write_clip
from reidpipe.synth.world import World

__all__ = ["SampleFile", "make_samples", "sample_world"]

SEED = 22
PEOPLE = 8
DURATION_S = 16.0
FPS = 15.0
SIZE = (640, 360)
CRF = 25


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A file that was written: its path, size in bytes and sha256 (hex)."""

    path: Path
    size: int
    sha256: str


def sample_world() -> World:
    """The world of the samples: eight people, one court, two cameras whose views overlap in part."""
    return World.make(
        SEED,
        people=PEOPLE,
        cameras=2,
        layout="mixed",
        duration_s=DURATION_S,
        fps=FPS,
        size=SIZE,
        light=1.0,
        obstacles=3,
        roam=0.3,
    )


def make_samples(folder: Path) -> list[SampleFile]:
    """Draws ``cam1.mp4``, ``cam2.mp4``, ``truth/cam1.txt`` and ``truth/cam2.txt`` into a folder, over what is there.

    Args:
        folder: Where to; made if absent.

    Returns:
        The files written.
    """
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    world = sample_world()
    written: list[Path] = []
    for camera in world.cameras:
        video, truth = folder / f"{camera.name}.mp4", folder / "truth" / f"{camera.name}.txt"
        write_clip(world, camera, video, duration_s=DURATION_S, truth=truth, crf=CRF)
        written += [video, truth]
    return [SampleFile(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in written]
