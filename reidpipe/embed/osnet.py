"""OSNet, and any net like it, as an embedder: crops in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from reidpipe.embed.crops import crops
from reidpipe.embed.facts import EmbedderFacts, read_facts
from reidpipe.errors import ConfigError
from reidpipe.runtime import Session, open_session
from reidpipe.types import Boxes, Image, Vectors
from reidpipe.weights import resolve

__all__ = ["OSNetEmbedder"]


class OSNetEmbedder:
    """Turns people into vectors with a net from ONNX, OpenVINO IR or TorchScript. Keeps no state between calls.

    Args:
        model: a name of the weights manifest, or a path.
        threads: for one run of the net.
        backend: see ``reidpipe.runtime.open_session``.
        device: the same.
        precision: the same.
        max_batch: crops in one run, where the net's batch is free.
        color_order: ``rgb`` or ``bgr``: what the net was trained on. Pictures are always given as BGR.
        scale: factor on the 0..255 pixel.
        mean: of the channels in ``color_order``, after scaling.
        std: the same.
        input_size: (height, width) of the crops, for a net whose input is free.

        The last five are for foreign files: our own carry them. Where nothing says anything, torchreid's convention
        is taken, and ``facts.assumed`` is True.

    Raises:
        WeightsError: the file is missing, damaged, or no embedder.
        ConfigError: an argument is out of range.

    Example:
        >>> embedder = OSNetEmbedder("osnet_x0_25")  # doctest: +SKIP
        >>> embedder.embed(frame, boxes) @ gallery.T  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path = "osnet_x0_25",
        *,
        threads: int = 2,
        backend: str = "auto",
        device: str = "cpu",
        precision: str = "f32",
        max_batch: int = 32,
        color_order: str | None = None,
        scale: float | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        if max_batch < 1:
            raise ConfigError(f"max_batch must be at least 1, got {max_batch}")
        found = resolve(model, kind="embedder")
        given = {"color_order": color_order, "scale": scale, "mean": mean, "std": std, "input_size": input_size}
        self._session: Session = open_session(
            found.path, backend=backend, threads=threads, device=device, precision=precision, split=True
        )
        self.facts: EmbedderFacts = read_facts(
            self._session,
            path=found.path,
            manifest=found.facts(),
            given={key: value for key, value in given.items() if value is not None},
        )
        self.model = found.label
        self._max_batch = self.facts.batch or max_batch
        # New memory for every picture costs as much as its crops (page faults). A call takes a spare batch and gives it
        # back; calls that overlap have one each.
        self._spare: list[NDArray[Any]] = []

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.facts.dim

    @overload
    def embed(self, images: Image, boxes: Boxes) -> Vectors: ...
    @overload
    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]: ...

    def embed(self, images: Image | Sequence[Image], boxes: Boxes | Sequence[Boxes]) -> Vectors | list[Vectors]:
        """Vectors of people in one picture, or in many pictures at once.

        Args:
            images: one picture uint8 ``(H, W, 3)`` BGR, or a sequence of them; sizes may differ.
            boxes: float32 ``(N, 4)`` x1 y1 x2 y2 pixels for the one picture, or one such array for each. A box is
                clipped to its picture; one that lies outside gets the nearest pixel, so that rows never shift.

        Returns:
            float32 ``(N, dim)`` with rows of unit length for the one picture, or a list of them.
        """
        if isinstance(images, np.ndarray):
            rows = np.asarray(boxes, dtype=np.float32)
            return self._vectors([images], [rows], len(rows))
        counts = [len(rows) for rows in boxes]
        vectors = self._vectors(images, list(boxes), sum(counts))
        return np.split(vectors, np.cumsum(counts)[:-1]) if counts else []

    def _vectors(self, images: Sequence[Image], boxes: Sequence[Boxes], count: int) -> Vectors:
        """All crops through the net, in as few runs as may be; one batch is in memory at a time."""
        if not count:
            return np.zeros((0, self.dim), np.float32)
        height, width = self.facts.input_size
        rows = self.facts.batch or min(count, self._max_batch)
        batch = self._batch(rows)
        people = crops(images, boxes, width=width, height=height)
        outputs = []
        for start in range(0, count, rows):
            filled = min(rows, count - start)
            self.facts.normalize.fill(islice(people, filled), batch)
            used = batch if self.facts.batch else batch[:filled]
            outputs.append(self._session.run(used)[0][:filled].reshape(filled, self.dim))
        self._spare.append(batch)
        return _unit(np.concatenate(outputs))

    def _batch(self, rows: int) -> NDArray[Any]:
        """Room for at least so many crops; rows that are not filled hold numbers of earlier calls, or zeros."""
        try:
            spare = self._spare.pop()
        except IndexError:  # none yet, or all are in use
            spare = np.zeros((0, 3, *self.facts.input_size), self._session.inputs[0].dtype)
        if len(spare) >= rows:
            return spare
        return np.zeros((rows, 3, *self.facts.input_size), spare.dtype)


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    """Rows of unit length. An all-zero row (a dead net) becomes the constant direction rather than NaN."""
    vectors = vectors.astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    dead = norms[:, 0] < np.float32(1e-12)
    vectors[dead], norms[dead] = 1.0, np.sqrt(np.float32(vectors.shape[1]))
    return np.ascontiguousarray(vectors / norms)
