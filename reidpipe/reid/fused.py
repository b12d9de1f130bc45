"""Training kernels for OSNet's small layers on a CPU, compiled on first use.

In bfloat16 on a CPU, PyTorch spends more time in batch norm, ReLU, the backward pass of depthwise convolutions and the
calls of all these small operations than in the multiplications of OSNet. `kernels/` does the inside of a block in one
call, and norms, residual sums and activations in one pass over memory each. It needs a C++ compiler (GCC or Clang);
without one, or anywhere else than in a bfloat16 training step on a CPU, the layers compute as PyTorch does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from reidpipe.reid.compiled import fused_kernels

WIDEST = 512  # channels, as in kernels/numbers.h
Pool = Literal["average", "maximum"]
POOLS: tuple[Pool, ...] = ("average", "maximum")  # numbered as in kernels/pool.h
Activation = Literal["none", "relu", "silu"]
ACTIVATIONS: tuple[Activation, ...] = ("none", "relu", "silu")  # numbered as in kernels/norm.h


def use_fused(model: nn.Module) -> str:
    """Let the layers of an OSNet train with the kernels; returns the line of :func:`fused_kernels`."""
    library, words = fused_kernels()
    for layer in model.modules():
        if hasattr(type(layer), "fused"):
            layer.fused = library is not None  # type: ignore[assignment]
    return words


def fusible(x: Tensor, norm: nn.Module | None) -> bool:
    """Whether a training step may run the kernels on this map (the library must be there, too)."""
    return (
        isinstance(norm, nn.BatchNorm2d | nn.InstanceNorm2d)
        and norm.training
        and norm.affine
        and norm.weight.dtype == torch.float32
        and norm.momentum is not None
        and norm.track_running_stats == isinstance(norm, nn.BatchNorm2d)
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and norm.num_features <= WIDEST
    )


class LiteWeights(NamedTuple):
    """What a Lite 3x3 learns: pointwise `(C, C, 1, 1)`, depthwise `(C, 1, 3, 3)`, and its norm over C channels."""

    pointwise: Tensor
    depthwise: Tensor
    norm: nn.BatchNorm2d


class GateWeights(NamedTuple):
    """Two layers of a gate: `(hidden, C, 1, 1)`, `(hidden,)`, `(M, hidden, 1, 1)`, `(M,)`, where M is C or 1."""

    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor


def norm_act(x: Tensor, norm: nn.BatchNorm2d | nn.InstanceNorm2d, act: Activation) -> Tensor:
    """Batch or instance norm, then an activation; updates the running statistics of a batch norm.

    Args:
        x: `(N, C, H, W)`.
        norm: Its parameters and buffers are used.
        act: `"none"`, `"relu"` or `"silu"`.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    y: Tensor = _NormAct.apply(x, norm.weight, norm.bias, norm, ACTIVATIONS.index(act))  # type: ignore[no-untyped-call]
    return y


def norm_pool(x: Tensor, norm: nn.BatchNorm2d | nn.InstanceNorm2d, pool: Pool) -> Tensor:
    """Norm, ReLU and the pooling behind it; see :func:`norm_act`.

    Args:
        x: `(N, C, H, W)`.
        norm: Its parameters and buffers are used.
        pool: `"average"`: 2x2, stride 2. `"maximum"`: 3x3, stride 2, padding 1.

    Returns:
        bfloat16 `(N, C, H // 2, W // 2)`, rounded up instead for maxima; channels last.
    """
    y: Tensor = _NormPool.apply(x, norm.weight, norm.bias, norm, POOLS.index(pool))  # type: ignore[no-untyped-call]
    return y


def residual_sum(
    x: Tensor, norm: nn.BatchNorm2d | nn.InstanceNorm2d, shortcut: Tensor, shortcut_norm: nn.BatchNorm2d | None
) -> Tensor:
    """`relu(norm(x) + shortcut)`, the shortcut behind a norm of its own where it has one; see :func:`norm_act`.

    Args:
        x: `(N, C, H, W)`.
        norm: Of `x`.
        shortcut: `(N, C, H, W)`.
        shortcut_norm: Of the shortcut, or None.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    own = (norm.weight, norm.bias)
    theirs = (None, None) if shortcut_norm is None else (shortcut_norm.weight, shortcut_norm.bias)
    y: Tensor = _ResidualSum.apply(norm, shortcut_norm, x, shortcut, *own, *theirs)  # type: ignore[no-untyped-call]
    return y


def lite_streams(x: Tensor, streams: Sequence[Sequence[LiteWeights]], gate: GateWeights | None = None) -> Tensor:
    """Streams of Lite 3x3 layers (pointwise, depthwise, batch norm, ReLU) over one map, and their sum.

    Args:
        x: `(N, C, H, W)`.
        streams: The layers of each stream, in order.
        gate: Each stream is multiplied by its gate first, as in :func:`gated_sum`; None: a plain sum.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    layers = [(place == 0, layer.norm) for stream in streams for place, layer in enumerate(stream)]
    weights = [
        value
        for stream in streams
        for layer in stream
        for value in (layer.pointwise, layer.depthwise, layer.norm.weight, layer.norm.bias)
    ]
    y: Tensor = _LiteStreams.apply(layers, x, *weights, *(gate or ()))  # type: ignore[no-untyped-call]
    return y


def gated_sum(streams: Sequence[Tensor], gate: GateWeights) -> Tensor:
    """Sum of the streams, each times its own gate (arXiv 1905.00953, equation 3); the gate is shared.

    A gate is `sigmoid(weight2 relu(weight1 m + bias1) + bias2)` of the stream's mean m over the pixels.

    Args:
        streams: T maps `(N, C, H, W)`.
        gate: Its weights.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    y: Tensor = _GatedSum.apply(*gate, *streams)  # type: ignore[no-untyped-call]
    return y


def _last(x: Tensor) -> Tensor:
    """As bfloat16 in channels-last memory; nothing is copied where it is that already."""
    return x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


class _Norm(ctypes.Structure):
    """As in kernels/norm.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "bias", "mean", "variance", "batches", "d_weight", "d_bias")),
        *((name, ctypes.c_double) for name in ("eps", "momentum")),
    )


class _Lite(ctypes.Structure):
    """As in kernels/streams.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("point", "depth", "d_point", "d_depth")),
        *(("norm", _Norm), ("starts", ctypes.c_int)),
    )


class _Gate(ctypes.Structure):
    """As in kernels/gates.h."""

    _fields_ = (
        *((f"{kind}{name}", ctypes.c_void_p) for kind in ("", "d_") for name in GateWeights._fields),
        *((name, ctypes.c_int) for name in ("hidden", "outputs")),
    )


KEPT = 3  # float64 values that a norm keeps of a channel, as `Kept` in kernels/norm.h


def _call(name: str, *arguments: object) -> None:
    """Call a kernel: tensors go as addresses, structures by reference, `int` as 32 bits, the rest as it is."""
    getattr(fused_kernels()[0], name)(*(_plain(one) for one in arguments))


def _plain(argument: object) -> object:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else argument


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _forward_norm(norm: nn.BatchNorm2d | nn.InstanceNorm2d) -> _Norm:
    """With the running statistics, which the kernel updates, as it counts the batch."""
    tensors = (norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked)
    return _Norm(*map(_address, tensors), None, None, norm.eps, norm.momentum or 0.0)


def _backward_norm(weight: Tensor, d_weight: Tensor, d_bias: Tensor) -> _Norm:
    return _Norm(_address(weight), None, None, None, None, _address(d_weight), _address(d_bias), 0.0, 0.0)


def _gate(weights: Sequence[Tensor], gradients: Sequence[Tensor] = ()) -> _Gate | None:
    if not weights:
        return None
    found = [*map(_address, gradients)] or [None] * len(weights)
    return _Gate(*map(_address, weights), *found, len(weights[1]), len(weights[3]))


def _zeros(like: Sequence[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(one) for one in like]


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, _bias: Tensor, norm: nn.BatchNorm2d | nn.InstanceNorm2d, act: int
    ) -> Tensor:
        x = _last(x)
        channels, pixels = x.shape[1], ctypes.c_int64(x.numel() // x.shape[1])
        groups = 1 if isinstance(norm, nn.BatchNorm2d) else len(x)
        kept, y = torch.empty(groups, channels, KEPT, dtype=torch.float64), torch.empty_like(x)
        slope = torch.empty_like(x) if ACTIVATIONS[act] == "silu" else None
        _call("fused_norm_forward", channels, groups, _forward_norm(norm), x, pixels, act, kept, slope, y)
        ctx.save_for_backward(x, slope, weight, kept)
        ctx.act = act
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, slope, weight, kept = ctx.saved_tensors
        channels, pixels = x.shape[1], ctypes.c_int64(x.numel() // x.shape[1])
        dx, d_norm = torch.empty_like(x), _zeros((weight, weight))
        norm = _backward_norm(weight, *d_norm)
        common = (x, _last(gradient), slope, pixels, kept, ctx.act)
        _call("fused_norm_backward", channels, len(kept), norm, *common, dx)
        return dx, *d_norm, None, None


class _NormPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, _bias: Tensor, norm: nn.BatchNorm2d | nn.InstanceNorm2d, pool: int
    ) -> Tensor:
        x = _last(x)
        count, channels, height, width = x.shape
        up = POOLS[pool] == "maximum"
        shape = (count, channels, (height + up) // 2, (width + up) // 2)
        groups = 1 if isinstance(norm, nn.BatchNorm2d) else count
        kept = torch.empty(groups, channels, KEPT, dtype=torch.float64)
        maps = [torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last) for _ in range(3 if up else 1)]
        y = maps[0]
        place, chosen = maps[1:] if up else (None, None)
        size = (pool, channels, height, width, count, groups)
        _call("fused_pool_forward", *size, _forward_norm(norm), x, kept, place, chosen, y)
        ctx.save_for_backward(x, place, chosen, weight, kept)
        ctx.pool = pool
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, place, chosen, weight, kept = ctx.saved_tensors
        count, channels, height, width = x.shape
        dx, d_norm = torch.empty_like(x), _zeros((weight, weight))
        size = (ctx.pool, channels, height, width, count, len(kept))
        norm = _backward_norm(weight, *d_norm)
        _call("fused_pool_backward", *size, norm, x, kept, place, chosen, _last(gradient), dx)
        return dx, *d_norm, None, None


class _ResidualSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        norm: nn.BatchNorm2d | nn.InstanceNorm2d,
        shortcut_norm: nn.BatchNorm2d | None,
        x: Tensor,
        shortcut: Tensor,
        *weights: Tensor | None,
    ) -> Tensor:
        x, shortcut = _last(x), _last(shortcut)
        channels, pixels = x.shape[1], ctypes.c_int64(x.numel() // x.shape[1])
        groups = 1 if isinstance(norm, nn.BatchNorm2d) else len(x)
        kept = torch.empty(groups + 1, channels, KEPT, dtype=torch.float64)
        norms = _forward_norm(norm), None if shortcut_norm is None else _forward_norm(shortcut_norm)
        y = torch.empty_like(x)
        common = (x, shortcut, pixels, kept, kept[groups])
        _call("fused_residual_forward", channels, groups, *norms, *common, y)
        ctx.save_for_backward(x, shortcut, y, kept, weights[0], weights[2])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, shortcut, y, kept, weight, other = ctx.saved_tensors
        channels, pixels, groups = x.shape[1], ctypes.c_int64(x.numel() // x.shape[1]), len(kept) - 1
        d_own = _zeros((weight, weight))
        d_other = [] if other is None else _zeros((other, other))
        norms = _backward_norm(weight, *d_own), _backward_norm(other, *d_other) if d_other else None
        dx, d_shortcut = torch.empty_like(x), torch.empty_like(shortcut)
        maps = (x, shortcut, y, _last(gradient), pixels, kept, kept[groups])
        _call("fused_residual_backward", channels, groups, *norms, *maps, dx, d_shortcut)
        return None, None, dx, d_shortcut, *d_own, *(d_other or (None, None))


class _LiteStreams(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: Sequence[tuple[bool, nn.BatchNorm2d]], x: Tensor, *weights: Tensor) -> Tensor:
        x = _last(x)
        count, channels, height, width = x.shape
        weights = tuple(value.contiguous() for value in weights)
        table = (_Lite * len(layers))()
        for place, (starts, norm) in enumerate(layers):
            point, depth = weights[4 * place : 4 * place + 2]
            table[place] = _Lite(_address(point), _address(depth), None, None, _forward_norm(norm), starts)
        columns, streams = -(-channels // 8) * 8, sum(starts for starts, _ in layers)
        maps = torch.empty(len(layers), 2, count, height, width, columns, dtype=torch.bfloat16)
        kept = torch.zeros(len(layers), columns, KEPT, dtype=torch.float64)
        gates = torch.zeros(2, streams, count, columns)
        y = torch.empty_like(x)
        size = (channels, count, height, width, len(layers))
        gate = _gate(weights[4 * len(layers) :])
        _call("fused_streams_forward", *size, table, gate, x, maps, kept, gates, y)
        ctx.save_for_backward(x, maps, kept, gates, *weights)
        ctx.starts = [starts for starts, _ in layers]
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, maps, kept, gates, *weights = ctx.saved_tensors
        count, channels, height, width = x.shape
        found, dx = _zeros(weights), torch.empty_like(x)
        table = (_Lite * len(ctx.starts))()
        for place, starts in enumerate(ctx.starts):
            own = slice(4 * place, 4 * place + 4)
            (point, depth, weight, _), (d_point, d_depth, *d_norm) = weights[own], found[own]
            norm = _backward_norm(weight, *d_norm)
            table[place] = _Lite(*map(_address, (point, depth, d_point, d_depth)), norm, starts)
        size = (channels, count, height, width, len(table))
        gate = _gate(weights[4 * len(table) :], found[4 * len(table) :])
        spare = torch.empty_like(maps[: gates.shape[1], 0])
        _call("fused_streams_backward", *size, table, gate, x, maps, kept, gates, _last(gradient), spare, dx)
        return None, dx, *found


class _GatedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        weights, streams = [value.contiguous() for value in inputs[:4]], [_last(x) for x in inputs[4:]]
        count, channels, height, width = streams[0].shape
        gates, y = torch.zeros(2, len(streams), count, channels), torch.empty_like(streams[0])
        size = (channels, count, ctypes.c_int64(height * width), len(streams))
        _call("fused_gated_sum", *size, _gate(weights), _pointers(streams), gates, y)
        ctx.save_for_backward(gates, *weights, *streams)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gates, *both = ctx.saved_tensors
        weights, streams = both[:4], both[4:]
        count, channels, height, width = streams[0].shape
        d_weights, d_streams = _zeros(weights), [torch.empty_like(one) for one in streams]
        size = (channels, count, ctypes.c_int64(height * width), len(streams))
        maps = (_pointers(streams), gates, _last(gradient), _pointers(d_streams))
        _call("fused_gated_sum_backward", *size, _gate(weights, d_weights), *maps)
        return *d_weights, *d_streams


def _pointers(tensors: Sequence[Tensor]) -> object:
    return (ctypes.c_void_p * len(tensors))(*map(_address, tensors))
