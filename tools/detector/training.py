"""Training on ultralytics through its documented hooks, made fit for a CPU: bf16 autocast, channels last, one thread.

One thread on purpose: on a shared two-core machine two OpenMP threads wait for each other at every layer and are slower
than one (measured; see the model card).
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import cv2
import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.modules.conv import Conv, DWConv
from ultralytics.nn.tasks import DetectionModel

from reidpipe.reid.fused import fusible, norm_act, use_fused

from .loss import AlignedLoss
from .tiling import TiledPictures

ARCHITECTURE = Path(__file__).parent / "person_n.yaml"
HYPER: dict[str, Any] = {
    "optimizer": "AdamW", "lr0": 0.0015, "lrf": 0.02, "cos_lr": True, "momentum": 0.9, "weight_decay": 0.0005,
    "warmup_epochs": 0.02, "nbs": 16, "batch": 16, "close_mosaic": 0, "workers": 1,
    "amp": False, "deterministic": False, "plots": False, "val": False, "single_cls": True, "device": "cpu",
    "exist_ok": True, "seed": 1,
}  # fmt: skip


def as_float(value: Any) -> Any:
    """The same nest of tensors with every floating tensor in float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: as_float(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(as_float(item) for item in value)
    return value


class FusedConv(Conv):  # type: ignore[misc]
    """Convolution, batch norm, SiLU; in a bfloat16 training step the last two are one compiled kernel."""

    fused = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature map (B, C, H, W) to feature map."""
        x = self.conv(x)
        if self.fused and fusible(x, self.bn):
            return norm_act(x, self.bn, "silu" if isinstance(self.act, torch.nn.SiLU) else "none")
        activated: torch.Tensor = self.act(self.bn(x))
        return activated


class PersonModel(DetectionModel):  # type: ignore[misc]
    """The detection model; in training its layers run in bfloat16, the loss stays in float32."""

    def speed_up(self) -> str:
        """Train with the compiled kernels; returns one line that says which, or why not."""
        for layer in self.modules():
            if type(layer) in (Conv, DWConv):  # the same parts with another forward pass
                layer.__class__ = FusedConv
        return use_fused(self)

    def init_criterion(self) -> AlignedLoss:
        """Our own loss, see :mod:`tools.detector.loss`."""
        head = self.model[-1]
        return AlignedLoss([float(stride) for stride in head.stride], head.reg_max)

    def predict(self, x: torch.Tensor, *args: Any, **options: Any) -> Any:
        """Forward pass of a (B, 3, H, W) batch."""
        if not self.training:
            return super().predict(x, *args, **options)
        with torch.autocast("cpu", torch.bfloat16):
            answer = super().predict(x, *args, **options)
        return as_float(answer)


class PersonTrainer(DetectionTrainer):  # type: ignore[misc]
    """The ultralytics trainer with our model, our dataset and channels-last batches."""

    start: Path | None = None

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> PersonModel:
        """A fresh network, or one that starts from ``weights`` or from the state dict ``start``."""
        model = PersonModel(cfg, ch=3, nc=self.data["nc"], verbose=verbose)
        if weights is not None:  # only given where the setting `pretrained` is true
            model.load(weights)
        if self.start is not None:
            state = torch.load(self.start, map_location="cpu", weights_only=True)
            model.load_state_dict({name: value.float() if value.is_floating_point() else value
                                   for name, value in state.items()}, strict=True)  # fmt: skip
        model.to(memory_format=torch.channels_last)
        print(model.speed_up())
        return model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Training pictures are tiled anew each time; validation is ultralytics' own."""
        if mode != "train":
            return super().build_dataset(img_path, mode, batch)
        return TiledPictures(Path(img_path).read_text().split(), self.args.imgsz)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Images to float 0..1; they stay channels last."""
        batch["img"] = batch["img"].float().div_(255)
        return batch


class ClockedRate:
    """Cosine learning rate over the stage's hours, set before every batch: a stage of few epochs still ends calm.

    Ultralytics sets the rate once per epoch; with four epochs in the given time the last one would still be fast.
    """

    def __init__(self, hours: float, *, first: float, last: float) -> None:
        self.seconds = hours * 3600
        self.first, self.last = first, last
        self.start: float | None = None

    def __call__(self, trainer: Any) -> None:
        """Callback ``on_train_batch_start``."""
        now = time.monotonic()
        if self.start is None:
            self.start = now
        part = min(1.0, (now - self.start) / self.seconds)
        rate = self.last + (self.first - self.last) * (1 + math.cos(math.pi * part)) / 2
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate


def train(folder: Path, name: str, *, start: Path | None, threads: int, **changes: Any) -> Path:
    """Run one training stage under ``folder / name``; returns its newest checkpoint.

    Args:
        folder: ``runs/detector``, with ``data/data.yaml``.
        name: of the stage.
        start: what the stage's weights start from: a checkpoint (``.pt``) or the state dict kept beside the shipped
            file (``.pth``); None starts from nothing.
        threads: of torch.
        changes: ultralytics settings that replace those of ``HYPER`` (``time`` in hours, ``imgsz``, ``epochs``...).
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    kept = start if start is not None and start.suffix == ".pth" else None
    checkpoint = None if kept else start
    settings = HYPER | {"model": str(checkpoint or ARCHITECTURE), "data": str(folder / "data" / "data.yaml"),
                        "pretrained": checkpoint is not None,
                        "project": str(folder), "name": name} | changes  # fmt: skip
    trainer = PersonTrainer(overrides=settings)
    trainer.start = kept
    trainer.add_callback("on_train_start", lambda _: torch.set_num_threads(threads))
    if settings.get("time"):
        rate = ClockedRate(settings["time"], first=settings["lr0"], last=settings["lr0"] * settings["lrf"])
        trainer.add_callback("on_train_batch_start", rate)
    trainer.train()
    return Path(trainer.last)


def keep(checkpoint: Path, output: Path) -> str:
    """Save the EMA weights of a checkpoint as a float16 state dict, which a later session can start from."""
    from ultralytics import YOLO

    state = YOLO(checkpoint).model.state_dict()
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in state.items()}, output)
    return f"{output}: {output.stat().st_size / 1e6:.2f} MB"


def resume(checkpoint: Path, *, threads: int) -> Path:
    """Go on with an interrupted stage from its ``last.pt``, optimiser and schedule included."""
    torch.set_num_threads(threads)
    trainer = PersonTrainer(overrides={"model": str(checkpoint), "resume": str(checkpoint)})
    trainer.add_callback("on_train_start", lambda _: torch.set_num_threads(threads))
    trainer.train()
    return Path(trainer.last)


def average(checkpoints: list[Path], output: Path) -> Path:
    """Write the mean of the weights of several stages of one training, as a checkpoint like the last of them.

    Stages at different sizes and on different data forget different things; their mean keeps more of each
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    states = []
    for path in checkpoints:
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)  # our own file, made by train()
        network = (checkpoint.get("ema") or checkpoint["model"]).float()
        states.append(network.state_dict())
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in states[-1].items()
    }
    network.load_state_dict(mean)
    torch.save(checkpoint, output)
    return output
