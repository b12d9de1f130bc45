"""MOTChallenge sequences as cameras."""

from __future__ import annotations

from pathlib import Path

import pytest

from reidpipe.errors import SourceError
from reidpipe.source import open_source
from reidpipe.source.mot import open_mot
from tests.source.clips import make_clip
from tests.source.test_folder import save

INI = "[Sequence]\nname=S\nimDir=img1\nframeRate=7\nseqLength=3\n"


def sequence(folder: Path, ini: str, images: tuple[str, ...] = ()) -> Path:
    folder.mkdir()
    (folder / "seqinfo.ini").write_text(ini)
    if images:
        (folder / "img1").mkdir()
    for number, name in enumerate(images):
        save(folder / "img1" / name, number)
    return folder


def test_mot_images_have_the_numbers_of_their_files(tmp_path: Path) -> None:
    folder = sequence(tmp_path / "S", INI, ("000001.jpg", "000002.jpg", "000004.jpg"))
    source = open_mot(folder)
    frames = list(source.frames())
    assert [frame.index for frame in frames] == [0, 1, 3]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 1 / 7, 3 / 7], abs=1e-9)
    assert (source.camera, source.info.fps, source.info.warnings) == ("S", 7.0, ())


@pytest.mark.parametrize("line", ["video=clip.mp4\n", ""])
def test_mot_video_beside_the_ini(tmp_path: Path, line: str) -> None:
    folder = sequence(tmp_path / "S", f"[Sequence]\nframeRate=10\n{line}; a comment with 100 %\n")
    make_clip(folder / "clip.mp4", frames=4)
    source = open_source(str(folder))
    assert source.camera == "S"
    assert [frame.index for frame in source.frames()] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ("", r"\[Sequence\]"),
        ("name=S\n", r"\[Sequence\]"),
        ("[Sequence]\nframeRate=7\n", "no image folder and no video"),
        ("[Sequence]\nvideo=gone.mp4\n", "no such file"),
    ],
)
def test_mot_without_pictures_is_an_error(tmp_path: Path, ini: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_mot(sequence(tmp_path / "S", ini), camera="x")


@pytest.mark.parametrize("rate", ["0", "many", "-3", "nan"])
def test_mot_bad_rate_is_an_error(tmp_path: Path, rate: str) -> None:
    folder = sequence(tmp_path / "S", f"[Sequence]\nframeRate={rate}\n", ("1.png",))
    with pytest.raises(SourceError, match="no frame rate"):
        open_mot(folder)


@pytest.mark.real
def test_mot_real_sequence(shared_data: Path) -> None:
    source = open_source(shared_data / "mot" / "TUD-Stadtmitte", duration_s=1.0)
    assert source.camera == "TUD-Stadtmitte"
    assert len(list(source.frames())) == 25
