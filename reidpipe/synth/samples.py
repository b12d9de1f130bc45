"""The two sample cameras that come with the project."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reidpipe.synth.clip import write_world
from reidpipe.synth.world import World

__all__ = ["SampleFile", "make_samples", "sample_world"]

SEED = 26
PEOPLE = 6
DURATION_S = 18.0
FPS = 15.0
SIZE = (640, 360)
CRF = 25


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A file that was written: its path, size in bytes and sha256 (hex)."""

    path: Path
    size: int
    sha256: str

    def __str__(self) -> str:
        return str(self.path)


def sample_world() -> World:
    """The world of the samples: six people, one court with doors, two cameras that look at it from two corners."""
    return World.make(
        SEED,
        people=PEOPLE,
        cameras=2,
        layout="overlap",
        duration_s=DURATION_S,
        fps=FPS,
        size=SIZE,
        light=1.0,
        obstacles=1,
        roam=0.3,
    )


def make_samples(folder: Path) -> list[SampleFile]:
    """Draws ``cam1.mp4``, ``cam2.mp4``, ``truth/cam1.txt``, ``truth/cam2.txt`` and the truth's ``truth/SHA256SUMS``.

    Args:
        folder: Where to; made if absent; what is there is written over.

    Returns:
        The files written, the list of digests last.
    """
    files = [_facts(path) for path in write_world(sample_world(), folder, duration_s=DURATION_S, crf=CRF)]
    sums = folder / "truth" / "SHA256SUMS"
    lines = [f"{file.sha256}  {file.path.name}\n" for file in files if file.path.suffix == ".txt"]
    sums.write_text("".join(lines), encoding="utf-8", newline="\n")
    return [*files, _facts(sums)]


def _facts(path: Path) -> SampleFile:
    return SampleFile(path, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
