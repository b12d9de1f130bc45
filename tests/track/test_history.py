from __future__ import annotations

import numpy as np

from reidpipe.evaluate.mot_text import MotRows
from reidpipe.track.history import History, collect_crops
from reidpipe.types import Detections, Tracks

BOXES = np.array([[10, 10, 30, 60], [50, 20, 75, 90], [90, 5, 110, 50]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)


def tracks(ids: list[int], det_rows: list[int]) -> Tracks:
    count = len(ids)
    return Tracks(np.array(ids), BOXES[:count] + 1, SCORES[:count], np.array(det_rows))


def test_collect_takes_the_box_of_the_detection_and_the_trackers_where_there_is_none() -> None:
    found = Detections(BOXES, SCORES)
    history = History.collect([(0.5, found, tracks([4, 2], [2, -1]))])
    assert history.track_ids.tolist() == [2, 4]
    assert history.measured.tolist() == [False, True]
    assert history.boxes.tolist() == [(BOXES[1] + 1).tolist(), BOXES[2].tolist()]


def test_collect_crops_takes_the_rows_that_were_embedded_and_belong_to_a_track() -> None:
    vectors = np.eye(3, 8, dtype=np.float32)
    first = Detections(BOXES, SCORES).with_embeddings(np.array([0, 2]), vectors[[0, 2]])
    second = Detections(BOXES, SCORES).with_embeddings(np.array([1]), vectors[[1]])
    crops = collect_crops(
        [
            (0.0, first, tracks([7, 8], [2, 1])),
            (0.1, second, tracks([7, 8], [-1, 1])),
            (0.2, Detections(BOXES, SCORES), tracks([7], [0])),
            (0.3, first, tracks([7], [0])),
        ]
    )
    assert sorted(crops) == [7, 8]
    assert crops[7].times_s.tolist() == [0.0, 0.3]
    assert crops[7].vectors.tolist() == vectors[[2, 0]].tolist()
    assert crops[8].times_s.tolist() == [0.1]
    assert collect_crops([]) == {}


def test_mot_rows_of_tracks_are_those_of_a_file() -> None:
    rows = MotRows.of_tracks([(2, tracks([3, 5], [0, 1])), (1, tracks([3], [0])), (4, Tracks.empty())])
    table = [[1, 3, 11, 11, 20, 50, 0.9], [2, 3, 11, 11, 20, 50, 0.9], [2, 5, 51, 21, 25, 70, 0.8]]
    expected = MotRows.from_table(np.array(table))
    for name in ("frames", "ids", "boxes", "scores", "classes", "visibility"):
        assert np.allclose(getattr(rows, name), getattr(expected, name)), name
    assert not rows.has_classes
    assert len(MotRows.of_tracks([])) == 0
