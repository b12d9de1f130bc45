"""Losses, schedule, averaging, replicas and the training loop."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError, ReidpipeError, WeightsError
from reidpipe.reid.schedule import ScheduleConfig, rate_factor
from reidpipe.reid.spec import OSNetSpec, save_spec

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from reidpipe.reid.checkpoint import read_torch_file  # noqa: E402
from reidpipe.reid.config import OptimiserConfig, TrainConfig, load_train_config, parse_train_config  # noqa: E402
from reidpipe.reid.ema import ModelEma  # noqa: E402
from reidpipe.reid.losses import DistillHead, SoftmaxHead, hard_triplet_loss  # noqa: E402
from reidpipe.reid.mixstyle import MixStyle  # noqa: E402
from reidpipe.reid.optim import build_optimiser  # noqa: E402
from reidpipe.reid.prepare import prepare  # noqa: E402
from reidpipe.reid.replicas import Replicas  # noqa: E402
from reidpipe.reid.trainer import train  # noqa: E402


def test_losses_softmax_is_smoothed_cross_entropy_of_scaled_cosines() -> None:
    torch.manual_seed(0)
    head = SoftmaxHead(8, 5, scale=10.0, smoothing=0.2)
    x, persons = torch.randn(6, 8), torch.tensor([0, 1, -1, 4, 2, -1])
    known = persons >= 0
    cosines = F.normalize(x[known]) @ F.normalize(head.weight).T
    logs = F.log_softmax(10 * cosines, dim=1)
    target = torch.full_like(logs, 0.2 / 5)
    target[torch.arange(4), persons[known]] += 0.8
    torch.testing.assert_close(head(x, persons), -(target * logs).sum(dim=1).mean())


def test_losses_without_known_people_are_zero_and_differentiable() -> None:
    x = torch.randn(3, 8, requires_grad=True)
    unknown = torch.full((3,), -1)
    total = SoftmaxHead(8, 5)(x, unknown) + hard_triplet_loss(x, unknown)
    total.backward()
    assert total.item() == 0
    assert x.grad is not None
    assert x.grad.abs().sum() == 0


def test_losses_distillation_is_zero_for_a_student_that_equals_its_teacher() -> None:
    teacher = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)))
    head = DistillHead(8, 8, temperature=0.1)
    with torch.no_grad():
        head.project.weight.copy_(torch.eye(8))
    feature, relation = head(3 * teacher, teacher)
    torch.testing.assert_close(feature, torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(relation, torch.tensor(0.0), atol=1e-6, rtol=0)
    assert all(part > 0.01 for part in head(torch.randn(6, 8), teacher))


def test_losses_anchors_compare_in_the_teachers_space() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, anchors = (F.normalize(torch.randn(count, 8, generator=generator)) for count in (6, 40))
    head = DistillHead(8, 8, anchor_temperature=0.1)
    with torch.no_grad():
        head.project.weight.copy_(torch.eye(8))
    torch.testing.assert_close(head.anchored(3 * teacher, teacher, anchors), torch.tensor(0.0), atol=1e-6, rtol=0)
    student = F.normalize(torch.randn(6, 8, generator=generator))
    theirs, ours = (F.softmax(unit @ anchors.T / 0.1, dim=1) for unit in (teacher, student))
    by_hand = (theirs * (theirs.log() - ours.log())).sum(dim=1).mean()
    torch.testing.assert_close(head.anchored(student, teacher, anchors), by_hand)


def test_losses_triplet_hand_table() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0], [10.0], [50.0]])
    persons = torch.tensor([0, 0, 1, 2, -1])  # 0: farthest same 1, nearest other 3; 1: 1 and 2; 2 and 3 have no pair
    expected = (max(1 - 3 + 1.5, 0) + max(1 - 2 + 1.5, 0)) / 2
    assert hard_triplet_loss(points, persons, margin=1.5).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("progress", "settings", "factor"),
    [
        (0.0, {"warmup": 0.1, "warmup_from": 0.2}, 0.2),
        (0.05, {"warmup": 0.1, "warmup_from": 0.2}, 0.6),
        (0.5, {"warmup": 0.0, "floor": 0.0}, 0.5),
        (1.0, {"floor": 0.01}, 0.01),
        (7.0, {"floor": 0.01}, 0.01),
        (0.59, {"kind": "multistep", "warmup": 0.0}, 1.0),
        (0.95, {"kind": "multistep", "warmup": 0.0, "gamma": 0.1}, 0.01),
        (0.9, {"kind": "constant", "warmup": 0.0}, 1.0),
    ],
)
def test_schedule_values(progress: float, settings: dict[str, Any], factor: float) -> None:
    assert rate_factor(progress, ScheduleConfig.model_validate(settings)) == pytest.approx(factor, abs=1e-9)


def test_mixstyle_keeps_the_pattern_and_moves_the_statistics() -> None:
    layer = MixStyle(probability=1.0, alpha=1.0).train()
    x = torch.randn(6, 3, 8, 8) * torch.arange(1.0, 7.0)[:, None, None, None] + torch.arange(6.0)[:, None, None, None]
    layer.start_step(1, 5)
    once = layer(x)
    layer.start_step(1, 5)
    torch.testing.assert_close(layer(x), once, atol=0, rtol=0)
    plain = (x - x.mean(dim=(2, 3), keepdim=True)) / x.std(dim=(2, 3), keepdim=True)
    mixed = (once - once.mean(dim=(2, 3), keepdim=True)) / once.std(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(mixed, plain, atol=1e-3, rtol=1e-3)
    means = once.mean(dim=(2, 3))
    assert (means - x.mean(dim=(2, 3))).abs().max() > 0.1
    assert means.min() >= x.mean(dim=(2, 3)).min() - 1e-4
    assert torch.equal(layer.eval()(x), x)


def test_ema_follows_parameters_and_running_statistics() -> None:
    model = nn.BatchNorm1d(2)
    ema = ModelEma(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        assert model.running_mean is not None
        model.running_mean.fill_(10.0)
    ema.update()  # warm-up: decay (1 + 1) / (10 + 1)
    decay = 2 / 11
    state = ema.average.state_dict()
    torch.testing.assert_close(state["weight"], torch.full((2,), decay * 1 + (1 - decay) * 3))
    torch.testing.assert_close(state["running_mean"], torch.full((2,), (1 - decay) * 10))


@pytest.mark.parametrize("kind", ["adamw", "adam", "amsgrad", "sgd"])
def test_optim_decays_weights_only_and_learns(kind: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    optimiser = build_optimiser(
        [net], OptimiserConfig.model_validate({"kind": kind, "rate": 0.05, "weight_decay": 0.1})
    )
    decays = {
        tuple(value.shape): group["weight_decay"] for group in optimiser.param_groups for value in group["params"]
    }
    assert decays == {(3, 3): 0.1, (3,): 0.0}
    x, losses = torch.randn(16, 3), []
    for _ in range(30):
        loss = (net(x) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_replicas_gradients_are_those_of_one_model(count: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    images = torch.randn(7, 3, 8, 8)
    net(images).square().sum().backward()
    wanted = [value.grad.clone() for value in net.parameters() if value.grad is not None]
    net.zero_grad()
    replicas = Replicas(net, count=count, autocast=False)
    embeddings = replicas.forward(images)
    torch.testing.assert_close(embeddings.detach(), net(images).detach())
    embeddings.square().sum().backward()  # type: ignore[no-untyped-call]
    assert embeddings.grad is not None
    replicas.backward(embeddings.grad)
    for value, gradient in zip(net.parameters(), wanted, strict=True):
        torch.testing.assert_close(value.grad, gradient)


def test_replicas_share_parameters_and_average_running_statistics() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=1.0), nn.Flatten())
    replicas = Replicas(net, count=2, autocast=False)
    images = torch.randn(4, 3, 4, 4) + torch.arange(4.0)[:, None, None, None]
    out = replicas.forward(images)
    replicas.backward(torch.ones_like(out))
    torch.testing.assert_close(net.state_dict()["0.running_mean"], images.mean(dim=(0, 2, 3)))


def write_people(root: Path, *, people: int = 10, images: int = 4) -> None:
    """A set that can be learnt: every person has a colour of clothes, every camera a brightness."""
    rng = np.random.default_rng(0)
    folder = root / "bounding_box_train"
    folder.mkdir(parents=True)
    for person in range(people):
        colour = rng.integers(0, 256, (2, 3))
        for image in range(images):
            camera = image % 2
            picture = np.repeat(colour[[0, 1]], 32, axis=0)[:, None, :].repeat(32, axis=1) * (0.85 + 0.15 * camera)
            noisy = np.clip(picture + 10 * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{person:04d}_c{camera}s1_{image:06d}_00.png"), noisy)


def recipe(root: Path, **changes: Any) -> TrainConfig:
    spec = root / "small.yaml"  # one stream: a quarter of the operations
    save_spec(OSNetSpec(width=0.125, streams=1, embedding=64), spec)
    settings = {
        "model": str(spec),
        "output": root / "out",
        "data": {
            "root": root,
            "cache": root / "cache",
            "height": 32,
            "width": 16,
            "sources": [{"name": "market1501", "path": "people", "hold_out": 5}],
        },
        "batch": {"identities": 4, "images": 2},
        "stages": [{"until": 0.5, "height": 32, "width": 16}, {"until": 1.0, "height": 48, "width": 24}],
        "budget": {"images": 8 * 6},
        "precision": "fp32",
        "ema": 0.5,
        "seed": 3,
    }
    return parse_train_config({**settings, **changes})


@pytest.fixture
def people(tmp_path: Path) -> Path:
    write_people(tmp_path / "people")
    return tmp_path


def weights_of(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = read_torch_file(path)
    return state


def assert_equal_weights(one: Path, two: Path) -> None:
    first, second = weights_of(one), weights_of(two)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_trainer_one_seed_gives_one_result(people: Path) -> None:
    once = train(recipe(people, output=people / "a"))
    again = train(recipe(people, output=people / "b"))
    assert_equal_weights(once, again)
    other = train(recipe(people, output=people / "c", seed=4))
    assert not torch.equal(weights_of(once)["fc.0.weight"], weights_of(other)["fc.0.weight"])


class Stop(Exception):
    """Stands for a killed process."""


def test_trainer_resumes_bit_exact(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reidpipe.reid import trainer

    straight = train(
        recipe(people, output=people / "straight", triplet={"weight": 0.5}, mixstyle={"probability": 0.7}, replicas=2)
    )
    step = trainer.Trainer._train_step

    def dying(self: trainer.Trainer, batch: Any) -> Any:
        if self.step == 4:
            raise Stop
        losses = step(self, batch)
        self._sampler_state = batch.sampler_state
        self.save()
        return losses

    monkeypatch.setattr(trainer.Trainer, "_train_step", dying)
    broken = recipe(
        people, output=people / "broken", triplet={"weight": 0.5}, mixstyle={"probability": 0.7}, replicas=2
    )
    with pytest.raises(Stop):
        train(broken)
    monkeypatch.setattr(trainer.Trainer, "_train_step", step)
    assert_equal_weights(straight, train(broken))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_trainer_interrupt_leaves_an_exact_checkpoint(
    people: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    from reidpipe.reid import trainer

    straight = train(recipe(people, output=people / "straight"))
    losses = trainer.Trainer._losses

    def interrupted(self: trainer.Trainer, *arguments: Any) -> Any:
        if self.step == 2:
            signal.raise_signal(number)  # in the middle of the third step
        return losses(self, *arguments)

    monkeypatch.setattr(trainer.Trainer, "_losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(people))
    assert weights_of(people / "out" / "last.pt")["counters"][0] == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(trainer.Trainer, "_losses", losses)
    assert_equal_weights(straight, train(recipe(people)))


def test_trainer_learns_and_validates(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reidpipe.reid import trainer

    monkeypatch.setattr(trainer, "LOG_EVERY", 1)
    train(recipe(people, budget={"images": 8 * 100}, ema=0.9, augment={"hue_degrees": 0, "p_grey": 0}))
    rows = [json.loads(line) for line in (people / "out" / "log.jsonl").read_text().splitlines()]
    losses = [row["softmax"] for row in rows if "softmax" in row]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:3])
    assert rows[-1]["mean_ap"] > 0.6  # chance: 0.46
    assert (people / "out" / "best.pth").is_file()


def test_trainer_loss_that_is_not_finite_stops_in_one_line(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reidpipe.reid import trainer

    monkeypatch.setattr(trainer.Trainer, "_losses", lambda self, x, batch: {"softmax": x.sum() * math.nan})
    with pytest.raises(ReidpipeError, match=r"not finite at step 1 \(softmax nan\): lower optimiser\.rate"):
        train(recipe(people))
    assert not (people / "out" / "last.pt").exists()


def test_trainer_gradient_that_is_not_finite_never_reaches_the_weights(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reidpipe.reid import trainer

    losses = trainer.Trainer._losses

    def steep(self: trainer.Trainer, x: Any, batch: Any) -> Any:
        found = losses(self, x, batch)
        if self.step == 3:
            found["steep"] = (x * 0).sum().sqrt()  # finite, with an infinite slope
        return found

    monkeypatch.setattr(trainer.Trainer, "_losses", steep)
    made = trainer.Trainer(recipe(people), prepare(recipe(people)).train)
    with pytest.raises(ReidpipeError, match=r"not finite at step 4 \(norm of the gradient nan\)"):
        made.run()
    assert all(bool(torch.isfinite(value).all()) for value in made.model.state_dict().values())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("MPS backend out of memory"),
        MemoryError("Unable to allocate 9 TiB for an array"),
    ],
    ids=["cuda", "windows", "mps", "numpy"],
)
def test_trainer_out_of_memory_is_one_line(people: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    from reidpipe.reid import trainer

    def full(self: trainer.Trainer, batch: Any) -> Any:
        raise error

    monkeypatch.setattr(trainer.Trainer, "_train_step", full)
    with pytest.raises(ReidpipeError, match=r"batches of up to 8 images of 48x24: lower batch\.identities"):
        train(recipe(people))


def test_trainer_bug_keeps_its_traceback(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reidpipe.reid import trainer

    def broken(self: trainer.Trainer, batch: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(trainer.Trainer, "_train_step", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(recipe(people))


def test_trainer_refuses_what_does_not_fit(people: Path) -> None:
    train(recipe(people, budget={"images": 8}))
    with pytest.raises(ConfigError, match="is there already"):
        train(recipe(people, budget={"images": 8}), resume=False)
    everybody = {**recipe(people).data.model_dump(), "sources": [{"name": "market1501", "path": "people"}]}
    with pytest.raises(WeightsError, match="does not continue this recipe"):
        train(recipe(people, budget={"images": 16}, data=everybody))
    with pytest.raises(ConfigError, match="every loss has weight 0"):
        train(recipe(people, output=people / "no", softmax={"weight": 0}))
    with pytest.raises(WeightsError, match="is not there"):
        train(recipe(people, output=people / "no", distill={"teacher": "teacher.xml"}))


def test_trainer_fixbase_moves_open_layers_only(people: Path) -> None:
    start = train(recipe(people, output=people / "start", budget={"images": 8}, ema=0.0))
    last = {"stages": [{"height": 32, "width": 16}], "init": start, "fixbase": 0.9}
    fixed = train(recipe(people, output=people / "fixed", budget={"images": 16}, ema=0.0, **last))
    before, after = weights_of(start), weights_of(fixed)
    moved = {
        name.split(".")[0] for name in before if "running" not in name and not torch.equal(before[name], after[name])
    }
    assert "fc" in moved
    assert not torch.equal(before["fc.0.weight"], after["fc.0.weight"])
    assert torch.equal(before["conv1.conv.weight"], after["conv1.conv.weight"])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"optimizer": {}}, "optimizer"),
        ({"ema": 1.5}, "ema"),
        ({"budget": {}}, r"budget\.images or budget\.seconds"),
        ({"stages": [{"until": 0.5}]}, "rising 'until'"),
        ({"data": {"root": ".", "sources": []}}, r"data\.sources"),
    ],
)
def test_config_errors_name_the_key_in_one_line(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        recipe(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_config_recipes_in_the_repository_are_valid(repo_root: Path) -> None:
    found = sorted((repo_root / "configs" / "reid").glob("osnet*.yaml"))
    assert found
    assert all(load_train_config(path).distill.teacher is not None for path in found)
    assert load_train_config(repo_root / "configs" / "reid" / "study.yaml").distill.teacher is not None


def test_config_file_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read recipe"):
        load_train_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is no YAML"):
        load_train_config(tmp_path / "bad.yaml")
