"""Log rows of a training run as TensorBoard scalars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reidpipe.errors import MissingExtraError


class TensorboardLog:
    """A report for `train(config, on_log=...)`: every number of a row becomes a scalar over the images seen.

    Args:
        folder: Where the event files go.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", extra="torch", why="the TensorBoard log") from error
        self._writer = SummaryWriter(str(folder))

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        for name, value in row.items():
            if name != "images" and isinstance(value, int | float):
                self._writer.add_scalar(name, value, row["images"])

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()
