"""What the search works on: seen once, kept, and seen again when anything that matters has changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reidpipe.config import Config
from reidpipe.errors import ConfigError, SourceError
from reidpipe.tune.follow import measure
from reidpipe.tune.sequences import load_sequence
from tests.tune.conftest import write_sequence
from tests.videos import write_video


def test_sequences_text_alone_is_followed_by_its_detections(tmp_path: Path) -> None:
    config = Config.load()
    known = load_sequence(str(write_sequence(tmp_path / "gate", seed=0, weak=False)), config=config, folder=tmp_path)
    assert (known.name, len(known.frames), known.vectors, known.replayed) == ("gate", 60, None, True)
    assert known.times_s[29] == pytest.approx(1.0, abs=1e-9)
    pictures = list(known.pictures())
    assert [frame for frame, *_ in pictures] == list(range(1, 61))
    assert sum(len(found) for _, _, found, _ in pictures) == len(known.boxes) == len(known.truth)
    assert measure(config, known).scores()["HOTA"] > 80
    assert measure(config, known, refined=True).scores()["HOTA"] > 80


def test_sequences_a_video_is_looked_at_once(tmp_path: Path) -> None:
    video = write_video(tmp_path / "cam.mp4", frames=6, width=160, height=120, fps=10)
    truth, replay = tmp_path / "truth.txt", tmp_path / "det.txt"
    truth.write_text("".join(f"{frame},1,10,10,20,60,1\n" for frame in range(1, 7)))
    replay.write_text("".join(f"{frame},-1,10,10,20,60,0.9\n" for frame in range(1, 7)))
    config = Config.load()
    options = {"config": config, "folder": tmp_path / "out", "truth": truth, "detections": replay}
    first = load_sequence(f"yard={video}", **options)  # type: ignore[arg-type]
    assert first.name == "yard"
    assert first.vectors is not None
    assert np.abs(np.linalg.norm(first.vectors, axis=1) - 1).max() < 1e-3
    again = load_sequence(f"yard={video}", **options)  # type: ignore[arg-type]
    assert "kept from before" in again.origin
    assert again.digest() == first.digest()
    replay.write_text("".join(f"{frame},-1,12,10,20,60,0.9\n" for frame in range(1, 7)))
    other = load_sequence(f"yard={video}", looks=False, **options)  # type: ignore[arg-type]
    assert "kept from before" not in other.origin
    assert other.vectors is None
    assert other.digest() != first.digest()


def test_sequences_without_truth_or_without_detections_are_refused(tmp_path: Path) -> None:
    config, folder = Config.load(), write_sequence(tmp_path / "gate", seed=0)
    with pytest.raises(ConfigError, match="--truth nowhere=PATH"):
        load_sequence(str(tmp_path / "nowhere"), config=config, folder=tmp_path)
    (folder / "det" / "det2.txt").write_text("1,-1,1,1,10,20,0.9\n")
    with pytest.raises(ConfigError, match=r"det.txt, det2.txt.*--detections gate=PATH"):
        load_sequence(str(folder), config=config, folder=tmp_path)
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=30\n")
    with pytest.raises(ConfigError, match="seqLength"):
        load_sequence(str(folder), config=config, folder=tmp_path, detections=folder / "det" / "det.txt")
    (folder / "gt" / "gt.txt").write_text("")
    with pytest.raises(ConfigError, match="nobody in the truth"):
        load_sequence(str(folder), config=config, folder=tmp_path)
    (tmp_path / "t.txt").write_text("1,1,1,1,10,20,1\n")
    with pytest.raises(SourceError):
        load_sequence(str(tmp_path / "no.mp4"), config=config, folder=tmp_path, truth=tmp_path / "t.txt")
