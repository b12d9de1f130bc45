"""Architecture search: train the search net on identities, derive the child, write it as a spec file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError

from reidpipe.errors import ConfigError, ReidpipeError
from reidpipe.reid.batches import BatchMaker, TrainData
from reidpipe.reid.cache import build_cache
from reidpipe.reid.config import BatchConfig, DataConfig, Part, SoftmaxConfig
from reidpipe.reid.datasets import merge_sets, read_set
from reidpipe.reid.embed import to_input
from reidpipe.reid.losses import SoftmaxHead
from reidpipe.reid.samplers import PKSampler
from reidpipe.reid.schedule import ScheduleConfig, rate_factor
from reidpipe.reid.searchnet import CANDIDATES, SearchNet
from reidpipe.reid.spec import BLOCK_NAMES, OSNetSpec, get_spec, save_spec
from reidpipe.reid.transforms import AugmentConfig

Report = Callable[[Mapping[str, Any]], None]


class SearchConfig(Part):
    """A search, with the settings of the public OSNet-AIN recipe as defaults.

    Attributes:
        base: Architecture whose width and blocks are searched over; its norms are not used.
        output: Folder for the child (`child.yaml`) and the log.
        data: Training images.
        batch: Composition of a batch.
        augment: Image augmentation.
        softmax: Identity loss.
        height: Rows of the input.
        width: Columns of the input.
        epochs: Rounds over the identities.
        rate: Learning rate of SGD, falling by a cosine.
        momentum: Of SGD.
        weight_decay: Of the net's weights; architecture parameters have none.
        init_temperature: Of the Gumbel-softmax (`init_lmda`).
        min_temperature: Where it stops (`min_lmda`).
        temperature_step: Taken off every `temperature_every` epochs (`lmda_decay_rate`).
        temperature_every: Epochs (`lmda_decay_step`).
        samples: Draws of the architecture per batch, gradients averaged (`mc_iter`).
        accumulate: Batches per update.
        save_memory: Compute again in the backward pass instead of keeping feature maps.
        device: Torch device.
        seed: Of everything random.
    """

    base: str = "osnet_x0_25"
    output: Path
    data: DataConfig
    batch: BatchConfig = BatchConfig(identities=16, images=4)
    augment: AugmentConfig = AugmentConfig()
    softmax: SoftmaxConfig = SoftmaxConfig(scale=None)
    height: int = Field(256, ge=32)
    width: int = Field(128, ge=16)
    epochs: int = Field(120, ge=1)
    rate: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    init_temperature: float = Field(10.0, gt=0)
    min_temperature: float = Field(1.0, gt=0)
    temperature_step: float = Field(0.5, ge=0)
    temperature_every: int = Field(20, ge=1)
    samples: int = Field(1, ge=1)
    accumulate: int = Field(1, ge=1)
    save_memory: bool = False
    device: str = "cpu"
    seed: int = 0


def load_search_config(path: Path) -> SearchConfig:
    """Read a search recipe (YAML).

    Raises:
        ConfigError: The file is not there, or has a wrong key or value.
    """
    import yaml

    try:
        return SearchConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read search recipe {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"search recipe {path}: {' '.join(str(error).split())}") from error


def search(config: SearchConfig, *, on_log: Report | None = None) -> OSNetSpec:
    """Run a search; the child is written to `output/child.yaml`, ready for `model:` of a training recipe.

    Args:
        config: The recipe.
        on_log: Told about every epoch: loss, temperature and the weights of each block.

    Returns:
        The child.

    Raises:
        ConfigError: The data does not fit the recipe.
        ReidpipeError: The loss is not finite.
    """
    torch.manual_seed(config.seed)
    data = _data(config)
    net = SearchNet(get_spec(config.base), save_memory=config.save_memory).to(config.device)
    head = SoftmaxHead(
        net.spec.embedding, data.identities, scale=config.softmax.scale, smoothing=config.softmax.smoothing
    ).to(config.device)
    optimiser = _optimiser(config, net, head)
    batch = config.batch
    sampler = PKSampler(data.persons, data.cameras, identities=batch.identities, images=batch.images, seed=config.seed)
    maker = BatchMaker(data, sampler, config.augment, seed=config.seed)
    steps = max(data.identities // (batch.identities * config.accumulate), 1)
    with closing(maker.batches(height=config.height, width=config.width)) as batches:
        for epoch in range(config.epochs):
            net.set_temperature(temperature_at(epoch, config))
            total = 0.0
            for step in range(steps):
                progress = (epoch + step / steps) / config.epochs
                for group in optimiser.param_groups:
                    group["lr"] = config.rate * rate_factor(progress, ScheduleConfig(warmup=0.0, floor=0.0))
                optimiser.zero_grad(set_to_none=True)
                total += sum(_backward(config, net, head, next(batches), data) for _ in range(config.accumulate))
                optimiser.step()
            _log(config, net, epoch, total / (steps * config.accumulate), on_log)
    child = net.derive()
    save_spec(child, config.output / "child.yaml")
    return child


def temperature_at(epoch: int, config: SearchConfig) -> float:
    """The temperature in an epoch: steps down from the first value and stops at the least."""
    steps = epoch // config.temperature_every
    return max(config.init_temperature - steps * config.temperature_step, config.min_temperature)


def _optimiser(config: SearchConfig, net: SearchNet, head: SoftmaxHead) -> torch.optim.Optimizer:
    chosen = net.architecture_parameters()
    apart = {id(value) for value in chosen}
    weights = [value for module in (net, head) for value in module.parameters() if id(value) not in apart]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": chosen, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum)


def _backward(config: SearchConfig, net: SearchNet, head: SoftmaxHead, batch: Any, data: TrainData) -> float:
    """Add the gradients of one batch, averaged over the draws; returns the loss."""
    images = to_input(batch.images, config.device)
    persons = torch.from_numpy(data.persons[batch.rows]).to(config.device)
    total = 0.0
    net.train()
    for _ in range(config.samples):
        loss = head(net(images), persons) / (config.samples * config.accumulate)
        if not bool(torch.isfinite(loss)):
            raise ReidpipeError("the loss of the search is not finite: lower rate")
        loss.backward()
        total += loss.item() * config.accumulate
    return total


def _data(config: SearchConfig) -> TrainData:
    parts = [read_set(source.name, config.data.root / source.path, source.part) for source in config.data.sources]
    merged = merge_sets(parts)
    crops = build_cache(merged.paths, config.data.cache, height=config.data.height, width=config.data.width)
    return TrainData(crops, merged.persons, merged.cameras, None)


def _log(config: SearchConfig, net: SearchNet, epoch: int, loss: float, on_log: Report | None) -> None:
    weights = {
        name: dict(zip(CANDIDATES, [round(value, 4) for value in block.weights().tolist()], strict=True))
        for name, block in zip(BLOCK_NAMES, net.choices(), strict=True)
    }
    row = {"epoch": epoch, "temperature": temperature_at(epoch, config), "loss": round(loss, 4), "weights": weights}
    config.output.mkdir(parents=True, exist_ok=True)
    with (config.output / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
    if on_log is not None:
        on_log(row)
