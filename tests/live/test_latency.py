"""From glass to JSON: the stamp can be read, and every stage of every picture is accounted for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.live import latency
from reidpipe.live.latency import STAGES, measure_latency, read_stamp
from reidpipe.live.rtsp import why_not
from reidpipe.live.rtsp_script import stamp
from tests.live.test_run_live import fake_stages
from tests.videos import write_video


def stamped_image(number: int, *, noise: float = 0.0) -> np.ndarray:
    width, height = 400, 96
    picture = bytearray(np.random.default_rng(number).integers(0, 255, width * height * 3 // 2, np.uint8).tobytes())
    stamp(picture, width, height, number)
    yuv = np.frombuffer(bytes(picture), np.uint8).reshape(height * 3 // 2, width)
    image = np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_I420), np.float32)
    image += np.random.default_rng(0).normal(0, noise or 1e-9, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("number", [0, 1, 77, 0xABCDEF, (1 << 24) - 1])
def test_latency_stamp_is_read_back_through_noise(number: int) -> None:
    assert read_stamp(stamped_image(number, noise=30.0)) == number


def test_latency_picture_without_a_stamp_has_none() -> None:
    rng = np.random.default_rng(0)
    assert read_stamp(rng.integers(0, 255, (96, 400, 3), np.uint8)) is None
    spoiled = stamped_image(5)
    spoiled[-16:, :16] = 128 + 127 * (spoiled[-16:, :16] < 128)
    assert read_stamp(spoiled) is None


def test_latency_of_a_real_stream_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    monkeypatch.setattr(latency, "build_stages", lambda config, names, **_: fake_stages())
    monkeypatch.setattr(latency, "_SETTLE_S", 0.5)
    clip = write_video(tmp_path / "a.mp4", frames=20, fps=10, width=400, height=96)
    result = measure_latency(clip, config=Config.load(), fps=10, seconds=6.0)
    assert 0 < result.pictures <= result.shown + 1
    assert tuple(result.stages_s) == STAGES
    assert all(seconds >= 0 for seconds in result.stages_s.values())
    assert 0 < result.p50_s <= result.p99_s
    assert sum(result.stages_s.values()) <= 2 * result.p99_s


@pytest.mark.parametrize("bad", [{"fps": 0}, {"seconds": 1.0}])
def test_latency_refuses_numbers_out_of_range(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        measure_latency("x.mp4", **bad)  # type: ignore[arg-type]
