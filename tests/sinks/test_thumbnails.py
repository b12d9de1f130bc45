"""The best small picture of everybody, in bounded memory."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe.errors import SinkError
from reidpipe.sinks.thumbnails import ThumbnailKeeper, thumbnail_scores
from reidpipe.types import Image, TrackKey
from tests.sinks.results import result

KEY = TrackKey("a", 1)


def scores(*boxes: tuple[float, float, float, float], score: float = 1.0) -> list[float]:
    values = thumbnail_scores(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), score, np.float32), 640, 360
    )
    assert values.dtype == np.float32
    return [float(value) for value in values]


def decoded(jpeg: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


def colour(jpeg: bytes) -> int:
    return round(float(decoded(jpeg).mean()))


def test_thumbnails_score_prefers_large_sure_whole_and_free() -> None:
    assert scores() == []
    whole = scores((100, 100, 140, 200))[0]
    assert whole == pytest.approx(100 / 160, abs=1e-6)
    assert scores((100, 100, 140, 200), score=0.5)[0] == pytest.approx(whole / 2, abs=1e-6)
    assert scores((100, 100, 120, 150))[0] < whole
    assert scores((0, 100, 40, 200))[0] < 0.5 * whole
    assert scores((100, 260, 140, 360))[0] < 0.5 * whole
    covered, near = scores((100, 100, 140, 200), (100, 120, 140, 220))
    assert covered < 0.3 * whole
    assert near == pytest.approx(whole * 0.6, abs=1e-5)


def test_thumbnails_keep_the_best(tmp_path: Path) -> None:
    keeper = ThumbnailKeeper(tmp_path)
    for index, (height, fill) in enumerate([(20, 10), (80, 90), (40, 200)]):
        keeper.update(result("a", index, [(1, -1, (10, 10, 40, 10 + height))], size=(120, 160), fill=fill))
    best = keeper.best([KEY])
    assert best is not None
    assert (best.key, best.time_s, colour(best.jpeg)) == (KEY, 0.1, 90)
    keeper.close()


def test_thumbnails_are_small_and_keep_their_shape(tmp_path: Path) -> None:
    keeper = ThumbnailKeeper(tmp_path, max_side=80)
    keeper.update(result("a", 0, [(1, -1, (100, 100, 300, 600))], size=(720, 1280)))
    best = keeper.best([KEY])
    assert best is not None
    assert decoded(best.jpeg).shape == (80, 32, 3)
    keeper.close()


def test_thumbnails_skip_predictions_replays_and_people_outside(tmp_path: Path) -> None:
    keeper = ThumbnailKeeper(tmp_path)
    keeper.update(result("a", 0, [(1, -1, (1, 1, 9, 30))], predicted=[1]))
    keeper.update(result("a", 1, [(2, -1, (-20, -20, -1, -1))]))
    keeper.update(result("a", 2, [(3, -1, (1, 1, 9, 30))], size=(0, 0)))
    assert keeper.best([KEY, TrackKey("a", 2), TrackKey("a", 3)]) is None
    keeper.close()


def test_thumbnails_of_ended_tracks_leave_memory_and_come_back(tmp_path: Path) -> None:
    keeper = ThumbnailKeeper(tmp_path)
    for number in range(40):
        box = (1, 1, 30, 20 + number % 7)
        keeper.update(result("a", number, [(number, -1, box)], ended=[number - 1], fill=5 * number))
    assert len(keeper._live) == 1
    assert list(tmp_path.iterdir()) == []  # the temporary file has no name
    for number in (0, 17, 39):
        thumbnail = keeper.best([TrackKey("a", number)])
        assert thumbnail is not None
        assert colour(thumbnail.jpeg) == pytest.approx(5 * number, abs=2)
    best = keeper.best(TrackKey("a", number) for number in range(40))
    assert best is not None
    assert best.key == TrackKey("a", 6)  # the first of the tallest
    keeper.end_camera("a")
    assert not keeper._live
    keeper.forget([best.key])
    assert keeper.best([best.key]) is None
    keeper.close()
    keeper.close()


def test_thumbnails_encode_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who comes slowly nearer is not encoded in every picture."""
    encoded: list[str] = []
    original = cv2.imencode

    def counting(suffix: str, *rest: Any) -> Any:
        encoded.append(suffix)
        return original(suffix, *rest)

    monkeypatch.setattr(cv2, "imencode", counting)
    keeper = ThumbnailKeeper(tmp_path)
    for index in range(200):
        keeper.update(result("a", index, [(1, -1, (10, 10, 60, 50 + index))], size=(300, 160)))
    assert 2 <= len(encoded) <= 12
    keeper.close()


def test_thumbnails_full_disk_or_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write"):
        ThumbnailKeeper(tmp_path / "none")

    class Full:
        def seek(self, *_: int) -> None: ...

        def write(self, _: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    keeper = ThumbnailKeeper(tmp_path)
    keeper._spool.close()
    keeper._spool = Full()
    keeper.update(result("a", 0, [(1, -1, (1, 1, 30, 40))]))
    with pytest.raises(SinkError, match="the disk is full"):
        keeper.update(result("a", 1, [], ended=[1]))
    keeper.close()
