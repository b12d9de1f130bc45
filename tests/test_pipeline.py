"""The loop: what each stage is given, what comes out, and what happens when a stage raises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reidpipe.errors import ConfigError, StageError, WeightsError
from reidpipe.pipeline import Pipeline
from reidpipe.types import Boxes, Detections, Ids, Image, TrackKey
from tests.fakes import FirstVector, OneIdentity, OnePerson, RowTracker, UnitVectors, frame


def whole(**changes: Any) -> Pipeline:
    stages: dict[str, Any] = {
        "detector": OnePerson(),
        "embedder": UnitVectors(),
        "tracker": RowTracker,
        "pooler": FirstVector(),
        "associator": OneIdentity(),
    }
    return Pipeline(**{**stages, **changes})


def test_pipeline_gives_one_result_for_each_frame_in_order() -> None:
    results = whole().step([frame("b"), frame("a")])
    assert [r.frame.camera for r in results] == ["b", "a"]
    assert [r.global_ids.tolist() for r in results] == [[7], [7]]
    assert [link.key for r in results for link in r.links] == [TrackKey("b", 1), TrackKey("a", 1)]


def test_pipeline_embeds_all_cameras_in_one_call_and_no_row_twice() -> None:
    embedder = UnitVectors()
    whole(embedder=embedder).step([frame("a"), frame("b")])
    assert (embedder.calls, embedder.crops) == (1, 2)  # the pooler's rows were embedded for the tracker already


def test_pipeline_works_on_motion_alone() -> None:
    pipeline = whole(embedder=None, pooler=None, associator=None)
    result = pipeline.step([frame()])[0]
    assert result.tracks.track_ids.tolist() == [1]
    assert result.global_ids.tolist() == [-1]


def test_pipeline_every_detects_on_every_nth_frame_and_predicts_between() -> None:
    detector = OnePerson()
    pipeline = whole(detector=detector, every=3)
    rows = [pipeline.step([frame(index=i)])[0].tracks.det_rows.tolist() for i in range(7)]
    assert detector.calls == 3
    assert rows == [[0], [-1], [-1], [0], [-1], [-1], [0]]


def test_pipeline_keeps_a_tracker_for_each_camera() -> None:
    made: list[RowTracker] = []

    def make() -> RowTracker:
        made.append(RowTracker())
        return made[-1]

    pipeline = whole(tracker=make)
    made.clear()  # one may be made to look at it
    for i in range(3):
        pipeline.step([frame("a", i), frame("b", i)])
    assert [tracker.updates for tracker in made] == [3, 3]


def test_pipeline_forgets_a_camera_that_has_ended() -> None:
    pipeline = whole()
    pipeline.step([frame("a"), frame("b")])
    pipeline.close_camera("a")
    assert pipeline.step([frame("b", 1)])[0].global_ids.tolist() == [7]
    assert pipeline.close_camera("a") == []


def test_pipeline_close_returns_the_last_links() -> None:
    class Late(OneIdentity):
        def update(self, tracklets: Any, time_s: float) -> list[Any]:
            self.kept = list(super().update(tracklets, time_s)) + getattr(self, "kept", [])
            return []

        def close(self) -> list[Any]:
            return self.kept

    pipeline = whole(associator=Late())
    assert pipeline.step([frame()])[0].global_ids.tolist() == [-1]
    assert [link.global_id for link in pipeline.close()] == [7]


@pytest.mark.parametrize(
    ("stage", "broken"),
    [
        ("detect", {"detector": OnePerson(fail_at=3)}),
        ("embed", {"embedder": UnitVectors(fail_at=3)}),
        ("track", {"tracker": lambda: RowTracker(fail_at=3)}),
        ("pool", {"pooler": FirstVector(fail_at=3)}),
        ("associate", {"associator": OneIdentity(fail_at=3)}),
    ],
)
def test_pipeline_names_the_stage_that_raised(stage: str, broken: dict[str, Any]) -> None:
    pipeline = whole(**broken)
    pipeline.step([frame(index=0)])
    pipeline.step([frame(index=1)])
    with pytest.raises(StageError, match=f"the {stage} stage failed") as caught:
        pipeline.step([frame(index=2)])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_pipeline_names_the_camera_of_a_tracker_that_raised() -> None:
    with pytest.raises(StageError, match="on camera gate: RuntimeError: tracker broke"):
        whole(tracker=lambda: RowTracker(fail_at=1)).step([frame("gate")])


def test_pipeline_lets_own_errors_through() -> None:
    class Bad(OnePerson):
        def detect(self, images: Any) -> Any:
            raise WeightsError("the model has gone")

    with pytest.raises(WeightsError, match="has gone"):
        whole(detector=Bad()).step([frame()])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedder": None}, "a pooler needs an embedder"),
        ({"pooler": None}, "an associator needs a pooler"),
        ({"every": 0}, "every must be 1 or more"),
    ],
)
def test_pipeline_refuses_stages_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        whole(**changes)


def test_pipeline_refuses_an_appearance_tracker_without_embedder() -> None:
    class Needy(RowTracker):
        needs_appearance = True

    with pytest.raises(ConfigError, match="needs an embedder"):
        whole(tracker=Needy, embedder=None, pooler=None, associator=None)


def test_pipeline_counts_and_times_each_stage() -> None:
    pipeline = whole()
    for i in range(4):
        pipeline.step([frame("a", i), frame("b", i)])
    pipeline.close()
    assert pipeline.counts["frames"] == 8
    assert pipeline.counts["detections"] == 8
    assert pipeline.counts["crops"] == 8
    assert pipeline.counts["tracklets"] == 2
    assert set(pipeline.seconds) == {"associate", "detect", "embed", "pool", "track"}
    assert all(np.isfinite(list(pipeline.seconds.values())))


class Shaken:
    """Says after the second picture that the camera moved; notes where it was told people are."""

    state = "moving"

    def __init__(self) -> None:
        self.people: list[int] = []

    def update(self, image: Image, people: Boxes, time_s: float) -> NDArray[np.float64] | None:
        self.people.append(len(people))
        return np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 0.0]]) if len(self.people) == 2 else None


class ToldTracker(RowTracker):
    """Notes what it is told and asked, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []

    def camera_moved(self, warp: NDArray[np.float64]) -> None:
        self.log.append(f"moved {warp[0, 2]:g}")

    def wants(self, detections: Detections, time_s: float) -> Ids:
        self.log.append("wants")
        return super().wants(detections, time_s)


def test_pipeline_tells_the_tracker_how_its_camera_moved_before_it_expects_anybody() -> None:
    watch, told, untold = Shaken(), ToldTracker(), RowTracker()
    trackers = iter([told, told, untold])  # the first is asked whether it needs appearance
    pipeline = whole(tracker=lambda: next(trackers), camera_watch=lambda: watch, every=2, embedder=UnitVectors())
    assert pipeline.camera_motion("a") == "unknown"
    for index in range(3):
        pipeline.step([frame("a", index)])
    assert told.log == ["wants", "moved 5", "wants", "wants"]
    assert watch.people == [1, 1, 1]  # between detections people are about where they were
    pipeline.step([frame("b", 0)])  # a tracker that cannot be told is not
    assert pipeline.camera_motion("a") == pipeline.camera_motion("b") == "moving"
    assert "camera" in pipeline.seconds
    assert whole().camera_motion("a") == "unknown"


def test_pipeline_watches_a_camera_that_comes_back_anew_and_still_tells_how_it_moved() -> None:
    watches: list[Shaken] = []

    def fresh() -> Shaken:
        watches.append(Shaken())
        return watches[-1]

    pipeline = whole(camera_watch=fresh, embedder=UnitVectors())
    pipeline.step([frame("a", 0)])
    pipeline.close_camera("a")
    assert pipeline.camera_motion("a") == "moving"
    pipeline.step([frame("a", 1)])
    assert len(watches) == 2
