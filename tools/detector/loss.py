"""The detector's loss, over pairs of a person and a cell instead of dense tables: many small people cost little.

Which cells learn which person: task alignment, score^0.5 * IoU^6, the best ten per person (Feng et al., "TOOD", ICCV
2021, arXiv 2108.07755, equations 3 and 4). Boxes: complete IoU (Zheng et al., arXiv 1911.08287, equation 10) and the
distribution focal loss over distance bins (Li et al., "Generalized Focal Loss", arXiv 2006.04388, equation 6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TOP = 10  # cells per person
SCORE_POWER, IOU_POWER = 0.5, 6.0
WEIGHTS = (7.5, 0.5, 1.5)  # of boxes, scores and distributions
REACH = 4.5  # px: a person smaller than this each side of his middle still holds the middle of a cell of stride 8


@dataclass(frozen=True)
class Cells:
    """Middles (A, 2) in input pixels and strides (A,) of all cells, level by level."""

    middles: Tensor
    strides: Tensor

    @classmethod
    def of(cls, maps: list[Tensor], strides: list[float]) -> Cells:
        """The cells of feature maps (B, C, H, W)."""
        middles, sizes = [], []
        for level, stride in zip(maps, strides, strict=True):
            rows, columns = (torch.arange(n) + 0.5 for n in level.shape[-2:])
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            middles.append(torch.stack([x, y], dim=-1).view(-1, 2) * stride)
            sizes.append(torch.full((x.numel(),), stride))
        return cls(torch.cat(middles), torch.cat(sizes))


def iou(a: Tensor, b: Tensor, *, complete: bool = False) -> Tensor:
    """Overlap (N,) of boxes x1 y1 x2 y2 (N, 4) pair by pair; ``complete`` takes off the penalties of CIoU."""
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp_min(0).prod(dim=1)
    overlap = shared / (size_a.prod(dim=1) + size_b.prod(dim=1) - shared + 1e-7)
    if not complete:
        return overlap
    around = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:]) - (b[:, :2] + b[:, 2:])).square().sum(dim=1) / 4
    shape_a, shape_b = (torch.atan(size[:, 0] / (size[:, 1] + 1e-7)) for size in (size_a, size_b))
    shape = (4 / math.pi**2) * (shape_a - shape_b).square()
    with torch.no_grad():
        weight = shape / (1 - overlap + shape + 1e-7)
    return overlap - apart / (around.square().sum(dim=1) + 1e-7) - weight * shape


def best_pairs(people: Tensor, alignment: Tensor) -> Tensor:
    """Which pairs are among the ``TOP`` best aligned of their person: bool (P,). ``people`` (P,) is sorted."""
    order = torch.argsort(alignment, descending=True)
    order = order[torch.argsort(people[order], stable=True)]
    owner = people[order]
    first = torch.searchsorted(owner, owner)
    kept = torch.zeros_like(people, dtype=torch.bool)
    kept[order] = torch.arange(len(people)) - first < TOP
    return kept


def one_person_each(cells: Tensor, overlap: Tensor) -> Tensor:
    """Indices of the pairs that stay when every cell keeps the person that it overlaps most."""
    order = torch.argsort(overlap, descending=True)
    order = order[torch.argsort(cells[order], stable=True)]
    owner = cells[order]
    return order[torch.cat([torch.ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])] if len(order) else order


class AlignedLoss:
    """Called by the trainer with what the network returns in training and the batch of targets.

    Args:
        strides: of the levels, in input pixels.
        bins: of the distance distribution of a box side.
    """

    def __init__(self, strides: list[float], bins: int) -> None:
        self.strides = strides
        self.distances = torch.arange(bins, dtype=torch.float32)

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted losses (3,) times the batch size, and the same unweighted by the batch size, by name.

        Args:
            predictions: ``boxes`` (B, 4 * bins, A) and ``scores`` (B, 1, A) logits, ``feats`` the levels' maps; from a
                network that is not training, behind its decoded boxes.
            batch: ``img`` (B, 3, H, W); ``batch_idx`` (N,) the picture of each person, ``bboxes`` (N, 4) relative
                centre x, centre y, width, height.
        """
        if isinstance(predictions, tuple):
            predictions = predictions[1]
        cells = Cells.of(predictions["feats"], self.strides)
        logits = predictions["scores"][:, 0]
        sides = predictions["boxes"].permute(0, 2, 1)
        height, width = batch["img"].shape[-2:]
        centre, size = (batch["bboxes"].float() * torch.tensor([width, height] * 2)).split(2, dim=1)
        truth = torch.cat([centre - size / 2, centre + size / 2], dim=1)
        picture = batch["batch_idx"].long()
        with torch.no_grad():
            person, cell, target = self._assign(cells, logits, sides, truth, picture)
        wanted = torch.zeros_like(logits)
        wanted[picture[person], cell] = target
        chosen = sides[picture[person], cell].view(-1, 4, len(self.distances))
        boxes = self._boxes(chosen, cells, cell)
        overlap = iou(boxes, truth[person], complete=True)
        sums = (
            ((1 - overlap) * target).sum(),
            F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum"),
            self._focal(chosen, truth[person], cells, cell, target),
        )
        parts = torch.stack(sums) / target.sum().clamp_min(1.0) * torch.tensor(WEIGHTS)
        names = ("box_loss", "cls_loss", "dfl_loss")
        return parts * len(logits), {name: part.detach() for name, part in zip(names, parts, strict=True)}

    def _boxes(self, sides: Tensor, cells: Cells, cell: Tensor) -> Tensor:
        """Boxes (P, 4) in input pixels from logits (P, 4, bins): mean distance of each side from the cell's middle."""
        mean = (sides.softmax(dim=-1) @ self.distances) * cells.strides[cell, None]
        middle = cells.middles[cell]
        return torch.cat([middle - mean[:, :2], middle + mean[:, 2:]], dim=1)

    def _assign(
        self, cells: Cells, logits: Tensor, sides: Tensor, truth: Tensor, picture: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Person, cell and wanted score (P,) of every pair that learns."""
        middle, half = (truth[:, :2] + truth[:, 2:]) / 2, ((truth[:, 2:] - truth[:, :2]) / 2).clamp_min(REACH)
        x, y = (cells.middles[None, :, axis] - middle[:, axis, None] for axis in (0, 1))
        person, cell = ((x.abs() < half[:, :1]) & (y.abs() < half[:, 1:])).nonzero(as_tuple=True)
        place = picture[person]
        boxes = self._boxes(sides[place, cell].view(-1, 4, len(self.distances)), cells, cell)
        overlap = iou(boxes, truth[person])
        alignment = logits[place, cell].sigmoid().pow(SCORE_POWER) * overlap.pow(IOU_POWER)
        kept = best_pairs(person, alignment).nonzero()[:, 0]
        kept = kept[one_person_each(place[kept] * len(cells.strides) + cell[kept], overlap[kept])]
        person, cell, overlap, alignment = person[kept], cell[kept], overlap[kept], alignment[kept]
        most = torch.zeros(2, len(truth)).scatter_reduce(
            1, person.expand(2, -1), torch.stack([overlap, alignment]), "amax"
        )
        return person, cell, alignment * most[0, person] / (most[1, person] + 1e-9)

    def _focal(self, sides: Tensor, truth: Tensor, cells: Cells, cell: Tensor, target: Tensor) -> Tensor:
        """Cross entropy to the two bins around the true distance, mean over the sides, weighted by the target."""
        middle, stride = cells.middles[cell], cells.strides[cell, None]
        true = torch.cat([middle - truth[:, :2], truth[:, 2:] - middle], dim=1) / stride
        true = true.clamp(0, len(self.distances) - 1.01)
        low = true.floor()
        log = sides.log_softmax(dim=-1)
        below, above = (log.gather(2, (low.long() + k)[..., None])[..., 0] for k in (0, 1))
        share = true - low
        return (-(below * (1 - share) + above * share).mean(dim=1) * target).sum()
