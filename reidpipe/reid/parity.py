"""The gate in front of every exported file: it must give what torch gives, at any batch, or it is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reidpipe.errors import WeightsError
from reidpipe.runtime import Session

Precision = Literal["fp32", "int8"]
Batch = NDArray[np.float32]

GATE_BATCHES = (1, 2, 7, 32)
GATE_COSINE: Mapping[str, float] = {"fp32": 0.9999, "int8": 0.99}


@dataclass(frozen=True, slots=True)
class Parity:
    """How well a file agrees with torch.

    Attributes:
        cosines: Lowest cosine of a row by batch size.
        largest_error: Largest absolute difference over all batches, relative to the largest value.
    """

    cosines: Mapping[int, float]
    largest_error: float

    def __str__(self) -> str:
        rows = ", ".join(f"{value:.6f} at batch {batch}" for batch, value in self.cosines.items())
        return f"cosine {rows}; largest error {self.largest_error:.1e}"

    def passes(self, precision: Precision) -> bool:
        """Whether every cosine is high enough; NaN is not."""
        return all(value >= GATE_COSINE[precision] for value in self.cosines.values())

    def check(self, what: str, *, precision: Precision) -> None:
        """Raise where a cosine is too low.

        Raises:
            WeightsError: With all the numbers.
        """
        if not self.passes(precision):
            raise WeightsError(f"export of {what} refused: {self}; {GATE_COSINE[precision]} is needed")


def compare(model: nn.Module, session: Session, images: Batch) -> Parity:
    """Run torch and an exported file on the same images at batch 1, 2, 7 and 32.

    Args:
        model: The net, in eval mode on the CPU.
        session: The file, opened as the pipeline opens it.
        images: Prepared images `(N, 3, H, W)`, repeated where a batch needs more.

    Raises:
        WeightsError: The file gives another shape, or cannot run a batch.
    """
    cosines: dict[int, float] = {}
    error = 0.0
    for batch in GATE_BATCHES:
        given = images[np.arange(batch) % len(images)]
        with torch.no_grad():
            wanted = model(torch.from_numpy(given)).numpy()
        got = session.run(given)[0]
        if got.shape != wanted.shape:
            raise WeightsError(f"export refused: the file gives {got.shape} at batch {batch}, torch {wanted.shape}")
        cosines[batch] = float(row_cosines(got, wanted).min())
        error = max(error, float(np.abs(got - wanted).max() / np.abs(wanted).max()))
    return Parity(cosines, error)


def row_cosines(one: Batch, two: Batch) -> Batch:
    """Cosine of each row of `one` with the same row of `two`, `(N,)`."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return np.asarray((one * two).sum(axis=1) / np.maximum(norms, 1e-12), dtype=np.float32)
