"""Files as cameras: every picture, right time, right way up; what is broken says so."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source.container import VideoFile
from reidpipe.source.file import FileSource
from reidpipe.stages import Source
from reidpipe.types import Frame
from tests.source.clips import BLUE, GREEN, RED, cut, make_clip, make_sound, number_of, picture

FASTSTART = {"movflags": "+faststart"}
IN_ORDER = {"g": "6", "bf": "0"}


def read(path: Path, **options: float) -> list[Frame]:
    return list(FileSource(path, **options).frames())  # type: ignore[arg-type]


def corners(frame: Frame) -> list[str]:
    """Which of red, green, blue, grey is nearest in each corner: upper left, upper right, lower left, lower right."""
    image = frame.image.astype(int)
    h, w = image.shape[0] // 4, image.shape[1] // 4
    names = {"red": RED, "green": GREEN, "blue": BLUE}
    found = []
    for pixel in (image[h, w], image[h, -w - 1], image[-h - 1, w], image[-h - 1, -w - 1]):
        near = [name for name, colour in names.items() if np.abs(pixel - colour).max() < 40]
        found.append(near[0] if near else "grey")
    return found


def test_file_is_a_source(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "lobby.mp4"))
    assert isinstance(source, Source)
    assert source.camera == "lobby"


def test_file_gives_every_picture_in_order_with_its_time(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "a.mp4", frames=20, fps=10), camera="gate")
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(20))
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / 10, atol=1e-6)
    assert {frame.camera for frame in frames} == {"gate"}
    info = source.info
    assert (info.width, info.height, info.fps, info.frame_count, info.live) == (64, 48, 10.0, 20, False)
    assert info.warnings == ()


def test_file_gives_bgr(tmp_path: Path) -> None:
    frame = read(make_clip(tmp_path / "a.mp4", frames=1))[0]
    assert corners(frame) == ["red", "green", "blue", "grey"]
    assert frame.image.flags["C_CONTIGUOUS"]


def test_file_can_be_read_again_with_the_same_bits(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "a.mp4"))
    first, second = list(source.frames()), list(source.frames())
    assert len(first) == 20
    assert all(np.array_equal(a.image, b.image) and a.time_s == b.time_s for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("threads", [0, 2, 3])
def test_file_is_the_same_with_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=24)
    one, many = read(path), read(path, threads=threads)
    assert [f.time_s for f in one] == [f.time_s for f in many]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, many, strict=True))


def test_file_keeps_a_variable_rate(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 520, 1500, 1501, 3000]
    frames = read(make_clip(tmp_path / "a.mp4", frames=8, times_ms=times))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array(times) / 1000, atol=1e-3)


def test_file_keeps_a_broken_rate(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "a.mp4", frames=20, fps=30000 / 1001))
    assert source.info.fps == pytest.approx(29.97003, abs=1e-4)
    assert [*source.frames()][19].time_s == pytest.approx(19 * 1001 / 30000, abs=1e-4)


def test_file_starts_at_zero_whatever_the_stamps_say(tmp_path: Path) -> None:
    frames = read(make_clip(tmp_path / "a.ts", frames=5))  # transport streams start their clock at 1.4 s or so
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 10, atol=1e-6)


@pytest.mark.parametrize(
    ("rotation", "size", "expected"),
    [
        (90, (48, 64), ["green", "grey", "red", "blue"]),
        (180, (64, 48), ["grey", "blue", "green", "red"]),
        (270, (48, 64), ["blue", "red", "grey", "green"]),
    ],
)
def test_file_turns_a_phone_video_upright(
    tmp_path: Path, rotation: int, size: tuple[int, int], expected: list[str]
) -> None:
    """90: the stored picture is turned counterclockwise, so what was upper right comes to the upper left."""
    source = FileSource(make_clip(tmp_path / "a.mp4", frames=2, rotation=rotation))
    frame = next(source.frames())
    assert (source.info.width, source.info.height) == size
    assert frame.image.shape == (size[1], size[0], 3)
    assert corners(frame) == expected
    assert frame.image.flags["C_CONTIGUOUS"]


def test_file_says_when_the_angle_is_odd(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "a.mp4", frames=2, rotation=30))
    assert next(source.frames()).image.shape == (48, 64, 3)
    assert "90 degrees" in " ".join(source.info.warnings)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "width", "height"),
    [
        ("a.mp4", "libx264", "yuv420p10le", 64, 48),
        ("a.mp4", "libx264", "yuv444p", 33, 47),
        ("a.mp4", "libx264", "yuv422p", 34, 47),
        ("a.mp4", "libx264", "yuv444p", 1, 1),
        ("a.mp4", "libx264", "yuv420p", 16, 16),
        ("a.mkv", "ffv1", "bgr0", 1, 1),
        ("a.avi", "mjpeg", "yuvj420p", 64, 48),
        ("a.mkv", "ffv1", "yuv420p16le", 64, 48),
    ],
)
def test_file_converts_any_kind_of_picture(
    tmp_path: Path, name: str, codec: str, pixels: str, width: int, height: int
) -> None:
    path = make_clip(tmp_path / name, frames=3, codec=codec, pixels=pixels, width=width, height=height)
    frames = read(path)
    assert len(frames) == 3
    for number, frame in enumerate(frames):
        assert frame.image.shape == (height, width, 3)
        assert frame.image.flags["C_CONTIGUOUS"]
        if min(width, height) >= 16:
            error = np.abs(frame.image.astype(int) - picture(number, width, height))[4:-4, 4:-4]
            assert np.median(error) <= 6


def test_file_converts_grey(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1", pixels="gray")
    image = read(path)[0].image
    assert image.shape == (48, 64, 3)
    assert np.array_equal(image[..., 0], image[..., 1])
    assert np.array_equal(image[..., 0], image[..., 2])
    assert abs(int(image[10, 10, 0]) - 76) <= 3  # the grey of pure red, BT.601


def test_file_of_one_picture(tmp_path: Path) -> None:
    frames = read(make_clip(tmp_path / "a.mp4", frames=1))
    assert [(frame.index, frame.time_s) for frame in frames] == [(0, 0.0)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.h264"])
@pytest.mark.parametrize(("start_s", "duration_s"), [(1.04, 0.5), (0.3, None), (1.0, 0.2), (2.25, None)])
def test_file_start_gives_the_same_pictures_as_skipping(
    tmp_path: Path, name: str, start_s: float, duration_s: float | None
) -> None:
    """Numbers and times are those of the file, though only the part is decoded."""
    path = make_clip(tmp_path / name, frames=24, options={"g": "6", "bf": "2"})
    whole = read(path)
    end_s = float("inf") if duration_s is None else start_s + duration_s
    wanted = [frame for frame in whole if start_s - 1e-6 <= frame.time_s < end_s]
    assert wanted
    part = list(FileSource(path, start_s=start_s, duration_s=duration_s).frames())
    assert [(f.index, f.time_s) for f in part] == [(f.index, f.time_s) for f in wanted]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(part, wanted, strict=True))


def test_file_start_decodes_from_a_key_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour in must not cost an hour of decoding."""
    path = make_clip(tmp_path / "a.mp4", frames=24, options={"g": "6"})
    source = FileSource(path, start_s=1.9, duration_s=0.2)
    decoded: list[int] = []
    original = VideoFile._decode

    def counting(self: VideoFile, packet: object) -> Iterator[object]:
        decoded.append(1)
        return original(self, packet)

    monkeypatch.setattr(VideoFile, "_decode", counting)
    assert [frame.index for frame in source.frames()] == [19, 20]
    assert len(decoded) <= 12  # from picture 18 to 20, and what the decoder reads ahead


def test_file_expects_the_pictures_of_the_part(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=24)
    source = FileSource(path, start_s=0.5, duration_s=1.0)
    assert source.info.frame_count == len(list(source.frames())) == 10
    assert source.info.warnings == ()


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_file_start_after_the_end_is_an_error(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name, frames=5)
    with pytest.raises(SourceError, match="after the end"):
        read(path, start_s=60)


@pytest.mark.parametrize("options", [{"start_s": -1}, {"duration_s": 0}, {"start_s": float("nan")}, {"threads": -1}])
def test_file_refuses_numbers_out_of_range(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        read(make_clip(tmp_path / "a.mp4", frames=1), **options)


def test_file_without_stamps_is_spaced_by_its_rate(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "a.h264", frames=5, fps=25))
    np.testing.assert_allclose([frame.time_s for frame in source.frames()], np.arange(5) / 25, atol=1e-9)
    assert "no time stamp" in " ".join(source.info.warnings)


def test_file_avi_with_reordered_pictures_keeps_time_growing(tmp_path: Path) -> None:
    """FFmpeg's ``pts`` of H.264 in AVI are out of order."""
    source = FileSource(make_clip(tmp_path / "a.avi", frames=20, options={"bf": "3"}))
    times = [frame.time_s for frame in source.frames()]
    np.testing.assert_allclose(times, np.arange(20) / 10, atol=1e-6)
    assert source.info.warnings == ()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_file_truncated_gives_what_is_there(tmp_path: Path, share: float, threads: int) -> None:
    whole = make_clip(tmp_path / "whole.mp4", frames=24, noise=40, options=IN_ORDER, container_options=FASTSTART)
    source = FileSource(cut(whole, tmp_path / "a.mp4", share), threads=threads)
    frames = list(source.frames())
    assert 4 <= len(frames) < 24
    assert [number_of(frame.image) for frame in frames] == list(range(len(frames)))
    warning = " ".join(source.info.warnings)
    assert "truncated" in warning
    assert "24 pictures are promised" in warning


def test_file_truncated_is_the_same_with_any_number_of_threads(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", frames=24, noise=40, options={"g": "6"}, container_options=FASTSTART)
    path = cut(whole, tmp_path / "a.mp4", 0.7)
    one, three = FileSource(path), FileSource(path, threads=3)
    assert len(list(one.frames())) == len(list(three.frames()))
    assert one.info.warnings == three.info.warnings


def test_file_truncated_matroska_says_so(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mkv", frames=24, fps=5, noise=40, options={"g": "6"})
    source = FileSource(cut(whole, tmp_path / "a.mkv", 0.6))
    assert 0 < len(list(source.frames())) < 24
    assert "truncated" in " ".join(source.info.warnings)


def test_file_damaged_in_the_middle_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=24, width=160, height=120, noise=40, options=IN_ORDER, container_options=FASTSTART)
    data = bytearray(path.read_bytes())
    middle = len(data) * 6 // 10
    data[middle : middle + 4000] = b"\xff" * 4000  # several pictures, their lengths included
    path.write_bytes(bytes(data))
    source = FileSource(path)
    frames = list(source.frames())
    assert len(frames) > 12
    assert number_of(frames[-1].image) == 23
    assert "damaged" in " ".join(source.info.warnings)


def test_file_without_its_index_is_an_error(tmp_path: Path) -> None:
    """A camera that lost power: the index of a plain mp4 comes last."""
    path = cut(make_clip(tmp_path / "whole.mp4"), tmp_path / "a.mp4", 0.5)
    with pytest.raises(SourceError, match="not a video that can be read"):
        FileSource(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "0 bytes"),
        ("text.mp4", b"this is no video\n" * 100, "not a video"),
        ("notes.txt", b"this is no video\n" * 100, "no video stream"),
        (
            "list.m3u8",
            b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
            "not a video|no video|no picture",
        ),
    ],
)
def test_file_that_is_no_video_is_an_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        FileSource(path, camera="gate")
    assert caught.value.camera == "gate"
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_file_missing_folder_or_sound_only_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        FileSource(tmp_path / "nothing.mp4")
    with pytest.raises(SourceError, match="is a folder"):
        FileSource(tmp_path)
    with pytest.raises(SourceError, match="holds no video stream"):
        FileSource(make_sound(tmp_path / "song.m4a"))


def test_file_the_cover_of_a_song_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(picture(0), format="bgr24")
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(SourceError, match="holds no video stream"):
        FileSource(path)


def test_file_with_a_monstrous_size_is_refused(tmp_path: Path) -> None:
    """A damaged header that asks for 65535 x 65535 pictures must not take all the memory."""
    path = tmp_path / "a.mkv"
    make_clip(path, frames=2, codec="mjpeg", pixels="yuvj420p")
    data = path.read_bytes()
    header = data.index(b"\xff\xc0\x00\x11\x08")  # JPEG start of frame: length, precision; height and width follow
    path.write_bytes(data.replace(data[header : header + 9], data[header : header + 5] + b"\xff\xff\xff\xff"))
    with pytest.raises(SourceError, match="no picture that can be decoded"):
        FileSource(path)


def test_file_close_stops_reading(tmp_path: Path) -> None:
    source = FileSource(make_clip(tmp_path / "a.mp4"))
    seen = []
    for frame in source.frames():
        seen.append(frame.index)
        if frame.index == 2:
            source.close()
    assert seen == [0, 1, 2]
    source.close()
    assert list(source.frames()) == []


def test_file_that_vanishes_is_an_error_when_read(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4")
    source = FileSource(path)
    path.unlink()
    with pytest.raises(SourceError, match="no such file"):
        next(source.frames())


@pytest.mark.real
def test_file_real_footage_has_the_frames_it_should(shared_data: Path) -> None:
    source = FileSource(shared_data / "mot" / "TUD-Campus" / "TUD-Campus.mp4", threads=2)
    frames = list(source.frames())
    assert len(frames) == source.info.frame_count == 71
    assert frames[-1].time_s == pytest.approx(float(Fraction(70, 25)), abs=1e-4)
    assert source.info.warnings == ()
