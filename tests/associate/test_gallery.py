"""The gallery: many at once gives what one by one gives, however it changes in between."""

from __future__ import annotations

import numpy as np

from reidpipe.associate.gallery import Gallery, Member
from reidpipe.types import TrackKey, Vectors

DIM = 24


def unit(rng: np.random.Generator, count: int) -> Vectors:
    rows = rng.normal(size=(count, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def member(camera: str, track: int, vector: Vectors, *, last_s: float = 1.0) -> Member:
    return Member(TrackKey(camera, track), vector, 0.8, 0.0, last_s, live=False)


def filled(rng: np.random.Generator, people: int, *, limit: int = 1000) -> Gallery:
    gallery = Gallery(limit=limit, members=3)
    for i, vector in enumerate(unit(rng, people)):
        gallery.means.add(f"cam{i % 2}", vector)
        gallery.put(i + 1, member(f"cam{i % 2}", i, vector, last_s=float(i)))
    return gallery


def test_gallery_looks_up_many_as_one_by_one_whatever_changes_in_between() -> None:
    rng = np.random.default_rng(0)
    gallery = filled(rng, 70)
    tracks = [(TrackKey(f"cam{i % 2}", 100 + i), vector) for i, vector in enumerate(unit(rng, 6))]
    gallery.look_up(tracks)
    for change in range(5):
        for camera in ("cam0", "cam1"):
            own = [(key, vector) for key, vector in tracks if key.camera == camera]
            vectors = np.stack([vector for _, vector in own])
            at_once = gallery.similarity(camera, vectors, keys=[key for key, _ in own])
            np.testing.assert_allclose(at_once, gallery.similarity(camera, vectors), atol=1e-6)
        new = unit(rng, 1)[0]
        if change == 0:
            gallery.put(5, member("cam0", 900, new))  # somebody known looks different now
        elif change == 1:
            gallery.put(200, member("cam1", 901, new))  # somebody new
        elif change == 2:
            gallery.forget(3)  # the last row takes its place
        elif change == 3:
            gallery.forget(200)
            gallery.put(201, member("cam1", 902, new))
    assert gallery.similarity("cam0", tracks[0][1][None]).shape == (1, 70)


def test_gallery_loaded_at_once_is_the_same_as_filled_one_by_one() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng, 40)
    members = [(i // 4 + 1, member(f"cam{i % 4}", i, vector)) for i, vector in enumerate(vectors)]
    one, other = Gallery(limit=1000, members=4), Gallery(limit=1000, members=4)
    one.load(members)
    for _, m in members:
        other.means.add(m.key.camera, m.vector)
    for global_id, m in members:
        other.put(global_id, m)
    other.scale = one.scale
    assert one.ids() == other.ids()
    query = unit(rng, 3)
    np.testing.assert_allclose(one.similarity("cam1", query), other.similarity("cam1", query), atol=1e-5)
    small = Gallery(limit=6, members=2)
    small.load([(g, Member(m.key, m.vector, m.weight, 0.0, float(g), live=False)) for g, m in members])
    assert sorted(small.people) == [5, 6, 7, 8, 9, 10]  # seen last
    assert all(len(small.members_of(g)) == 2 for g in small.people)


def test_gallery_that_is_full_lets_go_of_those_seen_longest_ago() -> None:
    rng = np.random.default_rng(2)
    gallery = filled(rng, 400, limit=300)
    assert len(gallery) <= 300
    assert set(range(300, 401)) <= set(gallery.people)
    assert gallery.ids() == [g for g, _ in sorted(gallery.people.items(), key=lambda item: item[1].row)]
