"""Exponential moving average of a model: parameters and running statistics of the norms alike."""

from __future__ import annotations

import copy

import torch
from torch import nn


class ModelEma:
    """Keeps `average`, a copy of the model in eval mode whose state follows the model's slowly.

    The decay warms up as `min(decay, (1 + n) / (10 + n))`, so early averages do not remember the random start.
    Running means and variances are averaged with the same weights, so they fit the averaged parameters.

    Args:
        model: The model to follow.
        decay: Weight of the past per step, for instance 0.999.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average one step towards `model`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = self.average.state_dict(), model.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
        for name in mine.keys() - floats:
            mine[name].copy_(theirs[name])
