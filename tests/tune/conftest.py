"""Annotated sequences that cost nothing: people who walk, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.track.scene import Scene


def write_sequence(folder: Path, *, seed: int, weak: bool = True, count: int = 60) -> Path:
    """A MOTChallenge folder without pictures; with ``weak`` scores the tracker's defaults find hardly anybody."""
    (folder / "gt").mkdir(parents=True)
    (folder / "det").mkdir()
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nframeRate=30\nseqLength={count}\n")
    truth, found = [], []
    clean = Scene(people=4, seed=seed, miss=0.0, clutter=0.0).pictures_with_truth(count)
    for frame, (_, detections, who) in enumerate(clean, 1):
        size = detections.boxes[:, 2:] - detections.boxes[:, :2]
        for box, wide, person, score in zip(detections.boxes, size, who, detections.scores, strict=True):
            place = ",".join(f"{value:.2f}" for value in (*box[:2], *wide))
            truth.append(f"{frame},{person + 1},{place},1,1,1.0")
            found.append(f"{frame},-1,{place},{float(score) * (0.55 if weak else 1.0):.3f}")
    (folder / "gt" / "gt.txt").write_text("\n".join(truth) + "\n")
    (folder / "det" / "det.txt").write_text("\n".join(found) + "\n")
    return folder


@pytest.fixture
def sequences(tmp_path: Path) -> list[Path]:
    return [write_sequence(tmp_path / name, seed=seed) for seed, name in enumerate(("gate", "hall"))]
