from __future__ import annotations

import numpy as np
import pytest

from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.online import OnlineAssociator
from reidpipe.errors import ConfigError
from reidpipe.stages import Associator
from reidpipe.types import TrackKey, Tracklet


def world(
    people: int, cameras: int, *, visits: int = 1, seed: int = 0, noise: float = 0.5
) -> list[tuple[int, Tracklet]]:
    """Everybody walks through each camera, one camera after the other, several people at a time."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(people, 64))
    light = rng.normal(size=(cameras, 64)) + 3.0
    out: list[tuple[int, Tracklet]] = []
    for visit in range(visits):
        for camera in range(cameras):
            for person in range(people):
                vector = looks[person] + light[camera] + noise * rng.normal(size=64)
                start = visit * 1000.0 + camera * 100.0 + person * 2.0
                key = TrackKey(f"cam{camera}", visit * people + person)
                unit = (vector / np.linalg.norm(vector)).astype(np.float32)
                out.append((person, Tracklet(key, unit, 5, 0.8, start, start + 7.0, True)))
    return out


def test_offline_finds_the_same_people_in_two_cameras() -> None:
    truth = world(6, 2)
    offline = OfflineAssociator()
    assert offline.update([t for _, t in truth], 0.0) == []
    ids = {link.key: link.global_id for link in offline.close()}
    found = [ids[t.key] for _, t in truth]
    assert found == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]
    assert offline.report["identities"] == 6


def test_offline_never_joins_two_that_one_camera_saw_together() -> None:
    vector = np.eye(1, 8, dtype=np.float32)[0]
    twins = [Tracklet(TrackKey("a", i), vector, 3, 0.8, 0.0, 5.0, True) for i in range(3)]
    offline = OfflineAssociator(threshold=-1.0)
    offline.update(twins, 0.0)
    assert sorted(link.global_id for link in offline.close()) == [1, 2, 3]


def test_offline_does_not_care_about_the_order_of_tracklets() -> None:
    truth = [t for _, t in world(8, 3, visits=2, noise=1.0)]
    results = []
    for seed in range(3):
        shuffled = [truth[i] for i in np.random.default_rng(seed).permutation(len(truth))]
        offline = OfflineAssociator()
        offline.update(shuffled, 0.0)
        results.append(offline.close())
    assert results[0] == results[1] == results[2]


def test_offline_keeps_the_last_tracklet_of_a_key() -> None:
    truth = [t for _, t in world(4, 2)]
    offline = OfflineAssociator()
    offline.update(truth, 0.0)
    offline.update(truth, 1.0)
    assert len(offline.close()) == len(truth)


@pytest.mark.parametrize("seed", range(4))
def test_offline_links_are_likelier_than_not(seed: int) -> None:
    """What is shown is what was decided with: who joins somebody does so at more than even odds."""
    offline = OfflineAssociator()
    offline.update([t for _, t in world(9, 3, visits=3, noise=1.0, seed=seed)], 0.0)
    sure = [link.probability for link in offline.close() if link.probability is not None]
    assert len(sure) > 20
    assert 0.5 <= min(sure) < 0.9 < max(sure)


def test_offline_takes_nothing_one_and_strangers() -> None:
    offline = OfflineAssociator()
    assert offline.close() == []
    offline.update([world(1, 1)[0][1]], 0.0)
    (link,) = offline.close()
    assert link.global_id == 1
    assert link.similarity == 1.0


def test_offline_refuses_values_out_of_range() -> None:
    with pytest.raises(ConfigError, match="threshold"):
        OfflineAssociator(threshold=2.0)
    with pytest.raises(ConfigError, match="false_match_rate"):
        OfflineAssociator(false_match_rate=0.0)


def test_online_and_offline_are_associators() -> None:
    assert isinstance(OfflineAssociator(), Associator)
    assert isinstance(OnlineAssociator(), Associator)
