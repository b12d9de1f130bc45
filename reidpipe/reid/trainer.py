"""The training loop: progress-driven sizes and rates, averaged model, whole checkpoints, exact resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidpipe.errors import ConfigError, ReidpipeError, WeightsError
from reidpipe.evaluate.retrieval import RetrievalScores, score_retrieval
from reidpipe.reid.batches import Batch, BatchMaker, TrainData
from reidpipe.reid.checkpoint import export_state_dict, load_weights, read_torch_file, write_torch_file
from reidpipe.reid.config import StageConfig, TrainConfig
from reidpipe.reid.datasets import ReidSet, query_gallery
from reidpipe.reid.device import check_device
from reidpipe.reid.ema import ModelEma
from reidpipe.reid.embed import embed_paths, to_input
from reidpipe.reid.fused import use_fused
from reidpipe.reid.heads import fit_heads
from reidpipe.reid.interrupts import waiting_interrupts
from reidpipe.reid.losses import DistillHead, SoftmaxHead, hard_triplet_loss
from reidpipe.reid.mixstyle import MixStyle
from reidpipe.reid.models import build_osnet
from reidpipe.reid.optim import build_optimiser, set_rate
from reidpipe.reid.prepare import Progress, prepare
from reidpipe.reid.replicas import Replicas
from reidpipe.reid.samplers import PKSampler, RandomSampler
from reidpipe.reid.schedule import rate_factor

Report = Callable[[Mapping[str, Any]], None]
"""Called with each log row: a plain mapping that also goes to `log.jsonl`."""

LOG_EVERY = 50  # steps


def no_report(_row: Mapping[str, Any]) -> None:
    """The default of `on_log`: the rows go to the file only."""


def train(
    config: TrainConfig, *, resume: bool = True, on_progress: Progress | None = None, on_log: Report = no_report
) -> Path:
    """Run a recipe to the end of its budget.

    Args:
        config: The recipe.
        resume: Continue from `output/last.pt` where it is there; else that file must not be there.
        on_progress: Told about decoding and teacher features.
        on_log: Told about every log row.

    Returns:
        The exported state dict, `output/model.pth`.

    Raises:
        ConfigError: The data does not fit the recipe, `output` holds another run, or there is no such device.
        ReidpipeError: The loss is not finite, or memory ran out; the last checkpoint is left as it was.
    """
    check_device(config.device)
    prepared = prepare(config, on_progress=on_progress)
    trainer = Trainer(config, prepared.train, held_out=prepared.held_out, on_log=on_log)
    if trainer.checkpoint_file.is_file():
        if not resume:
            raise ConfigError(f"{trainer.checkpoint_file} is there already: resume, or choose another output")
        trainer.load(trainer.checkpoint_file)
    try:
        trainer.run()
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        size = f"{config.batch.size} images of {config.stages[-1].height}x{config.stages[-1].width}"
        raise ReidpipeError(
            f"out of memory with batches of up to {size}: lower batch.identities; the last checkpoint is safe"
        ) from error
    return trainer.export()


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """CUDA and numpy have a class for it, the CPU allocator of torch only words, by system."""
    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(part in str(error) for part in words)


class Trainer:
    """One training run; :func:`train` is the usual way in.

    Args:
        config: The recipe.
        data: Training images.
        held_out: Persons for validation, or None.
        on_log: Told about every log row.
    """

    def __init__(
        self, config: TrainConfig, data: TrainData, *, held_out: ReidSet | None = None, on_log: Report = no_report
    ) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.data, self.held_out, self._on_log = config, data, held_out, on_log
        self.model = build_osnet(config.model)
        if config.init is not None:
            load_weights(self.model, config.init)
        if config.mixstyle.probability:
            self.model.mixstyle = MixStyle(probability=config.mixstyle.probability, alpha=config.mixstyle.alpha)
        dim = self.model.spec.embedding
        softmax = config.softmax
        self.softmax = SoftmaxHead(dim, max(data.identities, 1), scale=softmax.scale, smoothing=softmax.smoothing)
        teacher_dim = 1 if data.teacher is None else data.teacher.shape[1]
        self.distill = DistillHead(
            dim,
            teacher_dim,
            temperature=config.distill.temperature,
            anchor_temperature=config.distill.anchor_temperature,
        )
        self._to_device()
        if config.init is not None and not self.checkpoint_file.is_file():
            size, device = config.stages[0], config.device
            heads = (self.softmax, self.distill)
            fit_heads(self.model, data, *heads, height=size.height, width=size.width, device=device, seed=config.seed)
        self.ema = ModelEma(self.model, decay=config.ema)
        self.optimiser = build_optimiser([self.model, self.softmax, self.distill], config.optimiser)
        self.sampler = self._build_sampler()
        self._sampler_state = self.sampler.state_dict()
        self.step, self.images, self.seconds = 0, 0, 0.0
        self.best_mean_ap = -1.0
        bf16 = config.precision == "bf16"
        if config.fused and bf16 and config.device == "cpu":
            self._log({"kernels": use_fused(self.model)})
        kind = torch.device(config.device).type
        self._replicas = Replicas(self.model, count=config.replicas, autocast=bf16, device=kind)

    @property
    def checkpoint_file(self) -> Path:
        """Where the run is kept."""
        return self.config.output / "last.pt"

    @property
    def progress(self) -> float:
        """The used part of the budget, 0..1."""
        budget = self.config.budget
        by_images = self.images / budget.images if budget.images else 0.0
        by_time = self.seconds / budget.seconds if budget.seconds else 0.0
        return min(max(by_images, by_time), 1.0)

    def run(self) -> None:
        """Train until the budget is used up; checkpoints and validations on the way.

        Raises:
            KeyboardInterrupt: Ctrl-C or termination, after the step that was going on; a checkpoint is left.
        """
        with waiting_interrupts() as interrupted:
            while self.progress < 1:
                self._run_stage(self._stage(), interrupted)
        self.save()
        self.validate()

    def validate(self) -> RetrievalScores | None:
        """Score the averaged model on the held-out persons at the present size; keeps the best as `best.pth`."""
        if self.held_out is None:
            return None
        size = self._stage()
        query, gallery = query_gallery(self.held_out)
        vectors = [
            embed_paths(self.ema.average, part.paths, height=size.height, width=size.width, device=self.config.device)
            for part in (query, gallery)
        ]
        scores = score_retrieval(vectors[0], query.persons, query.cameras, vectors[1], gallery.persons, gallery.cameras)
        found = {"rank1": scores.rank(1), "mean_ap": scores.mean_ap, "height": size.height}
        self._log({"images": self.images, "progress": round(self.progress, 5), **found})
        if scores.mean_ap > self.best_mean_ap:
            self.best_mean_ap = scores.mean_ap
            export_state_dict(self.ema.average, self.config.output / "best.pth")
        return scores

    def export(self) -> Path:
        """Write the averaged model's weights to `output/model.pth`."""
        path = self.config.output / "model.pth"
        export_state_dict(self.ema.average, path)
        return path

    def save(self) -> None:
        """Write everything a resumed run needs."""
        modules = {"model": self.model, "ema": self.ema.average, "softmax": self.softmax, "distill": self.distill}
        state = {
            **{name: module.state_dict() for name, module in modules.items()},
            "optimiser": self.optimiser.state_dict(),
            "sampler": self._sampler_state,
            "torch_rng": torch.get_rng_state(),
            "counters": [self.step, self.images, self.seconds, self.best_mean_ap, self.ema.updates],
            "config": self.config.model_dump(mode="json"),
        }
        write_torch_file(state, self.checkpoint_file)

    def load(self, path: Path) -> None:
        """Continue a run from its checkpoint.

        Raises:
            WeightsError: The file is no checkpoint of a run with this model and data.
        """
        state = read_torch_file(path)
        modules = {"model": self.model, "ema": self.ema.average, "softmax": self.softmax, "distill": self.distill}
        try:
            for name, module in modules.items():
                module.load_state_dict(state[name])
            self._replicas.share_buffers()
            groups = self.optimiser.state_dict()["param_groups"]  # settings come from the recipe, not from the file
            self.optimiser.load_state_dict({"state": state["optimiser"]["state"], "param_groups": groups})
            self.sampler.load_state_dict(state["sampler"])
            self._sampler_state = state["sampler"]
            torch.set_rng_state(state["torch_rng"])
            self.step, self.images, self.seconds, self.best_mean_ap, self.ema.updates = state["counters"]
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise WeightsError(f"{path} does not continue this recipe ({reason}): use another output folder") from error

    def _run_stage(self, stage: StageConfig, interrupted: Callable[[], bool]) -> None:
        config = self.config
        maker = BatchMaker(self.data, self.sampler, config.augment, seed=config.seed, first=self.step)
        started = last = time.monotonic()
        saved = validated = last
        images_before = self.images
        with closing(maker.batches(height=stage.height, width=stage.width)) as batches:
            for batch in batches:
                losses = self._train_step(batch)
                self._sampler_state = batch.sampler_state  # the thread that makes batches is ahead of this
                if interrupted():
                    self.save()
                    raise KeyboardInterrupt
                now = time.monotonic()
                self.seconds += now - last
                last = now
                if self.step % LOG_EVERY == 0:
                    self._log_step(losses, stage, (self.images - images_before) / (now - started))
                if now - saved > config.checkpoint_every_s:
                    self.save()
                    saved = now
                if now - validated > config.validate_every_s:
                    self.validate()
                    validated = now
                if self.progress >= stage.until:
                    return

    def _train_step(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        set_rate(self.optimiser, config.optimiser.rate * rate_factor(self.progress, config.schedule))
        self._freeze()
        self.model.train()
        images = to_input(batch.images, config.device)
        self.optimiser.zero_grad(set_to_none=True)
        self._replicas.start_step(config.seed, self.step)
        embeddings = self._replicas.forward(images)
        losses = self._losses(embeddings, batch)
        self._check_finite({name: value.item() for name, value in losses.items()})
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        if embeddings.grad is not None:
            self._replicas.backward(embeddings.grad)
        if config.optimiser.clip is not None:
            parameters = [value for group in self.optimiser.param_groups for value in group["params"]]
            norm = nn.utils.clip_grad_norm_(parameters, config.optimiser.clip)
            self._check_finite({"norm of the gradient": norm.item()})
        self.optimiser.step()
        self.ema.update()
        self.step += 1
        self.images += len(batch.rows)
        return losses

    def _losses(self, embeddings: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses by name; those of weight zero are left out."""
        config, device = self.config, self.config.device
        persons = torch.from_numpy(self.data.persons[batch.rows]).to(device)
        losses: dict[str, Tensor] = {}
        if config.softmax.weight:
            losses["softmax"] = config.softmax.weight * self.softmax(embeddings, persons)
        if config.triplet.weight:
            losses["triplet"] = config.triplet.weight * hard_triplet_loss(
                embeddings, persons, margin=config.triplet.margin
            )
        if self.data.teacher is not None:
            teacher = torch.from_numpy(self.data.teacher[batch.rows]).to(device)
            feature, relation = self.distill(embeddings, teacher)
            losses |= {"feature": config.distill.feature * feature, "relation": config.distill.relation * relation}
            if config.distill.anchor:
                drawn = torch.randint(len(self.data.teacher), (config.distill.anchors,)).numpy()
                anchors = torch.from_numpy(self.data.teacher[drawn]).to(device)
                losses["anchor"] = config.distill.anchor * self.distill.anchored(embeddings, teacher, anchors)
        if not losses:
            raise ConfigError("nothing to learn: every loss has weight 0 and there is no distill.teacher")
        return losses

    def _freeze(self) -> None:
        """During `fixbase` only the open layers of the backbone get gradients."""
        if not self.config.fixbase:
            return
        fixed = self.progress < self.config.fixbase
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not fixed or name.split(".")[0] in self.config.open_layers)

    def _check_finite(self, values: Mapping[str, float]) -> None:
        """Before anything is updated: a checkpoint never holds what such a step would leave."""
        if not all(math.isfinite(value) for value in values.values()):
            said = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            raise ReidpipeError(
                f"the loss is not finite at step {self.step + 1} ({said}): lower optimiser.rate; the checkpoint is safe"
            )

    def _log_step(self, losses: Mapping[str, Tensor], stage: StageConfig, speed: float) -> None:
        values = {name: value.item() for name, value in losses.items()}
        rate = self.optimiser.param_groups[0]["lr"]
        counters = {"step": self.step, "images": self.images, "seconds": round(self.seconds, 1)}
        row = {
            **counters,
            "progress": round(self.progress, 5),
            "height": stage.height,
            "rate": rate,
            "images_per_s": round(speed, 1),
        }
        self._log({**row, **{name: round(value, 4) for name, value in values.items()}})

    def _log(self, row: Mapping[str, Any]) -> None:
        self.config.output.mkdir(parents=True, exist_ok=True)
        with (self.config.output / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        self._on_log(row)

    def _stage(self) -> StageConfig:
        stages = self.config.stages
        return next((stage for stage in stages if self.progress < stage.until), stages[-1])

    def _build_sampler(self) -> PKSampler | RandomSampler:
        batch, data, seed = self.config.batch, self.data, self.config.seed
        if batch.sampler == "random":
            return RandomSampler(len(data.persons), batch=batch.size, seed=seed)
        return PKSampler(
            data.persons,
            data.cameras,
            identities=batch.identities,
            images=batch.images,
            unlabelled=batch.unlabelled,
            seed=seed,
        )

    def _to_device(self) -> None:
        for module in (self.model, self.softmax, self.distill):
            module.to(self.config.device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
