"""Optimisers, with weight decay on weights only."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from reidpipe.reid.config import OptimiserConfig


def build_optimiser(modules: Iterable[nn.Module], config: OptimiserConfig) -> torch.optim.Optimizer:
    """Make the optimiser of `config` over all parameters of `modules`.

    Norm parameters, biases and other vectors get no weight decay.
    """
    parameters = [value for module in modules for value in module.parameters() if value.requires_grad]
    groups = [
        {"params": [value for value in parameters if value.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [value for value in parameters if value.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (config.momentum, 0.999)
    fused = all(value.device.type in {"cpu", "cuda"} for value in parameters)
    if config.kind == "sgd":
        return torch.optim.SGD(
            groups, lr=config.rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=fused
        )
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, lr=config.rate, betas=betas, fused=fused)
    return torch.optim.Adam(groups, lr=config.rate, betas=betas, amsgrad=config.kind == "amsgrad", fused=fused)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimiser.param_groups:
        group["lr"] = rate
