"""Batches for training: rows from a sampler, augmented crops, labels and teacher vectors, made ahead by a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reidpipe.reid.samplers import PKSampler, RandomSampler
from reidpipe.reid.transforms import AugmentConfig, augment
from reidpipe.types import Ids, Image, Vectors


@dataclass(frozen=True, slots=True)
class TrainData:
    """Everything that training reads.

    Attributes:
        crops: uint8 `(N, H, W, 3)` BGR.
        persons: int64 `(N,)`, 0..P-1, -1 = unknown.
        cameras: int64 `(N,)`, -1 = unknown.
        teacher: float32 `(N, D)` unit rows, or None.
    """

    crops: Image
    persons: Ids
    cameras: Ids
    teacher: Vectors | None

    @property
    def identities(self) -> int:
        """Number of known persons."""
        return int(self.persons.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch.

    Attributes:
        images: uint8 `(B, height, width, 3)` BGR, augmented.
        rows: int64 `(B,)`, rows of the training data.
        sampler_state: State of the sampler after this batch: what a resumed run continues from.
    """

    images: Image
    rows: Ids
    sampler_state: dict[str, Any]


class BatchMaker:
    """Makes batches ahead in one thread.

    Batch `n` depends on the seed, on `n` and on the input size only, never on timing: a resumed run sees the same
    images.

    Args:
        data: Training data.
        sampler: Chooses the rows.
        config: Augmentation.
        seed: Seed of the augmentation.
        first: Number of the first batch (batches made before a resume).
        ahead: Batches kept ready.
    """

    def __init__(
        self,
        data: TrainData,
        sampler: PKSampler | RandomSampler,
        config: AugmentConfig,
        *,
        seed: int,
        first: int = 0,
        ahead: int = 3,
    ) -> None:
        self._data, self._sampler, self._config = data, sampler, config
        self._seed, self._number = seed, first
        self._ahead = ahead

    def batches(self, *, height: int, width: int) -> Generator[Batch]:
        """Endless batches at one input size.

        Closing the iterator forgets what was made ahead and winds the sampler back.
        """
        ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=self._ahead)
        stop = threading.Event()
        used = self._sampler.state_dict()
        number = self._number

        def work() -> None:
            try:
                for count, rows in enumerate(self._sampler):
                    batch = self._make(number + count, rows, height, width)
                    if not _put(ready, batch, stop):
                        return
            except BaseException as error:  # handed to the training loop, which raises it
                _put(ready, error, stop)

        thread = threading.Thread(target=work, name="reid-batches", daemon=True)
        thread.start()
        try:
            while True:
                made = ready.get()
                if isinstance(made, BaseException):
                    raise made
                used = made.sampler_state
                self._number += 1
                yield made
        finally:
            stop.set()
            thread.join()
            self._sampler.load_state_dict(used)

    def _make(self, number: int, rows: Ids, height: int, width: int) -> Batch:
        state = self._sampler.state_dict()
        rng = np.random.default_rng((self._seed, number))
        images = np.empty((len(rows), height, width, 3), dtype=np.uint8)
        for place, row in enumerate(rows.tolist()):
            images[place] = augment(self._data.crops[row], self._config, rng, height=height, width=width)
        return Batch(images, rows, state)


def _put(ready: queue.Queue[Any], item: object, stop: threading.Event) -> bool:
    """Put with a regular look at `stop`; False when the reader is gone."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.2)
        except queue.Full:
            continue
        return True
    return False
