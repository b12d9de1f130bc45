"""Finding by photo and forgetting, as the status page asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reidpipe.associate.likeness import UNKNOWN
from reidpipe.associate.store import Store
from reidpipe.errors import ConfigError
from reidpipe.live.desk import Desk
from reidpipe.live.memory import Memory
from reidpipe.live.people import PeopleDesk
from reidpipe.live.stages import RationedPooler
from reidpipe.pipeline import Pipeline
from reidpipe.types import Detections, Image, Link, TrackKey, Tracklet
from tests.fakes import FirstVector, OnePerson, RowTracker, UnitVectors

NOW_S = 1.7e9
PHOTO = np.zeros((100, 120, 3), np.uint8)


class Crowd(OnePerson):
    """Two people, the right one larger; somebody doubtful between them."""

    def detect(self, images: list[Image]) -> list[Detections]:  # type: ignore[override]
        boxes = np.array([[60, 5, 110, 95], [5, 50, 20, 90], [30, 50, 40, 90]], np.float32)
        return [Detections(boxes, np.array([0.9, 0.8, 0.2], np.float32)) for _ in images]


def tracklet(number: int, vector: list[float], *, camera: str = "gate") -> Tracklet:
    unit = np.array(vector, np.float32)
    unit /= np.linalg.norm(unit)
    return Tracklet(TrackKey(camera, number), unit, 3, 0.9, NOW_S + number, NOW_S + number + 5, True)


def remembered() -> Memory:
    """Person 1 looks like the photo, 2 and 3 do not."""
    memory = Memory(100, None)
    looks: list[tuple[int, list[float]]] = [(1, [1, 0, 0, 0.1]), (2, [0, 1, 0, 0]), (3, [0, 0, 1, 0])]
    for number, (person, vector) in enumerate(looks * 3):
        one = tracklet(number, vector, camera="gate" if number % 2 else "yard")
        memory.links([Link(one.key, person, 1.0, NOW_S)])
        memory.closed([one])
    return memory


class Run:
    """Serves the desk, as a run does."""

    def __init__(self, memory: Memory, *, detector: OnePerson | None = None, store: Store | None = None) -> None:
        self.desk = Desk()
        self.told: list[tuple[int, int]] = []
        pooler = RationedPooler(FirstVector())
        pipeline = Pipeline(detector=detector or OnePerson(), embedder=UnitVectors(), tracker=RowTracker, pooler=pooler)
        self.people = PeopleDesk(
            self.desk,
            pipeline,
            memory,
            present=pooler.present,
            store=store,
            detects=True,
            likeness=UNKNOWN,
            forgotten=lambda global_id, tracks: self.told.append((global_id, tracks)),
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.wait(0.001):
            self.desk.serve()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self.desk.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "people.db", embedder="test", dim=4) as opened:
        yield opened


def test_people_find_ranks_who_is_known() -> None:
    run = Run(remembered())
    answer = run.people.find(PHOTO)
    run.end()
    assert (answer["people"], answer["person"]) == (1, 1)
    assert answer["matches"][0]["global_id"] == 1
    assert answer["matches"][0]["probability"] > answer["matches"][1]["probability"]
    assert {one["camera"] for one in answer["matches"][0]["sightings"]} == {"gate", "yard"}
    assert answer["matches"][0]["sightings"][0]["last_s"] > NOW_S


def test_people_find_takes_the_largest_or_the_one_that_is_named() -> None:
    run = Run(remembered(), detector=Crowd())
    largest, left = run.people.find(PHOTO), run.people.find(PHOTO, person=1)
    with pytest.raises(ConfigError, match="shows 2 people"):
        run.people.find(PHOTO, person=3)
    run.end()
    assert (largest["people"], largest["person"], left["person"]) == (2, 2, 1)
    assert largest["boxes"] == [[5, 50, 20, 90], [60, 5, 110, 95]]


def test_people_find_knows_nobody_at_first() -> None:
    run = Run(Memory(10, None))
    assert run.people.find(PHOTO)["matches"] == []
    run.end()


def test_people_find_knows_who_is_in_the_store(store: Store) -> None:
    store.write([(5, tracklet(1, [1, 0, 0, 0])), (6, tracklet(2, [0, 1, 0, 0]))], now_s=NOW_S, live=True)
    store.rename(5, "Ada")
    run = Run(Memory(10, None), store=store)
    best = run.people.find(PHOTO)["matches"][0]
    run.end()
    assert (best["global_id"], best["name"]) == (5, "Ada")


def test_people_forget_leaves_nothing_and_an_audit_line(store: Store) -> None:
    store.write([(1, tracklet(1, [1, 0, 0, 0])), (6, tracklet(2, [0, 1, 0, 0]))], now_s=NOW_S, live=True)
    memory = remembered()
    run = Run(memory, store=store)
    assert run.people.forget(1) == 3
    assert run.people.forget(6) == 1  # only the store knew
    with pytest.raises(ConfigError, match="nobody has the number 1"):
        run.people.forget(1)
    assert [match["global_id"] for match in run.people.find(PHOTO)["matches"]] in ([2, 3], [3, 2])
    run.end()
    assert run.told == [(1, 3), (6, 1)]
    assert not memory.knows(1)
    assert memory.forgotten == 0
    assert memory.identities == 2
    assert store.people() == []
    assert [(act.action, act.person) for _, act in store.audit()] == [("forget", 1), ("forget", 6)]
    assert all(abs(act.at_s - time.time()) < 600 for _, act in store.audit())


def test_memory_retention_drops_what_is_old() -> None:
    memory = remembered()
    memory.expire(NOW_S + 5 + 6)  # those of the first six tracks
    assert len(memory) == 3
    assert memory.identities == 3
    memory.expire(NOW_S + 1000)
    assert (len(memory), memory.identities) == (0, 0)
