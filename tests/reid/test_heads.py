"""Heads fitted to a trained backbone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from reidpipe.reid.batches import TrainData  # noqa: E402
from reidpipe.reid.heads import fit_heads  # noqa: E402
from reidpipe.reid.losses import DistillHead, SoftmaxHead  # noqa: E402


class Colours(nn.Module):
    """Embeds a crop as its mean colour, and one constant."""

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean(dim=(2, 3))
        found: Tensor = torch.cat((means.relu(), (-means).relu(), torch.ones(len(means), 1)), dim=1)
        return found


@pytest.fixture
def data() -> TrainData:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (5, 3))
    persons = np.repeat(np.array([0, 1, 2, 3, -1]), 30)
    noisy = colours[np.repeat(np.arange(5), 30)] + rng.integers(-9, 10, (150, 3))
    crops = np.broadcast_to(noisy.clip(0, 255).astype(np.uint8)[:, None, None, :], (150, 8, 4, 3)).copy()
    teacher = (noisy - 128).astype(np.float32)
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    return TrainData(crops, persons, np.full(150, -1), teacher)


def test_fitted_heads_know_what_random_ones_do_not(data: TrainData) -> None:
    torch.manual_seed(0)
    model = Colours().train()
    softmax, distill = SoftmaxHead(7, 4), DistillHead(7, 3)
    embeddings = model(torch.zeros(0, 3, 8, 4))
    assert embeddings.shape == (0, 7)

    def scores() -> tuple[float, float]:
        from reidpipe.reid.embed import to_input

        found = model(to_input(data.crops))
        assert data.teacher is not None
        feature, _ = distill(found, torch.from_numpy(data.teacher))
        logits = F.normalize(found) @ F.normalize(softmax.weight).T
        known = data.persons >= 0
        return (logits.argmax(dim=1).numpy()[known] == data.persons[known]).mean(), feature.item()

    before = scores()
    fit_heads(model, data, softmax, distill, height=8, width=4)
    after = scores()
    assert after[0] == 1.0 > before[0]
    assert after[1] < 0.05 < before[1]
    assert model.training


def test_nobody_known_and_no_teacher_leave_finite_heads(data: TrainData) -> None:
    softmax, distill = SoftmaxHead(7, 1), DistillHead(7, 3)
    nobody = TrainData(data.crops, np.full(150, -1), data.cameras, None)
    before = distill.project.weight.clone()
    fit_heads(Colours(), nobody, softmax, distill, height=8, width=4)
    assert torch.isfinite(softmax.weight).all()
    assert torch.equal(distill.project.weight, before)
