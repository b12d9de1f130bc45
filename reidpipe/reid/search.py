"""Architecture search: train the search net on identities, derive the child, write it as a spec file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError

from reidpipe.errors import ConfigError, ReidpipeError, WeightsError
from reidpipe.reid.batches import Batch, BatchMaker, TrainData
from reidpipe.reid.cache import build_cache
from reidpipe.reid.checkpoint import read_torch_file, write_torch_file
from reidpipe.reid.config import BatchConfig, BudgetConfig, DataConfig, Part, SoftmaxConfig, wrong_keys
from reidpipe.reid.datasets import hold_out, merge_sets, read_set
from reidpipe.reid.device import check_device
from reidpipe.reid.embed import to_input
from reidpipe.reid.fused import use_fused
from reidpipe.reid.interrupts import waiting_interrupts
from reidpipe.reid.losses import SoftmaxHead
from reidpipe.reid.recipes import read_recipe
from reidpipe.reid.samplers import PKSampler
from reidpipe.reid.schedule import ScheduleConfig, rate_factor
from reidpipe.reid.searchnet import CANDIDATES, SearchNet
from reidpipe.reid.spec import BLOCK_NAMES, OSNetSpec, get_spec, save_spec
from reidpipe.reid.transforms import AugmentConfig

Report = Callable[[Mapping[str, Any]], None]
_COSINE = ScheduleConfig(warmup=0.0, floor=0.0)


class SearchConfig(Part):
    """A search, with the settings of the public OSNet-AIN recipe as defaults.

    Attributes:
        base: Architecture whose width and blocks are searched over; its norms are not used.
        output: Folder for the child (`child.yaml`), the log and the checkpoint.
        data: Training images.
        batch: Composition of a batch.
        augment: Image augmentation.
        softmax: Identity loss.
        height: Rows of the input.
        width: Columns of the input.
        epochs: Length of the schedule. Without a budget an epoch is a round over the identities; with one, the budget
            is divided into so many epochs.
        budget: When the search ends; null = after `epochs` rounds.
        rate: Learning rate of SGD, falling by a cosine.
        momentum: Of SGD.
        weight_decay: Of the net's weights; architecture parameters have none.
        init_temperature: Of the Gumbel-softmax (`init_lmda`).
        min_temperature: Where it stops (`min_lmda`).
        temperature_factor: It is multiplied with this every `temperature_every` epochs (`lmda_decay_rate`).
        temperature_every: Epochs (`lmda_decay_step`).
        mc_iter: Updates with the same images, each with a draw of the architecture of its own.
        accumulate: Batches per update.
        save_memory: Compute again in the backward pass instead of keeping feature maps.
        precision: `bf16` (autocast; on a CPU with the kernels of :mod:`reidpipe.reid.fused`) or `fp32`.
        device: Torch device.
        threads: CPU threads of an operation.
        checkpoint_every_s: Seconds between checkpoints.
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
    budget: BudgetConfig | None = None
    rate: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    init_temperature: float = Field(10.0, gt=0)
    min_temperature: float = Field(1.0, gt=0)
    temperature_factor: float = Field(0.5, gt=0, le=1)
    temperature_every: int = Field(20, ge=1)
    mc_iter: int = Field(1, ge=1)
    accumulate: int = Field(1, ge=1)
    save_memory: bool = False
    precision: Literal["bf16", "fp32"] = "bf16"
    device: str = "cpu"
    threads: int = Field(1, ge=1)
    checkpoint_every_s: float = Field(180.0, gt=0)
    seed: int = 0


def load_search_config(path: Path, *, overrides: Sequence[str] = (), sources: Sequence[str] = ()) -> SearchConfig:
    """Read a search recipe (YAML); see :func:`reidpipe.reid.recipes.read_recipe` for the arguments.

    Raises:
        ConfigError: The file is not there, or has a wrong key or value.
    """
    return parse_search_config(read_recipe(path, overrides=overrides, sources=sources))


def parse_search_config(content: object) -> SearchConfig:
    """Check a search recipe that was read already.

    Raises:
        ConfigError: Naming every wrong key with its reason, in one line.
    """
    try:
        return SearchConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"search recipe: {wrong_keys(error)}") from error


def search(config: SearchConfig, *, on_log: Report | None = None) -> OSNetSpec:
    """Run a search, or go on with it from `output/search.pt`.

    The child is written to `output/child.yaml`, ready for `model:` of a training recipe.

    Args:
        config: The recipe.
        on_log: Told about every epoch: loss, temperature and the weights of each block.

    Returns:
        The child.

    Raises:
        ConfigError: The data does not fit the recipe, or there is no such device.
        WeightsError: The checkpoint in `output` is of another search.
        ReidpipeError: The loss is not finite; the last checkpoint is left as it was.
        KeyboardInterrupt: Ctrl-C, after the step that was going on; a checkpoint is left.
    """
    check_device(config.device)
    run = Search(config, _data(config), on_log=on_log)
    if run.checkpoint_file.is_file():
        run.load()
    run.run()
    child = run.net.derive()
    save_spec(child, config.output / "child.yaml")
    return child


class Search:
    """One search; :func:`search` is the usual way in.

    Args:
        config: The recipe.
        data: Training images.
        on_log: Told about every epoch.
    """

    def __init__(self, config: SearchConfig, data: TrainData, *, on_log: Report | None = None) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.data, self._on_log = config, data, on_log
        batch, softmax = config.batch, config.softmax
        self.net = SearchNet(get_spec(config.base), save_memory=config.save_memory).to(config.device)
        self._bf16 = config.precision == "bf16"
        if self._bf16 and config.device == "cpu":
            self._write({"kernels": use_fused(self.net)})
        dim = self.net.spec.embedding
        self._head = SoftmaxHead(dim, data.identities, scale=softmax.scale, smoothing=softmax.smoothing)
        self._head.to(config.device)
        self._optimiser = _optimiser(config, self.net, self._head)
        self._sampler = PKSampler(
            data.persons, data.cameras, identities=batch.identities, images=batch.images, seed=config.seed
        )
        self._sampler_state = self._sampler.state_dict()
        self._batches, self._images, self._seconds = 0, 0, 0.0
        self._loss, self._updates = 0.0, 0  # of the epoch that is going on
        rounds = max(data.identities // (batch.identities * config.accumulate), 1)
        images = config.epochs * rounds * config.accumulate * batch.identities * batch.images
        self._budget = config.budget or BudgetConfig(images=images)

    @property
    def checkpoint_file(self) -> Path:
        """Where the search is kept."""
        return self.config.output / "search.pt"

    @property
    def progress(self) -> float:
        """The used part of the budget, 0..1."""
        by_images = self._images / self._budget.images if self._budget.images else 0.0
        by_time = self._seconds / self._budget.seconds if self._budget.seconds else 0.0
        return min(max(by_images, by_time), 1.0)

    @property
    def epoch(self) -> int:
        """The epoch that is going on, from 0; `epochs` at the end."""
        return int(self.progress * self.config.epochs + 1e-9)

    def run(self) -> None:
        """Search until the budget is used up; checkpoints on the way and at the end."""
        config = self.config
        maker = BatchMaker(self.data, self._sampler, config.augment, seed=config.seed, first=self._batches)
        saved = last = time.monotonic()
        with (
            waiting_interrupts() as interrupted,
            closing(maker.batches(height=config.height, width=config.width)) as batches,
        ):
            while self.progress < 1:
                epoch = self.epoch
                self._update([next(batches) for _ in range(config.accumulate)], epoch)
                now = time.monotonic()
                self._seconds += now - last
                last = now
                if self.epoch > epoch:
                    self._log(epoch)
                if interrupted():
                    self.save()
                    raise KeyboardInterrupt
                if now - saved > config.checkpoint_every_s:
                    self.save()
                    saved = now
        self.save()

    def save(self) -> None:
        """Write everything that a resumed search needs."""
        state = {
            "net": self.net.state_dict(),
            "head": self._head.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "sampler": self._sampler_state,
            "torch_rng": torch.get_rng_state(),
            "counters": [self._batches, self._images, self._seconds, self._loss, self._updates],
        }
        write_torch_file(state, self.checkpoint_file)

    def load(self) -> None:
        """Continue from the checkpoint.

        Raises:
            WeightsError: It is of another search.
        """
        state = read_torch_file(self.checkpoint_file)
        try:
            self.net.load_state_dict(state["net"])
            self._head.load_state_dict(state["head"])
            groups = self._optimiser.state_dict()["param_groups"]  # settings come from the recipe, not from the file
            self._optimiser.load_state_dict({"state": state["optimiser"]["state"], "param_groups": groups})
            self._sampler.load_state_dict(state["sampler"])
            self._sampler_state = state["sampler"]
            torch.set_rng_state(state["torch_rng"])
            self._batches, self._images, self._seconds, self._loss, self._updates = state["counters"]
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise WeightsError(
                f"{self.checkpoint_file} does not continue this search ({reason}): use another output folder"
            ) from error

    def _update(self, batches: Sequence[Batch], epoch: int) -> None:
        """One update with each of `mc_iter` draws of the architecture."""
        config = self.config
        self.net.train()
        self.net.set_temperature(temperature_at(epoch, config))
        for group in self._optimiser.param_groups:
            group["lr"] = config.rate * rate_factor(self.progress, _COSINE)
        for _ in range(config.mc_iter):
            self._optimiser.zero_grad(set_to_none=True)
            self._loss += sum(self._backward(batch) for batch in batches)
            self._optimiser.step()
            self._updates += 1
        self._batches += len(batches)
        self._images += sum(len(batch.rows) for batch in batches)
        self._sampler_state = batches[-1].sampler_state

    def _backward(self, batch: Batch) -> float:
        """Add the gradients of one batch; returns its part of the loss."""
        images = to_input(batch.images, self.config.device)
        persons = torch.from_numpy(self.data.persons[batch.rows]).to(self.config.device)
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            embeddings = self.net(images)
        loss = self._head(embeddings.float(), persons) / self.config.accumulate
        if not bool(torch.isfinite(loss)):
            raise ReidpipeError("the loss of the search is not finite: lower rate; the last checkpoint is safe")
        loss.backward()
        return float(loss.item())

    def _log(self, epoch: int) -> None:
        weights = {
            name: dict(zip(CANDIDATES, [round(value, 4) for value in block.weights().tolist()], strict=True))
            for name, block in zip(BLOCK_NAMES, self.net.choices(), strict=True)
        }
        row = {
            "epoch": epoch,
            "images": self._images,
            "seconds": round(self._seconds, 1),
            "temperature": temperature_at(epoch, self.config),
            "loss": round(self._loss / max(self._updates, 1), 4),
            "weights": weights,
        }
        self._loss, self._updates = 0.0, 0
        self._write(row)
        if self._on_log is not None:
            self._on_log(row)

    def _write(self, row: Mapping[str, Any]) -> None:
        self.config.output.mkdir(parents=True, exist_ok=True)
        with (self.config.output / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def temperature_at(epoch: int, config: SearchConfig) -> float:
    """The temperature in an epoch: multiplied in steps, until it is at the least."""
    steps = epoch // config.temperature_every
    return max(config.init_temperature * config.temperature_factor**steps, config.min_temperature)


def _optimiser(config: SearchConfig, net: SearchNet, head: SoftmaxHead) -> torch.optim.Optimizer:
    chosen = net.architecture_parameters()
    apart = {id(value) for value in chosen}
    weights = [value for module in (net, head) for value in module.parameters() if id(value) not in apart]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": chosen, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum)


def _data(config: SearchConfig) -> TrainData:
    parts = []
    for source in config.data.sources:
        found = read_set(source.name, config.data.root / source.path, source.part)
        parts.append(hold_out(found, identities=source.hold_out)[0] if source.hold_out else found)
    merged, place = merge_sets(parts), config.data
    # one cache per set, as a training keeps them: both use the same
    crops = [build_cache(part.paths, place.cache, height=place.height, width=place.width) for part in parts]
    return TrainData(np.concatenate(crops), merged.persons, merged.cameras, None)
