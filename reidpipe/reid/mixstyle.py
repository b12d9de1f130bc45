"""MixStyle (Zhou et al., ICLR 2021, arXiv 2104.02008): mix the feature statistics of images while training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class MixStyle(nn.Module):
    """Mixes mean and deviation of each image's feature maps with those of another of the batch (equations 3 to 5).

    Active in training mode only. What is mixed at a step depends on the seed and the step alone, so a resumed run and
    a run on several threads give the same result.

    Args:
        probability: Of mixing a batch.
        alpha: Of the Beta distribution that the share is drawn from.
        seed: Copies of a model should have different seeds.
    """

    def __init__(self, *, probability: float = 0.5, alpha: float = 0.1, seed: int = 0) -> None:
        super().__init__()
        self.probability, self.alpha = probability, alpha
        self.start_step(seed, 0)

    def start_step(self, seed: int, step: int) -> None:
        """Set what is mixed at `step`."""
        self._rng = np.random.default_rng((seed, step))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps `(N, C, H, W)`, the same shape out."""
        if not self.training or self._rng.random() > self.probability:
            return x
        count = len(x)
        share = self._rng.beta(self.alpha, self.alpha, (count, 1, 1, 1)).astype(np.float32)
        kept = torch.from_numpy(share).to(x)
        other = torch.from_numpy(self._rng.permutation(count)).to(x.device)
        mean = x.mean(dim=(2, 3), keepdim=True).detach()
        deviation = (x.var(dim=(2, 3), keepdim=True) + 1e-6).sqrt().detach()
        mixed_mean = kept * mean + (1 - kept) * mean[other]
        mixed_deviation = kept * deviation + (1 - kept) * deviation[other]
        return (x - mean) / deviation * mixed_deviation + mixed_mean
