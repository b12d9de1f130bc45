"""Learning-rate schedules as a pure function of progress (0 at the start, 1 at the end of training)."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ScheduleConfig(BaseModel):
    """How the learning rate moves with progress.

    Attributes:
        kind: `cosine` to `floor`, `multistep` (times `gamma` at each milestone), or `constant`.
        warmup: Part of the training with a linear rise from `warmup_from`.
        warmup_from: First factor of the warm-up.
        floor: Last factor of the cosine.
        milestones: Progress values of the steps; one value is the single-step schedule.
        gamma: Factor of a step.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["cosine", "multistep", "constant"] = "cosine"
    warmup: float = Field(0.02, ge=0, lt=1)
    warmup_from: float = Field(0.1, gt=0, le=1)
    floor: float = Field(0.005, ge=0, le=1)
    milestones: tuple[float, ...] = (0.6, 0.9)
    gamma: float = Field(0.1, gt=0, le=1)


def rate_factor(progress: float, config: ScheduleConfig) -> float:
    """The factor on the base learning rate at `progress` in 0..1 (values beyond are clamped)."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < config.warmup:
        return config.warmup_from + (1 - config.warmup_from) * progress / config.warmup
    if config.kind == "multistep":
        return config.gamma ** sum(progress >= milestone for milestone in config.milestones)
    if config.kind == "cosine":
        along = (progress - config.warmup) / (1 - config.warmup)
        return config.floor + (1 - config.floor) * 0.5 * (1 + math.cos(math.pi * along))
    return 1.0
