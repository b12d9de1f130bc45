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
        mine, theirs = self.average.state_dict(), model.state_dict()
        # state_dict tensors share the model's memory, so the pairs are looked up once
        pairs = [(mine[name], theirs[name]) for name in mine]
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the model."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_([pair[0] for pair in self._floats], [pair[1] for pair in self._floats], 1 - decay)
        for mine, theirs in self._counters:
            mine.copy_(theirs)
