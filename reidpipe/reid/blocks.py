"""The building blocks of OSNet (arXiv 1905.00953, section 3; instance norm: arXiv 1910.06827, section 4).

All inputs and outputs are feature maps `(N, C, H, W)`. Attribute names follow Torchreid's state-dict keys.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reidpipe.reid.fused import (
    WIDEST,
    GateWeights,
    LiteWeights,
    Pool,
    fusible,
    gated_sum,
    lite_streams,
    norm_act,
    norm_pool,
    residual_sum,
)
from reidpipe.reid.spec import Fusion, NormPlace, OSNetSpec

REDUCTION = 4  # a block works on a quarter of its output channels
GATE_REDUCTION = 16


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm with affine parameters that keeps a channels-last map channels-last in training.

    PyTorch's own hands back a channels-first map, and every layer behind it then runs in that slower layout: OSNet-AIN
    trained at two thirds of the speed of plain OSNet on a CPU. `fused` as in :class:`ConvNorm`.
    """

    fused = False

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps in, feature maps out."""
        if self.fused and fusible(x, self):
            return norm_act(x, self, "none")
        out: Tensor = super().forward(x)
        if self.training and x.is_contiguous(memory_format=torch.channels_last):
            return out.contiguous(memory_format=torch.channels_last)
        return out


class ConvNorm(nn.Module):
    """Convolution without bias, norm, and ReLU unless `linear`; `fused` trains with :mod:`reidpipe.reid.fused`."""

    fused = False

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        linear: bool = False,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn: nn.Module | None = None
        if norm == "batch":
            self.bn = nn.BatchNorm2d(outputs)
        elif norm == "instance":
            self.bn = InstanceNorm(outputs)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps in, feature maps out."""
        x = self.conv(x)
        if self.fused and fusible(x, self.bn):
            return norm_act(x, cast(nn.BatchNorm2d | InstanceNorm, self.bn), "none" if self.linear else "relu")
        if self.bn is not None:
            x = self.bn(x)
        return x if self.linear else F.relu(x, inplace=True)

    def pooled(self, x: Tensor, pool: nn.AvgPool2d | nn.MaxPool2d) -> Tensor:
        """The same behind `pool`, 2x2 means or 3x3 maxima (padding 1) of stride 2; not for a linear layer."""
        if self.fused and fusible(x, self.bn) and self.conv.out_channels <= WIDEST:
            kind: Pool = "average" if isinstance(pool, nn.AvgPool2d) else "maximum"
            return norm_pool(self.conv(x), cast(nn.BatchNorm2d | InstanceNorm, self.bn), kind)
        out: Tensor = pool(self(x))
        return out


class Transition(nn.Sequential):
    """1x1 convolution, norm, ReLU, then means of 2x2 pixels: between two stages."""

    def __init__(self, channels: int) -> None:
        super().__init__(ConvNorm(channels, channels), nn.AvgPool2d(2, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps in, feature maps out."""
        return cast(ConvNorm, self[0]).pooled(x, cast(nn.AvgPool2d, self[1]))


class LiteConv(nn.Module):
    """Lite 3x3: pointwise, then depthwise convolution, norm, ReLU (figure 3b); `fused` as in :class:`ConvNorm`."""

    fused = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps in, feature maps out."""
        if self.fused and fusible(x, self.bn):
            return lite_streams(x, [[self.weights]])
        return F.relu(self.bn(self.conv2(self.conv1(x))), inplace=True)

    @property
    def weights(self) -> LiteWeights:
        """What it learns."""
        return LiteWeights(self.conv1.weight, self.conv2.weight, self.bn)


class ChannelGate(nn.Module):
    """Aggregation gate: global average, two-layer network with a bottleneck, sigmoid (section 3.2).

    Returns the gate values `(N, outputs, 1, 1)`; the caller multiplies, so that they can be looked at.
    """

    fused = False

    def __init__(self, channels: int, *, outputs: int) -> None:
        super().__init__()
        hidden = max(channels // GATE_REDUCTION, 1)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate values `(N, outputs, 1, 1)` in 0..1 for `x`."""
        return torch.sigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))))

    @property
    def weights(self) -> GateWeights:
        """What it learns."""
        return GateWeights(self.fc1.weight, cast(Tensor, self.fc1.bias), self.fc2.weight, cast(Tensor, self.fc2.bias))


class ConvStream(nn.Module):
    """A stream of `depth` convolutions: receptive field `2 * depth + 1`. Layout of OSNet-AIN."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps in, feature maps out."""
        out: Tensor = self.layers(x)
        return out


class StreamFusion(nn.Module):
    """Join the streams of a block as `fusion` says; see :class:`~reidpipe.reid.spec.OSNetSpec`."""

    def __init__(self, channels: int, streams: int, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        if fusion == "separate":
            self.gates = nn.ModuleList(ChannelGate(channels, outputs=channels) for _ in range(streams))
        elif fusion == "fixed":
            self.weights = nn.Parameter(torch.zeros(streams, channels))

    def forward(self, streams: list[Tensor]) -> Tensor:
        """Feature maps in, feature maps out."""
        if self.fusion == "concat":
            return torch.cat(streams, dim=1)
        if self.fusion == "separate":
            streams = [gate(stream) * stream for gate, stream in zip(self.gates, streams, strict=True)]
        elif self.fusion == "fixed":
            gates = torch.sigmoid(self.weights)[:, None, :, None, None]
            streams = [gate * stream for gate, stream in zip(gates, streams, strict=True)]
        joined = streams[0]
        for stream in streams[1:]:
            joined = joined + stream
        return joined


class OSBlock(nn.Module):
    """Omni-scale residual block (figure 4): reduce, T streams, aggregation gate, expand, add.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        spec: Streams, fusion, convolution and key layout.
        norm: Instance norm of this block.
    """

    fused = False

    def __init__(self, inputs: int, outputs: int, *, spec: OSNetSpec, norm: NormPlace) -> None:
        super().__init__()
        middle = outputs // REDUCTION
        inside, outside = norm in {"inside", "both"}, norm in {"outside", "both"}
        self.conv1 = ConvNorm(inputs, middle)
        self._stream_names = _add_streams(self, middle, spec)
        if spec.fusion in {"unified", "stream"}:
            self.gate: nn.Module = ChannelGate(middle, outputs=middle if spec.fusion == "unified" else 1)
        else:
            self.gate = StreamFusion(middle, spec.streams, spec.fusion)
        expand_from = middle * spec.streams if spec.fusion == "concat" else middle
        self.conv3 = ConvNorm(expand_from, outputs, linear=True, norm="none" if inside else "batch")
        self.downsample = ConvNorm(inputs, outputs, linear=True) if inputs != outputs else None
        self.IN: nn.Module | None = InstanceNorm(outputs) if norm != "none" else None
        self.IN_outside = InstanceNorm(outputs) if norm == "both" else None
        self._inside, self._outside, self._lite = inside, outside, spec.convolution == "lite"

    def streams(self, x: Tensor) -> list[Tensor]:
        """The feature maps of the T streams, before fusion; `x` is the block's input."""
        reduced = self.conv1(x)
        return [stream(reduced) for stream in self._stream_layers()]

    def fuse(self, streams: list[Tensor]) -> Tensor:
        """Join the streams through the gate."""
        if isinstance(self.gate, StreamFusion):
            fused: Tensor = self.gate(streams)
            return fused
        if self._fusible(streams[0]):
            return gated_sum(streams, cast(ChannelGate, self.gate).weights)
        fused = self.gate(streams[0]) * streams[0]
        for stream in streams[1:]:
            fused = fused + self.gate(stream) * stream
        return fused

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps in, feature maps out."""
        if self._lite and isinstance(self.gate, ChannelGate) and self._fusible(x):
            stacks = [[layer.weights for layer in _lite_layers(stream)] for stream in self._stream_layers()]
            fused = lite_streams(self.conv1(x), stacks, self.gate.weights)
        else:
            fused = self.fuse(self.streams(x))
        if self._fusible(x) and not self._outside:
            return self._fused_sum(x, self.conv3.conv(fused))
        residual = self.conv3(fused)
        if self._inside and self.IN is not None:
            residual = self.IN(residual)
        out = residual + (x if self.downsample is None else self.downsample(x))
        if self._outside:
            norm = self.IN_outside if self._inside else self.IN
            out = out if norm is None else norm(out)
        return F.relu(out, inplace=True)

    def _fused_sum(self, x: Tensor, residual: Tensor) -> Tensor:
        """The norm of the residual, plus the shortcut, ReLU."""
        norm = cast(nn.BatchNorm2d | InstanceNorm, self.IN if self._inside else self.conv3.bn)
        if self.downsample is None:
            return residual_sum(residual, norm, x, None)
        return residual_sum(residual, norm, self.downsample.conv(x), cast(nn.BatchNorm2d, self.downsample.bn))

    def _fusible(self, x: Tensor) -> bool:
        return self.fused and fusible(x, self.conv1.bn) and self.conv3.conv.out_channels <= WIDEST

    def _stream_layers(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in self._stream_names]


def _lite_layers(stream: nn.Module) -> list[LiteConv]:
    """The Lite 3x3 of a stream, in order; it holds nothing else."""
    return [layer for layer in stream.modules() if isinstance(layer, LiteConv)]


def _add_streams(block: nn.Module, channels: int, spec: OSNetSpec) -> list[str]:
    """Add the streams under the names of the layout: conv2a, conv2b.0 ... or conv2.<t>.layers.<k>."""
    depths = range(1, spec.streams + 1)
    stacks = [[_convolution(channels, spec) for _ in range(depth)] for depth in depths]
    if spec.layout == "ain":
        block.add_module("conv2", nn.ModuleList(ConvStream(stack) for stack in stacks))
        return [f"conv2.{index}" for index in range(spec.streams)]
    names = [f"conv2{string.ascii_lowercase[index]}" for index in range(spec.streams)]
    for name, stack in zip(names, stacks, strict=True):
        block.add_module(name, stack[0] if len(stack) == 1 else nn.Sequential(*stack))
    return names


def _convolution(channels: int, spec: OSNetSpec) -> nn.Module:
    return LiteConv(channels) if spec.convolution == "lite" else ConvNorm(channels, channels, kernel=3)
