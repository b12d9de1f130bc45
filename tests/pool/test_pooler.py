from __future__ import annotations

import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.pool import QualityPooler
from reidpipe.stages import Pooler
from reidpipe.types import Detections, Frame, Tracklet, Tracks


def frame(time_s: float, camera: str = "a", size: tuple[int, int] = (480, 640)) -> Frame:
    return Frame(camera, round(time_s * 10), time_s, np.zeros((*size, 3), np.uint8))


def seen(boxes: list[list[float]], ids: list[int], ended: list[int] | None = None) -> tuple[Detections, Tracks]:
    array = np.asarray(boxes, np.float32).reshape(-1, 4)
    scores = np.full(len(array), 0.9, np.float32)
    tracks = Tracks(
        np.asarray(ids, np.int64),
        array,
        scores,
        np.arange(len(array), dtype=np.int64),
        np.asarray(ended or [], np.int64),
    )
    return Detections(array, scores), tracks


def feed(
    pooler: QualityPooler, picture: Frame, detections: Detections, tracks: Tracks, axis: int = 0
) -> list[Tracklet]:
    rows = pooler.wants(picture, detections, tracks)
    if len(rows):
        vectors = np.zeros((len(rows), 8), np.float32)
        vectors[:, axis] = 1
        detections = detections.with_embeddings(rows, vectors)
    return pooler.update(picture, detections, tracks)


CLEAR = [100.0, 100.0, 150.0, 220.0]


def test_pooler_is_a_pooler() -> None:
    assert isinstance(QualityPooler(), Pooler)


def test_pooler_asks_for_the_first_crop_of_every_track_even_a_bad_one() -> None:
    pooler = QualityPooler(max_per_frame=0)
    boxes = [CLEAR, [102.0, 102.0, 151.0, 221.0], [0.0, 0.0, 9.0, 9.0]]
    detections, tracks = seen(boxes, [1, 2, 3])
    assert pooler.wants(frame(0.0), detections, tracks).tolist() == [0, 1, 2]


def test_pooler_never_asks_for_a_row_that_is_embedded_or_predicted_only() -> None:
    pooler = QualityPooler()
    detections, tracks = seen([CLEAR, [300.0, 100.0, 350.0, 220.0]], [1, 2])
    given = detections.with_embeddings(np.array([0]), np.eye(1, 8, dtype=np.float32))
    assert pooler.wants(frame(0.0), given, tracks).tolist() == [1]
    predicted = Tracks(tracks.track_ids, tracks.boxes, tracks.scores, np.array([-1, 1], np.int64))
    assert pooler.wants(frame(0.0), detections, predicted).tolist() == [1]


def test_pooler_spends_few_crops_on_a_long_track() -> None:
    pooler = QualityPooler()
    asked = 0
    for k in range(600):
        detections, tracks = seen([CLEAR], [1])
        picture = frame(k / 10)
        asked += len(pooler.wants(picture, detections, tracks))
        feed(pooler, picture, detections, tracks)
    assert 15 <= asked <= 25  # 60 s: a handful while it is young, then one in 4 s


def test_pooler_waits_for_a_clear_view_after_the_first_crop() -> None:
    pooler = QualityPooler(patience_s=100.0)
    feed(pooler, frame(0.0), *seen([CLEAR], [1]))
    hidden = seen([CLEAR, [101.0, 105.0, 151.0, 230.0]], [1, 2])
    feed(pooler, frame(0.5), *hidden)
    assert 0 not in pooler.wants(frame(1.0), *hidden).tolist()
    assert pooler.wants(frame(1.5), *seen([CLEAR], [1])).tolist() == [0]


def test_pooler_lets_a_clear_crop_outweigh_a_covered_one() -> None:
    pooler = QualityPooler()
    covered = seen([CLEAR, [101.0, 105.0, 151.0, 230.0]], [1, 2])
    feed(pooler, frame(0.0), *covered, axis=1)
    feed(pooler, frame(1.0), *seen([CLEAR], [1]), axis=0)
    (tracklet,) = [t for t in pooler.close() if t.key.track_id == 1]
    assert tracklet.vector[0] > 0.95
    assert tracklet.count == 2
    assert abs(float(np.linalg.norm(tracklet.vector)) - 1) < 1e-6


def test_pooler_tells_changes_and_closes_ended_tracks_and_frees_them() -> None:
    pooler = QualityPooler()
    told = feed(pooler, frame(3.0), *seen([CLEAR], [7]))
    assert [(t.key, t.closed, t.count) for t in told] == [(("a", 7), False, 1)]
    assert feed(pooler, frame(3.1), *seen([CLEAR], [7])) == []
    (closed,) = pooler.update(frame(9.0), Detections.empty(), Tracks.empty(np.array([7, 8], np.int64)))
    assert closed.closed
    assert closed.first_s == 3.0
    assert closed.last_s == 3.1
    assert len(pooler) == 0


def test_pooler_keeps_a_bounded_memory_spread_over_life() -> None:
    pooler = QualityPooler(prototypes=5, path_points=20, refresh_s=0.1)
    for k in range(2000):
        feed(pooler, frame(k / 10), *seen([CLEAR], [1]))
    (tracklet,) = pooler.close()
    assert tracklet.prototypes is not None
    assert tracklet.prototypes.shape == (5, 8)
    assert tracklet.path is not None
    assert 8 <= len(tracklet.path) <= 20
    assert tracklet.path[0, 0] == 0.0
    assert np.diff(tracklet.path[:, 0]).min() > 5.0


def test_pooler_keeps_two_cameras_with_the_same_track_id_apart() -> None:
    pooler = QualityPooler()
    feed(pooler, frame(0.0, "a"), *seen([CLEAR], [1]), axis=0)
    feed(pooler, frame(0.0, "b"), *seen([CLEAR], [1]), axis=1)
    axes = {t.key.camera: int(np.argmax(t.vector)) for t in pooler.close()}
    assert axes == {"a": 0, "b": 1}


@pytest.mark.parametrize("method", ["attention", "gem", "mean", "median", "medoid", "quality"])
def test_pooler_gives_unit_vectors_with_every_method(method: str) -> None:
    pooler = QualityPooler(method=method)
    for k in range(4):
        feed(pooler, frame(k * 5.0), *seen([CLEAR], [1]), axis=0 if k else 1)
    (tracklet,) = pooler.close()
    assert abs(float(np.linalg.norm(tracklet.vector)) - 1) < 1e-6
    assert tracklet.vector[0] > tracklet.vector[1]


def test_pooler_refuses_values_out_of_range() -> None:
    with pytest.raises(ConfigError, match="no such name 'best'"):
        QualityPooler(method="best")
    with pytest.raises(ConfigError, match="prototypes"):
        QualityPooler(prototypes=0)


def test_pooler_takes_the_plain_mean_of_features_with_negative_parts() -> None:
    first, second = np.array([1.0, 0, 0], np.float32), np.array([0, 1.0, 0], np.float32)
    for sign, wanted in ((1.0, np.cbrt([0.75, 0.25])), (-1.0, np.array([0.75, -0.25]))):
        pooler = QualityPooler()
        for time_s, vector in ((0.0, first), (1.0, sign * second), (2.0, first), (3.0, first)):
            detections, tracks = seen([CLEAR], [1])
            pooler.update(frame(time_s), detections.with_embeddings(np.array([0]), vector[None]), tracks)
        (tracklet,) = pooler.close()
        assert np.allclose(tracklet.vector[:2], wanted / np.linalg.norm(wanted), atol=1e-6)


def test_pooler_does_not_trust_many_crops_of_a_head_alone() -> None:
    pooler = QualityPooler(clean=0.0)
    crop = np.ones((1, 4), np.float32)
    for step in range(60):
        time_s = 0.5 * step
        boxes = [[100.0, 100.0, 160.0, 260.0], [300.0, 430.0, 360.0, 480.0]]
        detections, tracks = seen(boxes, [1, 2])
        detections = detections.with_embeddings(np.arange(2), np.repeat(crop / 2, 2, axis=0))
        pooler.update(frame(time_s), detections, tracks)
    whole, head = sorted(pooler.close(), key=lambda tracklet: tracklet.key)
    assert whole.quality > 0.9
    assert head.quality < 0.3
