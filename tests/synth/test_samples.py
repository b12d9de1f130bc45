from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest

from reidpipe.synth import make_samples, sample_world, samples

CAMERAS = ("cam1", "cam2")


@pytest.fixture(scope="module")
def tables(repo_root: Path) -> dict[str, np.ndarray]:
    return {name: np.loadtxt(repo_root / "samples" / "truth" / f"{name}.txt", delimiter=",") for name in CAMERAS}


@pytest.mark.parametrize("name", CAMERAS)
def test_samples_are_small_short_and_playable(repo_root: Path, name: str) -> None:
    path = repo_root / "samples" / f"{name}.mp4"
    assert path.stat().st_size < 3_000_000
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == samples.SIZE
        frames = sum(1 for _ in container.decode(stream))
    assert frames == round(samples.DURATION_S * samples.FPS)
    assert 10 <= frames / samples.FPS <= 20


def test_samples_show_everybody_in_both_cameras(tables: dict[str, np.ndarray]) -> None:
    for table in tables.values():
        clear = table[table[:, 8] > 0.7]
        people, frames = np.unique(clear[:, 1], return_counts=True)
        assert people.tolist() == list(range(1, samples.PEOPLE + 1))
        assert frames.min() >= 1.5 * samples.FPS


def test_samples_hold_occlusions_exits_and_re_entries(tables: dict[str, np.ndarray]) -> None:
    covered = returns = together = 0
    for table in tables.values():
        covered += int((table[:, 8] < 0.3).sum())
        for person in range(1, samples.PEOPLE + 1):
            seen = np.sort(table[(table[:, 1] == person) & (table[:, 8] > 0.05), 0])
            returns += int((np.diff(seen) > 5).sum())
    assert covered > 60
    assert returns >= 3
    both = {name: {(int(f), int(p)) for f, p, *_, v in table if v > 0.7} for name, table in tables.items()}
    together = len(both["cam1"] & both["cam2"])
    everywhere = len(both["cam1"] | both["cam2"])
    assert 0.1 < together / everywhere < 0.9


def test_samples_truth_is_what_the_world_says_now(tables: dict[str, np.ndarray]) -> None:
    world = sample_world()
    for name, table in tables.items():
        camera = world.camera(name)
        for frame in (1, 77, 240):
            rows = table[table[:, 0] == frame]
            truth = world.truth(camera, (frame - 1) / camera.fps)
            np.testing.assert_array_equal(rows[:, 1], truth.ids)
            # Two decimals in the file; the last bits of a float may differ between processors.
            np.testing.assert_allclose(rows[:, 2:4], truth.boxes[:, :2], atol=0.05)
            np.testing.assert_allclose(rows[:, 2:4] + rows[:, 4:6], truth.boxes[:, 2:], atol=0.05)
            drawn = world.render(camera, (frame - 1) / camera.fps)
            np.testing.assert_allclose(rows[:, 8], drawn.visibility, atol=0.01)


def test_samples_truth_is_as_it_was_made(repo_root: Path) -> None:
    folder = repo_root / "samples" / "truth"
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_samples_can_be_made_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "DURATION_S", 0.2)
    monkeypatch.setattr(samples, "SIZE", (96, 64))
    written = make_samples(tmp_path / "new" / "folder")
    assert [file.path.relative_to(tmp_path / "new" / "folder").as_posix() for file in written] == [
        "cam1.mp4", "truth/cam1.txt", "cam2.mp4", "truth/cam2.txt", "truth/SHA256SUMS",
    ]  # fmt: skip
    assert all(file.size == file.path.stat().st_size > 0 for file in written)
    assert [file.sha256 for file in make_samples(tmp_path / "again")] == [file.sha256 for file in written]
