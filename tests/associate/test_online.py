from __future__ import annotations

import numpy as np

from reidpipe.associate.online import OnlineAssociator
from reidpipe.types import Link, TrackKey, Tracklet
from tests.associate.test_offline import world
from tests.associate.test_overlap import walk


def stream(online: OnlineAssociator, tracklets: list[Tracklet]) -> list[Link]:
    links: list[Link] = []
    for tracklet in sorted(tracklets, key=lambda t: t.last_s):
        links += online.update([tracklet], tracklet.last_s)
    return links + online.close()


def test_online_links_every_tracklet_and_finds_people_again() -> None:
    truth = world(8, 3, noise=0.3)
    links = stream(OnlineAssociator(), [t for _, t in truth])
    ids = {link.key: link.global_id for link in links}
    assert set(ids) == {t.key for _, t in truth}
    by_person: dict[int, set[int]] = {}
    for person, tracklet in truth:
        if tracklet.key.camera != "cam0":  # camera means are known from the second camera on
            by_person.setdefault(person, set()).add(ids[tracklet.key])
    assert sum(len(found) == 1 for found in by_person.values()) >= 7


def test_online_never_joins_two_live_tracks_of_one_camera() -> None:
    vector = np.eye(1, 8, dtype=np.float32)[0]
    online = OnlineAssociator(threshold=-1.0, delay_s=0.0, window_s=0.0)
    ids = set()
    for i in range(4):
        live = Tracklet(TrackKey("a", i), vector, 3, 0.8, float(i), float(i), False)
        ids |= {link.global_id for link in online.update([live], float(i))}
    assert len(ids) == 4


def test_online_waits_while_evidence_is_thin() -> None:
    online = OnlineAssociator(window_s=0.0, delay_s=2.0)
    thin = Tracklet(TrackKey("a", 1), np.eye(1, 8, dtype=np.float32)[0], 1, 0.2, 0.0, 0.0, False)
    assert online.update([thin], 0.0) == []
    assert online.update([], 1.0) == []
    (link,) = online.update([], 2.5)
    assert link.key == thin.key
    assert link.previous is None


def test_online_corrects_a_link_when_the_track_turns_out_to_be_another() -> None:
    axes = np.eye(6, dtype=np.float32)

    online = OnlineAssociator(window_s=0.0, delay_s=0.0, review_s=0.0)
    known = [Tracklet(TrackKey("a", i), axes[i], 5, 0.9, 0.0, 1.0, True) for i in range(4)]
    first = {link.key: link.global_id for link in online.update(known, 1.0)}
    start = Tracklet(TrackKey("b", 1), axes[0], 1, 0.5, 5.0, 5.0, False)
    (link,) = online.update([start], 5.0)
    assert link.global_id == first[TrackKey("a", 0)]
    later = Tracklet(TrackKey("b", 1), axes[2], 9, 0.9, 5.0, 8.0, False)
    (fixed,) = online.update([later], 8.0)
    assert fixed.previous == first[TrackKey("a", 0)]
    assert fixed.global_id == first[TrackKey("a", 2)]


def test_online_gallery_stays_bounded() -> None:
    rng = np.random.default_rng(0)
    online = OnlineAssociator(max_identities=50, threshold=1.0, window_s=0.0)
    for i in range(200):
        vector = rng.normal(size=16)
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        online.update([Tracklet(TrackKey("a", i), unit, 3, 0.8, float(i), i + 0.5, True)], float(i))
    assert online.report["gallery"] == 50
    assert online.report["identities"] == 200


def test_online_review_corrects_what_places_prove_wrong() -> None:
    truth = walk(3, 6)
    online = OnlineAssociator(review_s=5.0)
    links: list[Link] = []
    for _, tracklet in truth:
        links += online.update([tracklet], tracklet.last_s)
    links += online.close()
    ids: dict[TrackKey, int] = {}
    for link in links:
        if link.previous is not None:
            assert ids[link.key] == link.previous
        ids[link.key] = link.global_id
    assert any(link.previous is not None for link in links)
    assert all(ids[TrackKey("cam0", p)] == ids[TrackKey("cam1", p)] for p in range(6))
    assert len(set(ids.values())) == 6


def test_online_forgets_what_it_no_longer_needs() -> None:
    online = OnlineAssociator(max_identities=30, review_tracklets=40, review_s=50.0)
    rng = np.random.default_rng(1)
    for i in range(400):
        vector = rng.normal(size=16)
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        online.update([Tracklet(TrackKey("a", i), unit, 3, 0.8, float(i), i + 0.5, True)], float(i))
    held = online.held()
    assert held["gallery"] <= 30
    assert held["tracks"] <= 2
    assert held["recent"] <= 40
    assert held["ids"] <= 81
