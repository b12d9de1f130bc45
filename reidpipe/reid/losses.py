"""Losses of the embedder: identity softmax, hard triplets, and distillation from a teacher's vectors.

Embeddings are float `(B, D)`, not normalised; person numbers are int64 `(B,)`, -1 = unknown.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SoftmaxHead(nn.Module):
    """Identity classification with label smoothing.

    With `scale` the logits are scaled cosines (NormFace, arXiv 1704.06369); without it they are linear.

    Args:
        dim: Length of the embedding.
        persons: Number of identities.
        scale: Factor on the cosines, about 16 to 30; None for a plain linear classifier.
        smoothing: Label smoothing epsilon (arXiv 1512.00567, section 7).
    """

    def __init__(self, dim: int, persons: int, *, scale: float | None = 18.0, smoothing: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(persons, dim))
        nn.init.normal_(self.weight, 0.0, 0.01)
        self.scale = scale
        self.smoothing = smoothing

    def forward(self, embeddings: Tensor, persons: Tensor) -> Tensor:
        """Mean loss over the rows with a known person; zero where there is none."""
        known = persons >= 0
        if not bool(known.any()):
            return embeddings.sum() * 0.0
        embeddings, persons = embeddings[known], persons[known]
        if self.scale is None:
            logits = F.linear(embeddings, self.weight)
        else:
            logits = self.scale * F.linear(F.normalize(embeddings), F.normalize(self.weight))
        return F.cross_entropy(logits.float(), persons, label_smoothing=self.smoothing)


class DistillHead(nn.Module):
    """Learn a teacher's vectors through a linear map, and its similarities within the batch directly.

    The feature part is `1 - cos(W e, t)`. The relational part (after arXiv 1904.05068 and 2002.04688) compares, row by
    row, the softmax over the similarities to the rest of the batch: KL(teacher || student). The student's temperature
    is learned, because rectified embeddings live on a narrower range of cosines than the teacher's. :meth:`anchored`
    (after SEED, arXiv 2101.04731, equation 4) compares the similarities to many more pictures, in the teacher's space.

    Args:
        dim: Length of the student's embedding.
        teacher_dim: Length of the teacher's vector.
        temperature: Of the teacher's similarities.
        anchor_temperature: Of the similarities to the anchors.
    """

    def __init__(
        self, dim: int, teacher_dim: int, *, temperature: float = 0.08, anchor_temperature: float = 0.05
    ) -> None:
        super().__init__()
        self.anchor_temperature = anchor_temperature
        self.project = nn.Linear(dim, teacher_dim)
        nn.init.normal_(self.project.weight, 0.0, dim**-0.5)
        nn.init.zeros_(self.project.bias)
        self.temperature = temperature
        self.log_scale = nn.Parameter(torch.tensor(math.log(1.0 / temperature)))

    def forward(self, embeddings: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return the feature loss and the relational loss; `teacher` is `(B, teacher_dim)` with unit rows."""
        embeddings = embeddings.float()
        feature = 1 - F.cosine_similarity(self.project(embeddings), teacher).mean()
        unit = F.normalize(embeddings)
        scale = self.log_scale.clamp(0.0, math.log(100.0)).exp()
        student_log = F.log_softmax(_without_self(unit @ unit.T) * scale, dim=1)
        wanted = F.softmax(_without_self(teacher @ teacher.T) / self.temperature, dim=1)
        return feature, F.kl_div(student_log, wanted, reduction="batchmean")

    def anchored(self, embeddings: Tensor, teacher: Tensor, anchors: Tensor) -> Tensor:
        """KL(teacher || student) of the softmax over similarities to `anchors`, teacher vectors `(A, teacher_dim)`."""
        mapped = F.normalize(self.project(embeddings.float()))
        student_log = F.log_softmax(mapped @ anchors.T / self.anchor_temperature, dim=1)
        wanted_log = F.log_softmax(teacher @ anchors.T / self.anchor_temperature, dim=1)
        return F.kl_div(student_log, wanted_log, reduction="batchmean", log_target=True)


def _without_self(similarities: Tensor) -> Tensor:
    """Drop the diagonal of `(B, B)`: returns `(B, B - 1)`."""
    count = len(similarities)
    others = ~torch.eye(count, dtype=torch.bool, device=similarities.device)
    return similarities[others].view(count, count - 1)


def hard_triplet_loss(embeddings: Tensor, persons: Tensor, *, margin: float = 0.3) -> Tensor:
    """Batch-hard triplets (arXiv 1703.07737, equation 5) on euclidean distance; rows without a person are left out.

    A row needs another image of its person and one of somebody else; without any such row the loss is zero.
    """
    known = persons >= 0
    embeddings, persons = embeddings[known].float(), persons[known]
    if len(persons) < 2:
        return embeddings.sum() * 0.0
    distances = torch.cdist(embeddings, embeddings)
    same = persons[:, None] == persons[None, :]
    itself = torch.eye(len(persons), dtype=torch.bool, device=persons.device)
    farthest = distances.masked_fill(~same | itself, -math.inf).amax(dim=1)
    nearest = distances.masked_fill(same, math.inf).amin(dim=1)
    usable = torch.isfinite(farthest) & torch.isfinite(nearest)
    if not bool(usable.any()):
        return embeddings.sum() * 0.0
    return F.relu(farthest[usable] - nearest[usable] + margin).mean()
