"""Which images make a batch: identities first (PK), or images at random."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.types import Ids


class PKSampler:
    """Endless batches of P identities with K images each, camera-aware, plus rows without a person.

    Identities are drawn without replacement from a shuffled deck. Within an identity the K images alternate between
    its cameras where cameras are known.

    Args:
        persons: int64 `(N,)`, -1 = unknown.
        cameras: int64 `(N,)`, -1 = unknown.
        identities: P.
        images: K.
        unlabelled: Rows with unknown person in each batch.
        seed: Seed of the order.
    """

    def __init__(
        self, persons: Ids, cameras: Ids, *, identities: int, images: int, unlabelled: int = 0, seed: int = 0
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self._identities, self._images, self._unlabelled = identities, images, unlabelled
        order = np.argsort(persons, kind="stable")
        numbers, starts = np.unique(persons[order], return_index=True)
        groups = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
        self._loose: Ids = groups.pop(-1, np.zeros(0, dtype=np.int64)).astype(np.int64)
        self._groups = list(groups.values())
        self._cameras = cameras
        self._decks: dict[str, Ids] = {name: np.zeros(0, dtype=np.int64) for name in ("person", "loose")}
        if identities > len(self._groups):
            raise ConfigError(
                f"a batch of {identities} identities needs as many in the data, found {len(self._groups)}"
            )
        if unlabelled > len(self._loose):
            raise ConfigError(f"a batch with {unlabelled} unlabelled crops needs as many, found {len(self._loose)}")

    def __iter__(self) -> Iterator[Ids]:
        return self

    def __next__(self) -> Ids:
        """Row numbers of one batch, int64 `(P * K + unlabelled,)`."""
        chosen = self._draw("person", len(self._groups), self._identities)
        rows = [self._pick(self._groups[person]) for person in chosen.tolist()]
        loose = self._loose[self._draw("loose", len(self._loose), self._unlabelled)]
        return np.concatenate([*rows, loose]).astype(np.int64)

    def state_dict(self) -> dict[str, Any]:
        """All that decides which batches come next."""
        return {
            "rng": self._rng.bit_generator.state,
            "decks": {name: deck.tolist() for name, deck in self._decks.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self._rng.bit_generator.state = state["rng"]
        self._decks = {name: np.asarray(deck, dtype=np.int64) for name, deck in state["decks"].items()}

    def _draw(self, name: str, size: int, count: int) -> Ids:
        if len(self._decks[name]) < count:
            self._decks[name] = _reshuffle(self._decks[name], self._rng.permutation(size))
        drawn, self._decks[name] = self._decks[name][:count], self._decks[name][count:]
        return drawn

    def _pick(self, rows: Ids) -> Ids:
        """K rows of one person: shuffled, then round-robin over cameras; repeated where the person has fewer."""
        shuffled = self._rng.permutation(rows)
        cameras = self._cameras[shuffled]
        turn = np.zeros(len(shuffled), dtype=np.int64)
        for camera in np.unique(cameras):
            turn[cameras == camera] = np.arange((cameras == camera).sum())
        ordered = shuffled[np.argsort(turn, kind="stable")]
        return np.asarray(np.resize(ordered, self._images), dtype=np.int64)


class RandomSampler:
    """Endless batches of images in shuffled order, every image once before any comes again."""

    def __init__(self, count: int, *, batch: int, seed: int = 0) -> None:
        if batch > count:
            raise ConfigError(f"a batch of {batch} images needs as many in the data, found {count}")
        self._rng = np.random.default_rng(seed)
        self._count, self._batch = count, batch
        self._deck: Ids = np.zeros(0, dtype=np.int64)

    def __iter__(self) -> Iterator[Ids]:
        return self

    def __next__(self) -> Ids:
        """Row numbers of one batch, int64 `(batch,)`."""
        if len(self._deck) < self._batch:
            self._deck = _reshuffle(self._deck, self._rng.permutation(self._count))
        drawn, self._deck = self._deck[: self._batch], self._deck[self._batch :]
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """All that decides which batches come next."""
        return {"rng": self._rng.bit_generator.state, "deck": self._deck.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self._rng.bit_generator.state = state["rng"]
        self._deck = np.asarray(state["deck"], dtype=np.int64)


def _reshuffle(rest: Ids, fresh: Ids) -> Ids:
    """What is left of the last round, then the next round, ordered so that no batch across the border repeats a row."""
    again = np.isin(fresh, rest)
    return np.concatenate([rest, fresh[~again], fresh[again]])
