"""People who walk through a picture, their detections with noise, misses and clutter; exact truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reidpipe.types import Detections


class Scene:
    def __init__(self, *, people: int, seed: int, fps: float = 30.0, miss: float = 0.08, clutter: float = 0.5) -> None:
        self.people, self.seed, self.fps, self.miss, self.clutter = people, seed, fps, miss, clutter

    def pictures(self, count: int) -> Iterator[tuple[float, Detections]]:
        for time_s, detections, _ in self.pictures_with_truth(count):
            yield time_s, detections

    def pictures_with_truth(self, count: int) -> Iterator[tuple[float, Detections, np.ndarray]]:
        """Time, detections with embeddings, and the person of each row (-1 = clutter)."""
        rng = np.random.default_rng(self.seed)
        height = rng.uniform(100, 200, self.people)
        place = np.stack((rng.uniform(0, 1500, self.people), 250 * np.arange(self.people)), axis=1)
        speed = rng.uniform(-90, 90, (self.people, 2))
        looks = unit(rng.normal(size=(self.people, 16)))
        for k in range(count):
            time_s = k / self.fps
            where = place + speed * time_s
            seen = np.flatnonzero(rng.random(self.people) >= self.miss)
            noise = rng.normal(0, 1.0, (len(seen), 4))
            size = np.stack((0.4 * height[seen], height[seen]), axis=1)
            boxes = np.concatenate((where[seen] - size / 2, where[seen] + size / 2), axis=1) + noise
            extra = rng.uniform(0, 1500, (rng.poisson(self.clutter), 2))
            boxes = np.concatenate((boxes, np.concatenate((extra, extra + 50), axis=1)))
            scores = np.concatenate((rng.uniform(0.7, 1.0, len(seen)), rng.uniform(0.1, 0.6, len(extra))))
            vectors = np.concatenate((looks[seen], rng.normal(size=(len(extra), 16))))
            vectors = unit(vectors + rng.normal(0, 0.02, vectors.shape))
            who = np.concatenate((seen, np.full(len(extra), -1)))
            f = np.float32
            yield time_s, Detections(boxes.astype(f), scores.astype(f), vectors.astype(f)), who


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
