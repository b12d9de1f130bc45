"""Features of people in one call, from files, pictures, arrays or tensors: Torchreid's `FeatureExtractor`, strict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from reidpipe.errors import ConfigError
from reidpipe.reid.cache import read_image
from reidpipe.reid.checkpoint import load_weights
from reidpipe.reid.device import check_device
from reidpipe.reid.embed import to_input
from reidpipe.reid.models import build_osnet
from reidpipe.reid.spec import OSNetSpec
from reidpipe.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    One: TypeAlias = str | Path | Image | PilImage | Tensor

ColorOrder = Literal["bgr", "rgb"]


class FeatureExtractor:
    """An OSNet with weights that turns pictures of people into features.

    Args:
        architecture: Name, spec file or spec, for instance `osnet_x1_0`.
        weights: Checkpoint; it must fit exactly.
        device: Torch device.
        height: Rows that pictures are resized to.
        width: Columns that pictures are resized to.
        color_order: Order of the channels of *arrays*; files and PIL pictures state it themselves.
        batch: Pictures in one run.

    Raises:
        ConfigError: Unknown architecture or colour order, or a device that is not there.
        WeightsError: The checkpoint is not there or does not fit.

    Example:
        >>> extractor = FeatureExtractor("osnet_x1_0", weights="osnet_x1_0_msmt17.pth")  # doctest: +SKIP
        >>> extractor(["ann.jpg", "bob.jpg"]).shape  # doctest: +SKIP
        torch.Size([2, 512])
    """

    def __init__(
        self,
        architecture: str | Path | OSNetSpec,
        *,
        weights: str | Path,
        device: str = "cpu",
        height: int = 256,
        width: int = 128,
        color_order: ColorOrder = "bgr",
        batch: int = 32,
    ) -> None:
        if color_order not in ("bgr", "rgb"):
            raise ConfigError(f"color_order must be 'bgr' or 'rgb', got '{color_order}'")
        check_device(device)
        self.model = build_osnet(architecture)
        load_weights(self.model, Path(weights))
        self.model.to(device).eval()
        self.height, self.width = height, width
        self._device, self._color_order, self._batch = device, color_order, batch

    @torch.no_grad()
    def __call__(self, images: One | Sequence[One]) -> Tensor:
        """Features of one picture or of many.

        Args:
            images: Paths, PIL pictures, uint8 arrays `(H, W, 3)` of any size, or a batch of arrays `(N, H, W, 3)`.
                Float tensors `(3, height, width)` or `(N, 3, height, width)` go to the net as they are: RGB, normalised
                with ImageNet's mean and standard deviation.

        Returns:
            float32 `(N, D)` on the extractor's device, not normalised.

        Raises:
            ConfigError: A picture cannot be read or has another shape or type.
        """
        if isinstance(images, Tensor):
            return self._run_tensor(images)
        many: Any = images if _is_many(images) else [images]
        rows = []
        for start in range(0, len(many), self._batch):
            rows.append(self._run(many[start : start + self._batch]))
        empty = torch.zeros(0, self.model.spec.embedding, device=self._device)
        return torch.cat(rows) if rows else empty

    def _run(self, part: Sequence[Any]) -> Tensor:
        if isinstance(part[0], Tensor):
            return self._run_tensor(torch.stack(list(part)))
        pictures = np.stack([self._resized(picture) for picture in part])
        features: Tensor = self.model(to_input(pictures, self._device))
        return features

    def _run_tensor(self, batch: Tensor) -> Tensor:
        batch = batch[None] if batch.ndim == 3 else batch
        wanted = (3, self.height, self.width)
        if batch.ndim != 4 or tuple(batch.shape[1:]) != wanted or not batch.is_floating_point():
            raise ConfigError(
                f"a tensor must be float (N, {', '.join(map(str, wanted))}) RGB, normalised; "
                f"got {batch.dtype} {tuple(batch.shape)}: give arrays or paths to have them prepared"
            )
        features: Tensor = self.model(batch.to(self._device).float())
        return features

    def _resized(self, picture: Any) -> Image:
        """Any picture as uint8 `(height, width, 3)` BGR."""
        import cv2

        bgr = self._to_bgr(picture)
        return np.asarray(cv2.resize(bgr, (self.width, self.height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def _to_bgr(self, picture: Any) -> Image:
        if isinstance(picture, str | Path):
            return read_image(Path(picture))
        if hasattr(picture, "convert"):  # PIL, which need not be installed
            return np.ascontiguousarray(np.asarray(picture.convert("RGB"))[..., ::-1])
        if (
            not isinstance(picture, np.ndarray)
            or picture.dtype != np.uint8
            or picture.ndim != 3
            or picture.shape[2] != 3
        ):
            what = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise ConfigError(f"a picture must be a path, PIL image or uint8 (H, W, 3) array, got {what}")
        return np.ascontiguousarray(picture if self._color_order == "bgr" else picture[..., ::-1])


def _is_many(images: object) -> bool:
    if isinstance(images, np.ndarray):
        return images.ndim == 4
    return isinstance(images, Sequence) and not isinstance(images, str)
