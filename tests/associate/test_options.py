"""What a user knows about the cameras."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.associate.offline import OfflineAssociator
from reidpipe.associate.options import read_planes, set_clocks
from reidpipe.associate.scene import see
from reidpipe.associate.transit import Transit, learn_transits, read_transits, transit_odds
from reidpipe.errors import ConfigError
from reidpipe.types import TrackKey, Tracklet
from tests.associate.test_overlap import camera, walk


def stay(
    camera: str, number: int, first_s: float, last_s: float, look: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Tracklet:
    vector = (look / np.linalg.norm(look)).astype(np.float32)
    return Tracklet(TrackKey(camera, number), vector, 5, 0.8, first_s, last_s, closed=True)


def test_transits_read_text_and_pairs() -> None:
    found = read_transits({"gate -> lobby": "5-40 s", "lobby->gate": [2, 9.5]})
    assert found == {("gate", "lobby"): Transit(5.0, 40.0), ("lobby", "gate"): Transit(2.0, 9.5)}


@pytest.mark.parametrize(
    "given", [{"gate": "5-40 s"}, {"gate -> lobby": "soon"}, {"gate -> lobby": "40-5 s"}, {"gate -> lobby": [1]}]
)
def test_transits_that_mean_nothing_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"associate\.transits"):
        OfflineAssociator(transits=given)


def test_transit_odds_know_who_would_have_had_to_fly() -> None:
    look = np.eye(1, 8)[0]
    scene = see(
        [
            stay("gate", 1, 0, 10, look),
            *(stay("lobby", i, 10 + gap, 30 + gap, look) for i, gap in enumerate((1, 20, 300))),
        ]
    )
    pairs = np.array([[0, 1], [0, 2], [0, 3]])
    fast, usual, late = transit_odds(scene, pairs, {("gate", "lobby"): Transit(5.0, 40.0)}).tolist()
    assert fast < -3.0
    assert usual > 1.0
    assert -1.5 < late < 0.0
    assert transit_odds(scene, pairs, {("lobby", "gate"): Transit(5.0, 40.0)}).tolist() == [0.0, 0.0, 0.0]


def test_transits_are_learned_from_sure_links_only() -> None:
    rng = np.random.default_rng(1)
    looks = rng.normal(size=(12, 16))
    tracklets = []
    for person, look in enumerate(looks):
        start = 40.0 * person
        tracklets.append(stay("gate", person, start, start + 5, look))
        tracklets.append(stay("lobby", person, start + 15 + rng.random(), start + 25, look))
    scene = see(tracklets)
    labels = np.asarray([t.key.track_id for t in scene.tracklets])
    pairs = scene.worth()
    same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    learned = learn_transits(scene, labels, pairs, np.where(same, 4.0, -4.0))
    assert list(learned) == [("gate", "lobby")]
    assert 9.0 < learned["gate", "lobby"].low_s < learned["gate", "lobby"].high_s < 12.0
    assert learned["gate", "lobby"].links == 12
    assert learn_transits(scene, labels, pairs, np.full(len(pairs), 1.0)) == {}


def test_offline_tells_twins_apart_by_a_given_transit_time() -> None:
    # Two people in the same clothes leave the gate 4 s apart; each takes 10 to 11 s to the lobby.
    look = np.eye(1, 16)[0]
    others = [
        stay(c, 10 + i, 100.0 * i, 100.0 * i + 5, np.eye(1, 16, 1 + i)[0]) for i in range(6) for c in ("gate", "lobby")
    ]
    twins = [
        stay("gate", 1, 0, 5, look),
        stay("gate", 2, 2, 9, look),
        stay("lobby", 1, 15.5, 30, look),
        stay("lobby", 2, 19.5, 30, look),
    ]
    associator = OfflineAssociator(transits={"gate -> lobby": "10-11 s"})
    associator.update([*twins, *others], 0.0)
    ids = {link.key: link.global_id for link in associator.close()}
    assert ids[TrackKey("gate", 1)] == ids[TrackKey("lobby", 1)]
    assert ids[TrackKey("gate", 2)] == ids[TrackKey("lobby", 2)]
    assert ids[TrackKey("gate", 1)] != ids[TrackKey("gate", 2)]


def test_offsets_move_all_times_of_a_camera() -> None:
    (_, moved), (_, still) = walk(3, 1)
    cam0, cam1 = set_clocks([moved, still], {"cam0": 1.5})
    assert cam0.first_s == pytest.approx(moved.first_s + 1.5)
    assert cam0.path is not None
    assert moved.path is not None
    assert np.allclose(cam0.path[:, 0], moved.path[:, 0] + 1.5)
    assert np.allclose(cam0.path[:, 1:], moved.path[:, 1:])
    assert cam1 is still


def test_planes_that_were_measured_are_used() -> None:
    spots = np.array([[-2.0, -2.0], [2.0, -2.0], [2.0, 2.0], [-2.0, 2.0]])
    planes = {}
    for name, view in zip(
        ("cam0", "cam1"), (camera((-5.0, -5.0), (0.0, 0.0)), camera((6.0, -4.0), (0.0, 0.0))), strict=True
    ):
        seen = view @ np.column_stack([spots, np.zeros(4), np.ones(4)]).T
        planes[name] = np.column_stack([(seen[:2] / seen[2]).T, spots]).tolist()
    associator = OfflineAssociator(planes=planes, overlap=False)
    associator.update([t for _, t in walk(5, 5)], 0.0)  # all dressed alike: only places tell
    ids = {link.key: link.global_id for link in associator.close()}
    assert associator.report["overlapping_views"] == [["cam0", "cam1"]]
    assert [ids[TrackKey("cam0", p)] == ids[TrackKey("cam1", p)] for p in range(5)] == [True] * 5


@pytest.mark.parametrize(
    "points", [[[0, 0, 0, 0]] * 4, [[0, 0, 0, 0], [1, 0, 1, 0], [2, 0, 2, 0], [0, 1, 0, 1]], [[0, 0, 0, 0]]]
)
def test_planes_that_fix_nothing_are_refused(points: list[list[float]]) -> None:
    with pytest.raises(ConfigError, match=r"associate\.planes"):
        read_planes({"cam1": points})


def test_links_say_how_sure_they_are() -> None:
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(6, 32))
    tracklets = [
        stay(c, p, 20.0 * p, 20.0 * p + 5, looks[p] + 0.2 * rng.normal(size=32)) for p in range(6) for c in ("a", "b")
    ]
    tracklets.append(stay("a", 99, 500, 505, rng.normal(size=32)))
    associator = OfflineAssociator()
    associator.update(tracklets, 0.0)
    links = {link.key: link for link in associator.close()}
    assert links[TrackKey("a", 99)].probability is None
    assert all(
        link.probability is not None and link.probability > 0.9 for key, link in links.items() if key.track_id != 99
    )
    assert 0.0 < associator.report["threshold_std"] < 0.2
