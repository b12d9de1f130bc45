"""What flows: shapes and dtypes are checked when a struct is made, and fields are cut together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reidpipe.types import Detections, Frame, FrameResult, TrackKey, Tracklet, Tracks

BOX = np.array([[0, 0, 10, 20], [5, 5, 15, 25], [1, 1, 2, 2]], np.float32)
SCORES = np.array([0.9, 0.8, 0.7], np.float32)
UNIT = np.eye(3, 4, dtype=np.float32)


def bad_box(**changes: float) -> Any:
    box = BOX.copy()
    for name, value in changes.items():
        box[1, ("x1", "y1", "x2", "y2").index(name)] = value
    return box


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"boxes": BOX.astype(np.float64)}, TypeError, "boxes must be float32, got float64"),
        ({"boxes": BOX[:, :3]}, ValueError, r"boxes must have shape \(_, 4\), got \(3, 3\)"),
        ({"boxes": BOX.tolist()}, TypeError, "boxes must be a numpy array, got list"),
        ({"boxes": bad_box(x1=np.nan)}, ValueError, "boxes must be finite"),
        ({"boxes": bad_box(x2=5)}, ValueError, "x2 > x1"),
        ({"boxes": bad_box(y2=1)}, ValueError, "y2 > y1"),
        ({"scores": SCORES[:2]}, ValueError, r"scores must have shape \(3\), got \(2,\)"),
        ({"scores": SCORES.astype(np.float64)}, TypeError, "scores must be float32"),
        ({"embeddings": UNIT * 2}, ValueError, "unit length"),
        ({"embeddings": UNIT * np.nan}, ValueError, "unit length"),
        ({"embedded": np.ones(3, np.bool_)}, ValueError, "embedded is given without embeddings"),
        ({"embeddings": UNIT, "embedded": np.ones(2, np.bool_)}, ValueError, "embedded must have shape"),
    ],
)
def test_detections_refuses(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Detections(**{"boxes": BOX, "scores": SCORES, **fields})


@pytest.mark.parametrize("rows", [[0, 2], np.array([True, False, True]), np.array([0, 2]), slice(0, 3, 2)])
def test_detections_cut_all_fields_together(rows: Any) -> None:
    cut = Detections(BOX, SCORES, UNIT, np.array([True, True, False]))[rows]
    assert cut.embeddings is not None
    assert cut.embedded is not None
    np.testing.assert_array_equal(cut.boxes, BOX[[0, 2]])
    np.testing.assert_array_equal(cut.scores, SCORES[[0, 2]])
    np.testing.assert_array_equal(cut.embeddings, UNIT[[0, 2]])
    assert cut.embedded.tolist() == [True, False]


def test_detections_empty_list_of_rows_gives_no_detections() -> None:
    assert len(Detections(BOX, SCORES)[[]]) == 0
    assert len(Detections.empty()[np.zeros(0, np.bool_)]) == 0


def test_detections_with_embeddings_keeps_what_other_rows_had_and_changes_no_input() -> None:
    first = Detections(BOX, SCORES).with_embeddings(np.array([1]), UNIT[[1]])
    second = first.with_embeddings(np.array([2]), UNIT[[2]])
    assert first.embedded is not None
    assert second.embedded is not None
    assert second.embeddings is not None
    assert first.embedded.tolist() == [False, True, False]
    assert second.embedded.tolist() == [False, True, True]
    np.testing.assert_array_equal(second.embeddings, UNIT * np.array([[0], [1], [1]], np.float32))


def test_detections_supervision_round_trip() -> None:
    original = Detections(BOX, SCORES).with_embeddings(np.array([0, 2]), UNIT[[0, 2]])
    back = Detections.from_supervision(original.to_supervision())
    np.testing.assert_array_equal(back.boxes, original.boxes)
    np.testing.assert_array_equal(back.scores, original.scores)
    assert back.embeddings is not None
    assert original.embeddings is not None
    assert back.embedded is not None
    np.testing.assert_array_equal(back.embeddings, original.embeddings)
    assert back.embedded.tolist() == [True, False, True]


def test_detections_from_supervision_drops_bad_boxes_in_all_fields() -> None:
    import supervision as sv

    given = sv.Detections(
        xyxy=np.array([[0, 0, 5, 5], [3, 3, 3, 9], [1, 1, 4, 4]], np.float64), confidence=np.array([0.1, 0.2, 0.3])
    )
    ours = Detections.from_supervision(given)
    assert ours.scores.tolist() == pytest.approx([0.1, 0.3], abs=1e-6)
    assert Detections.from_supervision(sv.Detections.empty()).boxes.shape == (0, 4)


def test_tracks_refuses_one_id_twice() -> None:
    with pytest.raises(ValueError, match="track_ids must be unique"):
        Tracks(np.array([4, 4, 5]), BOX, SCORES, np.arange(3))


def test_tracks_to_supervision_carries_the_ids() -> None:
    detections = Tracks(np.array([4, 9, 5]), BOX, SCORES, np.arange(3)).to_supervision()
    assert detections.tracker_id is not None
    assert detections.tracker_id.tolist() == [4, 9, 5]


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_frame_refuses_other_shapes(image: Any) -> None:
    with pytest.raises(ValueError, match=r"image must have shape \(_, _, 3\)"):
        Frame("a", 0, 0.0, image)


def test_frame_without_image_says_so() -> None:
    assert not Frame.without_image("a", 0, 0.0).has_image


def test_tracklet_refuses_a_vector_that_is_not_unit_and_times_that_run_backwards() -> None:
    key = TrackKey("a", 1)
    with pytest.raises(ValueError, match="unit length"):
        Tracklet(key, np.zeros(4, np.float32), 1, 1.0, 0.0, 1.0, closed=True)
    with pytest.raises(ValueError, match="before first_s"):
        Tracklet(key, UNIT[0], 1, 1.0, 2.0, 1.0, closed=True)


def test_frame_result_refuses_ids_that_do_not_fit_the_tracks() -> None:
    with pytest.raises(ValueError, match="global_ids must have shape"):
        FrameResult(Frame.without_image("a", 0, 0.0), Tracks.empty(), np.zeros(2, np.int64))
