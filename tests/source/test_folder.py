"""Folders of images as cameras."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source.folder import FolderSource
from reidpipe.stages import Source
from tests.source.clips import picture


def save(path: Path, number: int, width: int = 64, height: int = 48) -> None:
    cv2.imwrite(str(path), picture(number, width, height))


def test_folder_sorts_naturally_and_takes_every_kind(tmp_path: Path) -> None:
    for number, name in enumerate(["img1.png", "img2.jpg", "img10.webp", "img11.bmp", "img100.JPEG"]):
        save(tmp_path / name, number)
    (tmp_path / "readme.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"nothing")
    source = FolderSource(tmp_path, fps=5)
    assert isinstance(source, Source)
    frames = list(source.frames())
    assert [round(float(frame.image[40, 60].mean()) / 10) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 5, atol=1e-9)
    assert (source.info.width, source.info.height, source.info.fps, source.info.frame_count) == (64, 48, 5.0, 5)
    assert source.info.warnings == ()
    assert source.camera == tmp_path.name


def test_folder_without_rate_takes_25_and_says_so(tmp_path: Path) -> None:
    save(tmp_path / "1.png", 0)
    source = FolderSource(tmp_path)
    assert source.info.fps == 25.0
    assert "25 fps" in source.info.warnings[0]


def test_folder_takes_grey_alpha_16_bit_and_other_sizes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((5, 7), 80, np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((8, 9, 4), 80, np.uint8))
    cv2.imwrite(str(tmp_path / "3.png"), np.full((1, 1), 80 * 256, np.uint16))
    shapes = [frame.image.shape for frame in FolderSource(tmp_path, fps=1).frames()]
    assert shapes == [(5, 7, 3), (8, 9, 3), (1, 1, 3)]
    assert all(frame.image.mean() == pytest.approx(80, abs=1) for frame in FolderSource(tmp_path, fps=1).frames())


def test_folder_part(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"{number}.png", number)
    source = FolderSource(tmp_path, fps=2, start_s=1.0, duration_s=1.5)
    assert [(frame.index, frame.time_s) for frame in source.frames()] == [(2, 1.0), (3, 1.5), (4, 2.0)]
    assert source.info.frame_count == 3
    with pytest.raises(SourceError, match="after the end"):
        FolderSource(tmp_path, fps=2, start_s=5.0)


def test_folder_broken_image_is_a_gap_and_a_warning(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes(b"no image")
    source = FolderSource(tmp_path, fps=1)
    assert [frame.index for frame in source.frames()] == [0, 2]
    assert source.info.warnings == ("1 images could not be read, the first: 1.png",)


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "no image"), ({"a.txt": b"text"}, "no image"), ({"a.png": b"", "b.jpg": b"text"}, "can be read")],
)
def test_folder_without_images_is_an_error(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        FolderSource(tmp_path, camera="x")


def test_folder_missing_or_bad_rate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        FolderSource(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="fps"):
        FolderSource(tmp_path, fps=0)
