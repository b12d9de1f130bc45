"""Nothing grows with the length of a recording but the files it writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from reidpipe.config import Config
from reidpipe.recorded import run
from tests.videos import write_video

FRAMES = 10_000
EARLY = 2_000
GROWTH = 1.05


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Notes the memory at two moments of the first pass."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}
        self._frames = 0

    def phase(self, name: str, totals: Mapping[str, int | None]) -> None:
        self._frames = 0

    def frame(self, camera: str, *, people: int) -> None:
        self._frames += 1
        if self._frames in (EARLY, FRAMES):
            self.at.setdefault(self._frames, resident_bytes())

    def note(self, message: str) -> None: ...


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory from /proc")
def test_run_memory_after_10000_frames_is_that_after_2000(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "cam.mp4", frames=FRAMES, width=160, height=120, fps=25)
    lines = []
    for frame in range(1, FRAMES + 1):
        for person in range(3):  # three walk through again and again, so that tracks begin and end all the time
            step = (frame + 60 * person) % 180
            if step < 120:
                lines.append(f"{frame},-1,{step},{20 + 10 * person},20,60,0.9,-1,-1,-1")
    (tmp_path / "det.txt").write_text("\n".join(lines))
    config = Config.load(
        values={"detect.name": "replay", "detect.files": {"cam": str(tmp_path / "det.txt")}, "output.video": False}
    )
    meter = Meter()
    run([clip], tmp_path / "out", config=config, progress=meter)
    assert meter.at[FRAMES] <= GROWTH * meter.at[EARLY]
