"""OSNet from a spec: conv1 to conv5, global average pooling, one fully connected layer to the embedding."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidpipe.reid.blocks import ConvNorm, OSBlock, Transition
from reidpipe.reid.mixstyle import MixStyle
from reidpipe.reid.spec import OSNetSpec, get_spec


class OSNet(nn.Module):
    """Omni-scale network (arXiv 1905.00953, table 1).

    Input: float `(N, 3, H, W)`, RGB normalised with ImageNet's mean and standard deviation, usually 256x128.
    Output: float `(N, embedding)`, not normalised, non-negative.

    Args:
        spec: The architecture.
        num_classes: Adds the linear identity classifier of Torchreid's layout; None leaves it out.
        mixstyle: Applied behind conv2 and conv3 in training; None leaves it out. It has no parameters.
    """

    def __init__(self, spec: OSNetSpec, *, num_classes: int | None = None, mixstyle: MixStyle | None = None) -> None:
        super().__init__()
        self.spec = spec
        stem, second, third, fourth = spec.channels
        self.conv1 = ConvNorm(3, stem, kernel=7, stride=2, norm=spec.stem_norm)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self._add_stage("2", stem, second, first_block=0)
        self._add_stage("3", second, third, first_block=2)
        self._add_stage("4", third, fourth, first_block=4)
        self.conv5 = ConvNorm(fourth, fourth)
        self.fc = nn.Sequential(nn.Linear(fourth, spec.embedding), nn.BatchNorm1d(spec.embedding), nn.ReLU())
        self.classifier = nn.Linear(spec.embedding, num_classes) if num_classes else None
        self.mixstyle = mixstyle
        _initialise(self)

    def _add_stage(self, stage: str, inputs: int, outputs: int, *, first_block: int) -> None:
        """Two blocks and, but for the last stage, a transition that halves the map, under the layout's names."""
        norms = self.spec.norms[first_block : first_block + 2]
        blocks: list[nn.Module] = [
            OSBlock(inputs, outputs, spec=self.spec, norm=norms[0]),
            OSBlock(outputs, outputs, spec=self.spec, norm=norms[1]),
        ]
        transition = Transition(outputs)
        if stage == "4":
            self.add_module("conv4", nn.Sequential(*blocks))
        elif self.spec.layout == "osnet":
            self.add_module(f"conv{stage}", nn.Sequential(*blocks, transition))
        else:
            self.add_module(f"conv{stage}", nn.Sequential(*blocks))
            self.add_module(f"pool{stage}", transition)

    def feature_maps(self, x: Tensor) -> Tensor:
        """The last feature map `(N, C, H / 16, W / 16)`, before pooling."""
        x = self.conv1.pooled(x, self.maxpool)
        for name in ("conv2", "pool2", "conv3", "pool3", "conv4", "conv5"):
            if name in self._modules:
                x = self.get_submodule(name)(x)
            if name in {"pool2", "pool3"} and self.mixstyle is not None:
                x = self.mixstyle(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings `(N, embedding)` of images `(N, 3, H, W)`."""
        pooled = F.adaptive_avg_pool2d(self.feature_maps(x), 1).flatten(1)
        embedding: Tensor = self.fc(pooled)
        return embedding


def build_osnet(name_or_spec: str | Path | OSNetSpec, *, num_classes: int | None = None) -> OSNet:
    """Build an OSNet by name (`osnet_ain_x0_25`), from a spec file, or from a spec.

    Raises:
        ConfigError: The name or file is no architecture.
    """
    spec = name_or_spec if isinstance(name_or_spec, OSNetSpec) else get_spec(name_or_spec)
    return OSNet(spec, num_classes=num_classes)


def count_parameters(model: OSNet) -> int:
    """Trainable parameters without the classifier, as the papers count them."""
    counts = (value.numel() for name, value in model.named_parameters() if not name.startswith("classifier."))
    return sum(counts)


def count_multiply_adds(model: OSNet, *, height: int = 256, width: int = 128) -> int:
    """Multiply-adds of the convolutions and fully connected layers for one image (without the classifier)."""
    total = 0

    def add(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += output[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            total += layer.in_features * layer.out_features

    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    was_training = model.training
    weight = model.conv1.conv.weight
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, height, width, device=weight.device, dtype=weight.dtype))
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return total


def _initialise(model: nn.Module) -> None:
    """He initialisation for convolutions, N(0, 0.01) for fully connected layers, norms to identity."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
