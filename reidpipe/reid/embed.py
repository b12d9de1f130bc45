"""Embed stored crops with a torch model: validation during training, evaluation of checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reidpipe.reid.cache import read_image
from reidpipe.reid.checkpoint import load_weights
from reidpipe.reid.models import build_osnet
from reidpipe.types import Image, Vectors

MEAN_RGB = (0.485, 0.456, 0.406)
STD_RGB = (0.229, 0.224, 0.225)


def to_input(images: Image, device: torch.device | str = "cpu") -> Tensor:
    """uint8 `(B, H, W, 3)` BGR to float32 `(B, 3, H, W)` RGB, ImageNet-normalised, channels last in memory."""
    # planes first: torch is several times slower where the innermost axis has three entries
    planes = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
    batch = torch.from_numpy(planes).to(device).float()
    mean = torch.tensor(MEAN_RGB, device=device).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD_RGB, device=device).view(1, 3, 1, 1) * 255
    return batch.sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)


def embed_paths(
    model: nn.Module,
    paths: Sequence[Path],
    *,
    height: int = 256,
    width: int = 128,
    batch: int = 64,
    device: str = "cpu",
) -> Vectors:
    """Embed image files in eval mode: bilinear resize (OpenCV), no augmentation.

    Returns:
        float32 `(N, D)`, unit rows.
    """
    pictures = (read_image(path) for path in paths)
    vectors = embed_pictures(model, pictures, height=height, width=width, batch=batch, device=device).cpu().numpy()
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


@torch.no_grad()
def embed_pictures(
    model: nn.Module, pictures: Iterable[Image], *, height: int, width: int, batch: int = 64, device: str = "cpu"
) -> Tensor:
    """Embed uint8 BGR pictures `(H, W, 3)` in eval mode, as :func:`embed_paths`; float32 `(N, D)`, not normalised."""
    import cv2

    was_training = model.training
    model.eval()
    resized = (cv2.resize(picture, (width, height)) for picture in pictures)
    rows = []
    while images := list(islice(resized, batch)):
        rows.append(model(to_input(np.stack(images), device)).float())
    model.train(was_training)
    return torch.cat(rows)


def checkpoint_embedder(
    architecture: str | Path, weights: Path, *, height: int = 256, width: int = 128, device: str = "cpu"
) -> Callable[[Sequence[Path]], Vectors]:
    """A checkpoint as a function from image files to vectors, for evaluation.

    Raises:
        ConfigError: Unknown architecture.
        WeightsError: The checkpoint does not fit it.
    """
    model = build_osnet(architecture)
    load_weights(model, weights)
    model.to(device)
    return partial(embed_paths, model, height=height, width=width, device=device)
