from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reidpipe.synth import World, tiny_clip, write_video, write_world


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def test_clip_tiny_is_a_playable_h264_with_its_truth(tmp_path: Path) -> None:
    world = tiny_clip(tmp_path / "a.mp4", truth=tmp_path / "a.txt", people=3, duration_s=1.0, fps=8.0, size=(160, 90))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 8
        times = [float(frame.time) for frame in container.decode(stream)]
    np.testing.assert_allclose(times, np.arange(8) / 8, atol=1e-6)
    table = np.loadtxt(tmp_path / "a.txt", delimiter=",", ndmin=2)
    assert table.shape[1] == 9
    assert set(table[:, 0]) <= set(range(1, 9))
    assert set(table[:, 1]) <= {1, 2, 3}
    assert len(set(table[:, 1])) >= 2
    assert (table[:, 4:6] > 0).all()
    truth = world.render(world.cameras[0], 2 / 8)
    rows = table[table[:, 0] == 3]
    np.testing.assert_array_equal(rows[:, 1], truth.ids)
    np.testing.assert_allclose(rows[:, 2:4], truth.boxes[:, :2], atol=0.006)
    np.testing.assert_allclose(rows[:, 8], truth.visibility, atol=0.0006)
    picture = decoded(tmp_path / "a.mp4")[2].astype(int)
    assert np.abs(picture - truth.image).mean() < 8


def test_clip_made_twice_is_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tiny_clip(tmp_path / f"{name}.mp4", truth=tmp_path / f"{name}.txt", duration_s=0.5, size=(96, 64))
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_clip_of_a_whole_world_has_a_video_and_a_truth_for_every_camera(tmp_path: Path) -> None:
    world = World.make(3, people=3, cameras=3, duration_s=0.4, fps=5.0, size=(64, 48))
    names = [path.relative_to(tmp_path).as_posix() for path in write_world(world, tmp_path, duration_s=0.4)]
    assert names == ["cam1.mp4", "truth/cam1.txt", "cam2.mp4", "truth/cam2.txt", "cam3.mp4", "truth/cam3.txt"]
    assert [len(decoded(tmp_path / f"cam{k}.mp4")) for k in (1, 2, 3)] == [2, 2, 2]


def test_clip_refuses_odd_and_changing_sizes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even sides, got 33x32"):
        write_video(tmp_path / "a.mp4", [np.zeros((32, 33, 3), np.uint8)], 10.0)
    pictures = [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)]
    with pytest.raises(ValueError, match="one size, got 64x32 after 32x32"):
        write_video(tmp_path / "b.mp4", pictures, 10.0)
