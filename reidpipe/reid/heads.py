"""Heads that fit a backbone from the first step: closed forms instead of random weights.

A run that starts from trained weights (`init`) has a good backbone and new heads. The gradient that random heads send
back undoes part of what the backbone knows; heads fitted to its present embeddings do not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidpipe.reid.batches import TrainData
from reidpipe.reid.embed import embed_pictures
from reidpipe.reid.losses import DistillHead, SoftmaxHead

CROPS = 12_000
RIDGE = 1e-3  # of each dimension's variance


def fit_heads(
    model: nn.Module,
    data: TrainData,
    softmax: SoftmaxHead,
    distill: DistillHead,
    *,
    height: int,
    width: int,
    device: str = "cpu",
    seed: int = 0,
) -> None:
    """Fit both heads to the embeddings of up to 12,000 training crops without augmentation.

    The classifier's rows become the mean direction of each person's embeddings (of all crops for who is not drawn), the
    map to the teacher's space the ridge regression of the teacher's vectors.

    Args:
        model: The backbone; in eval mode while this runs.
        data: Training crops, persons, teacher vectors.
        softmax: Its weights are set where persons are known.
        distill: Its map is set where there is a teacher.
        height: Rows of the input.
        width: Columns of the input.
        device: Where the model is.
        seed: Of the choice of crops.
    """
    rows = np.random.default_rng(seed).permutation(len(data.crops))[:CROPS]
    crops = (data.crops[row] for row in rows.tolist())
    embeddings = embed_pictures(model, crops, height=height, width=width, device=device)
    with torch.no_grad():
        _fit_classes(softmax, embeddings, torch.from_numpy(data.persons[rows]).to(device))
        if data.teacher is not None:
            _fit_map(distill, embeddings, torch.from_numpy(data.teacher[rows]).to(device))


def _fit_classes(softmax: SoftmaxHead, embeddings: Tensor, persons: Tensor) -> None:
    if softmax.scale is None:
        return  # a linear classifier's lengths matter, and means do not say them
    unit, known = F.normalize(embeddings), persons >= 0
    sums = torch.zeros_like(softmax.weight).index_add_(0, persons[known], unit[known])
    sums[sums.norm(dim=1) == 0] = unit.mean(dim=0)
    softmax.weight.copy_(F.normalize(sums))


def _fit_map(distill: DistillHead, embeddings: Tensor, teacher: Tensor) -> None:
    mean, target = embeddings.mean(dim=0), teacher.mean(dim=0)
    centred = (embeddings - mean).double()
    penalty = RIDGE * len(centred) * (centred.square().mean(dim=0) + 1e-9)
    weight = torch.linalg.solve(centred.T @ centred + penalty.diag(), centred.T @ (teacher - target).double())
    distill.project.weight.copy_(weight.T)
    distill.project.bias.copy_(target - weight.T.float() @ mean)
