"""What a tracker holds does not grow with the length of the film."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from reidpipe.stages import Tracker
from reidpipe.types import Detections
from tests.track.test_trackers import EVERY

pytestmark = pytest.mark.filterwarnings("error")


def short_visits(k: int) -> tuple[Detections, float]:
    """Five people, each for eight pictures at ten a second, then somebody else: thousands of ids in the end."""
    rng = np.random.default_rng(k // 8)
    corner = rng.uniform(0, 1500, (5, 2)) + 3.0 * (k % 8)
    boxes = np.concatenate((corner, corner + np.array([50, 120])), axis=1).astype(np.float32)
    looks = rng.normal(size=(5, 16)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    found = Detections(boxes, np.full(5, 0.9, np.float32))
    return found.with_embeddings(np.arange(5), looks), k / 10 + 2.0 * (k // 8)


@EVERY
def test_trackers_hold_no_more_after_many_visits_than_after_few(make: Callable[[], Tracker]) -> None:
    tracker, sizes, given = make(), [], set()
    for k in range(2400):
        tracks = tracker.update(*short_visits(k))
        given |= set(tracks.track_ids.tolist())
        if k % 8 == 7 and k >= 400:
            sizes.append(len(pickle.dumps(tracker)))
    assert len(given) >= 1000
    assert max(sizes[-50:]) <= 1.1 * max(sizes[:50])
