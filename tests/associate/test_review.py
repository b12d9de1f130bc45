"""Second thoughts: a link changes only when the others are a better fit by enough."""

from __future__ import annotations

import numpy as np

from reidpipe.associate.decide import Rules
from reidpipe.associate.evidence import Views
from reidpipe.associate.gallery import Gallery, Member
from reidpipe.associate.review import Review
from reidpipe.types import TrackKey, Tracklet


def stay(camera: str, number: int, first_s: float, axis: int, *, other: float = 0.0) -> Tracklet:
    look = np.random.default_rng(number).normal(size=16) * 0.05
    look[axis] += 1.0
    look[axis + 1] += other
    vector = (look / np.linalg.norm(look)).astype(np.float32)
    return Tracklet(TrackKey(camera, number), vector, 5, 0.9, first_s, first_s + 8.0, closed=True)


def second_thoughts(margin: float) -> dict[TrackKey, tuple[int, int]]:
    """Four people in two cameras; track 103 was given person 1 though it looks like person 3."""
    review = Review(limit=50, rules=Rules(), views=Views(), margin=margin)
    gallery = Gallery(limit=50, members=5)
    ids = {}
    for person in range(4):
        for number, camera in ((person, "a"), (100 + person, "b")):
            t = stay(camera, number, 20.0 * person + (10.0 if camera == "b" else 0.0), 3 * person)
            ids[t.key] = person if number != 103 else 1
            gallery.put(ids[t.key], Member(t.key, t.vector, 0.9, t.first_s, t.last_s, live=False))
            review.note(t)
    return review.second_thoughts(ids, gallery)


def test_review_corrects_what_is_plainly_wrong() -> None:
    assert second_thoughts(1.0) == {TrackKey("b", 103): (1, 3)}


def test_review_leaves_what_is_not_better_by_the_margin() -> None:
    assert second_thoughts(1000.0) == {}
