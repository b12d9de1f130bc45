"""The detector's training loss: which cells learn whom, and what a perfect answer costs."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch import Tensor  # noqa: E402

from tools.detector.loss import TOP, AlignedLoss, Cells, best_pairs, iou, one_person_each  # noqa: E402

STRIDES = [8.0, 16.0, 32.0]
BINS = 8
SIDE = 128


def maps(count: int) -> list[Tensor]:
    return [torch.zeros(count, 1, int(SIDE // stride), int(SIDE // stride)) for stride in STRIDES]


def batch(people: list[list[tuple[float, float, float, float]]]) -> dict[str, Tensor]:
    rows = [(number, *box) for number, boxes in enumerate(people) for box in boxes]
    table = torch.tensor(rows).view(-1, 5)
    return {"img": torch.zeros(len(people), 3, SIDE, SIDE), "batch_idx": table[:, 0], "bboxes": table[:, 1:] / SIDE}


def predictions(count: int, *, seed: int = 0) -> dict[str, object]:
    torch.manual_seed(seed)
    cells = len(Cells.of(maps(count), STRIDES).strides)
    return {
        "boxes": torch.randn(count, 4 * BINS, cells, requires_grad=True),
        "scores": torch.randn(count, 1, cells, requires_grad=True),
        "feats": maps(count),
    }


def test_complete_iou_of_known_boxes() -> None:
    a = torch.tensor([[0.0, 0, 10, 20], [0.0, 0, 10, 10], [0.0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 20], [20.0, 0, 30, 10], [0.0, 0, 10, 20]])
    shape = 4 / math.pi**2 * (math.atan(1) - math.atan(0.5)) ** 2
    expected = [1.0, 0 - 400 / (900 + 100), 0.5 - 25 / 500 - shape * shape / (1 - 0.5 + shape)]
    assert iou(a, b, complete=True).tolist() == pytest.approx(expected, abs=1e-5)
    assert iou(a, b).tolist() == pytest.approx([1.0, 0.0, 0.5], abs=1e-5)


def test_best_pairs_are_the_best_of_each_person() -> None:
    torch.manual_seed(1)
    person = torch.arange(5).repeat_interleave(torch.tensor([3, 40, 10, 11, 0]))
    alignment = torch.rand(len(person))
    kept = best_pairs(person, alignment)
    for one in range(5):
        own = alignment[person == one]
        assert sorted(alignment[kept & (person == one)].tolist()) == sorted(
            own.topk(min(TOP, len(own))).values.tolist()
        )


def test_a_cell_keeps_the_person_that_it_overlaps_most() -> None:
    cells, overlap = torch.tensor([4, 2, 4, 2, 7]), torch.tensor([0.1, 0.9, 0.6, 0.2, 0.0])
    assert sorted(one_person_each(cells, overlap).tolist()) == [1, 2, 4]
    assert one_person_each(cells[:0], overlap[:0]).tolist() == []


def test_only_cells_inside_a_person_learn_him_and_the_best_one_fully() -> None:
    loss = AlignedLoss(STRIDES, BINS)
    answer = predictions(2)
    given = batch([[(40.0, 50.0, 30.0, 60.0), (90.0, 60.0, 24.0, 40.0)], [(64.0, 64.0, 50.0, 100.0)]])
    cells = Cells.of(maps(2), STRIDES)
    centre, size = given["bboxes"][:, :2] * SIDE, given["bboxes"][:, 2:] * SIDE
    truth = torch.cat([centre - size / 2, centre + size / 2], dim=1)
    sides, logits = answer["boxes"].detach().permute(0, 2, 1), answer["scores"].detach()[:, 0]  # type: ignore[attr-defined]
    person, cell, target = loss._assign(cells, logits, sides, truth, given["batch_idx"].long())
    middle = cells.middles[cell]
    assert ((middle > truth[person, :2]) & (middle < truth[person, 2:])).all()
    assert torch.bincount(person).tolist() == [TOP] * 3
    boxes = loss._boxes(sides[given["batch_idx"].long()[person], cell].view(-1, 4, BINS), cells, cell)
    overlap = iou(boxes, truth[person])
    for one in range(3):  # the best aligned cell is asked for the best overlap of all (TOOD, section 3.2.2)
        assert float(target[person == one].max()) == pytest.approx(float(overlap[person == one].max()), rel=1e-4)


def test_somebody_between_two_cells_is_learnt_by_one() -> None:
    loss = AlignedLoss(STRIDES, BINS)
    answer = predictions(1)
    given = batch([[(32.0, 32.0, 3.0, 5.0)]])
    parts, _ = loss(answer, given)
    torch.autograd.backward(parts.sum())
    learning = answer["boxes"].grad.abs().sum(dim=1)[0] > 0  # type: ignore[attr-defined]
    middles = Cells.of(maps(1), STRIDES).middles[learning]
    assert 1 <= len(middles) <= 4
    assert ((middles - 32).abs() <= 4).all()


def test_a_perfect_answer_costs_next_to_nothing_and_a_shifted_one_more() -> None:
    loss = AlignedLoss(STRIDES, BINS)
    given = batch([[(64.0, 64.0, 32.0, 64.0)]])
    cells = Cells.of(maps(1), STRIDES)

    def cost(shift: float) -> list[float]:
        box = torch.tensor([48.0 + shift, 32.0, 80.0 + shift, 96.0])
        true = torch.cat([cells.middles - box[:2], box[2:] - cells.middles], dim=1) / cells.strides[:, None]
        true = true.clamp(0, BINS - 1.01)
        low, bins = true.floor(), torch.arange(BINS)
        chance = (1 - (bins - true[..., None]).abs()).clamp_min(1e-6)  # (A, 4, bins): shares of the two bins around
        sure = (low >= 0).all(dim=1) & ((cells.middles - 64).abs() <= torch.tensor([8.0, 8.0])).all(dim=1)
        # only cells around the middle whose bins reach all sides answer; the others say "nobody"
        sure &= (
            torch.cat([cells.middles - box[:2], box[2:] - cells.middles], dim=1) <= 7 * cells.strides[:, None]
        ).all(1)
        scores = torch.where(sure, 12.0, -12.0)
        return [float(part) for part in loss({
            "boxes": chance.log().reshape(1, -1, 4 * BINS).permute(0, 2, 1), "scores": scores[None, None],
            "feats": maps(1)}, given)[0]]  # fmt: skip

    exact, shifted = cost(0.0), cost(6.0)
    assert exact[0] < 0.01
    assert shifted[0] > exact[0] + 0.5
    assert shifted[2] > exact[2]


def test_pictures_without_people_teach_nobody_whatever_the_mode_of_the_network() -> None:
    answer = predictions(3)
    parts, names = AlignedLoss(STRIDES, BINS)((torch.zeros(3, 5, 9), answer), batch([[], [], []]))
    torch.autograd.backward(parts.sum())
    assert names["box_loss"] == 0
    assert names["dfl_loss"] == 0
    assert float(names["cls_loss"]) > 0
    assert (answer["scores"].grad > 0).all()  # type: ignore[attr-defined]
