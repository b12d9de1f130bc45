"""Training kernels for OSNet's small layers on a CPU, compiled on first use.

In bfloat16 on a CPU, PyTorch spends more time in batch norm, ReLU and the backward pass of depthwise convolutions than
in the multiplications of OSNet. `kernels/` does each of them in one pass over memory. It needs a C++ compiler (GCC or
Clang); without one, or anywhere else than in a bfloat16 training step on a CPU, the layers compute as PyTorch does.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

SOURCES = Path(__file__).with_name("kernels")
# Parts of -ffast-math by name: the whole, given to a linker, makes a library that switches off subnormal numbers.
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fassociative-math", "-freciprocal-math"),
    *("-fno-math-errno", "-fno-signed-zeros", "-fno-trapping-math", "-Wno-psabi", "-shared", "-fPIC"),
)
COMPILE_S = 120.0
WIDEST = 512  # channels, as in kernels/numbers.h
Activation = Literal["none", "relu", "silu"]
ACTIVATIONS: tuple[Activation, ...] = ("none", "relu", "silu")  # numbered as in kernels/norm.h


@cache
def fused_kernels() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernels, and one line that says where they are or why there are none."""
    compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
    if compiler is None:
        return None, "no C++ compiler (c++, g++ or clang++) is on the PATH"
    try:
        file = _compile(compiler)
        return ctypes.CDLL(str(file)), str(file)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return None, f"{compiler} failed: {' '.join(said.split())[:200]}"


def use_fused(model: nn.Module) -> str:
    """Let the layers of an OSNet train with the kernels; returns the line of :func:`fused_kernels`."""
    library, words = fused_kernels()
    for layer in model.modules():
        if hasattr(type(layer), "fused"):
            layer.fused = library is not None  # type: ignore[assignment]
    return words


def _compile(compiler: str) -> Path:
    """The library for this machine's processor, from the cache where it is there."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=COMPILE_S, check=True)
    sources = [file.read_text() for file in sorted(SOURCES.glob("*.[ch]*"))]
    key = "\n".join((*sources, *FLAGS, version.stdout, platform.machine(), _processor()))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = base / "reidpipe" / "kernels" / f"fused-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.so")
        command = [compiler, *FLAGS, "-o", str(unfinished), str(SOURCES / "fused.cpp")]
        subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=True)
        unfinished.replace(file)
    return file


def _processor() -> str:
    """What `-march=native` depends on: a home folder may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


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


def norm_act(x: Tensor, norm: nn.BatchNorm2d | nn.InstanceNorm2d, act: Activation) -> Tensor:
    """Batch or instance norm, then an activation; updates the running statistics of a batch norm.

    Args:
        x: `(N, C, H, W)`.
        norm: Its parameters and buffers are used.
        act: `"none"`, `"relu"` or `"silu"`.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    groups = 1 if isinstance(norm, nn.BatchNorm2d) else len(x)
    y: Tensor = _NormAct.apply(x, norm.weight, norm.bias, norm, groups, ACTIVATIONS.index(act))  # type: ignore[no-untyped-call]
    return y


def lite_conv(x: Tensor, pointwise: Tensor, depthwise: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Pointwise 1x1, depthwise 3x3, batch norm, ReLU; see :func:`norm_act`.

    Args:
        x: `(N, C, H, W)`.
        pointwise: `(C, C, 1, 1)`.
        depthwise: `(C, 1, 3, 3)`.
        norm: As in :func:`norm_act`.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    y: Tensor = _LiteConv.apply(x, pointwise, depthwise, norm.weight, norm.bias, norm)  # type: ignore[no-untyped-call]
    return y


def gated_sum(streams: Sequence[Tensor], gate: nn.Module) -> Tensor:
    """Sum of the streams, each times its own gate (arXiv 1905.00953, equation 3); the gate is shared.

    Args:
        streams: T maps `(N, C, H, W)`.
        gate: From `(M, C, 1, 1)`, the means of M maps, to their gates `(M, C, 1, 1)` or `(M, 1, 1, 1)`.

    Returns:
        bfloat16 `(N, C, H, W)`, channels last.
    """
    y: Tensor = _GatedSum.apply(gate, *gate.parameters(), *streams)  # type: ignore[no-untyped-call]
    return y


def _last(x: Tensor) -> Tensor:
    """As bfloat16 in channels-last memory; nothing is copied where it is that already."""
    return x.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)


def _call(name: str, *arguments: object) -> None:
    """Call a kernel: tensors go as addresses, floats as double, `int` as 32 bits, the rest as it is."""
    getattr(fused_kernels()[0], name)(*(_plain(one) for one in arguments))


def _plain(argument: object) -> object:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_double(argument) if isinstance(argument, float) else argument


def _norm_settings(norm: nn.BatchNorm2d | nn.InstanceNorm2d) -> tuple[float, float, Tensor | None, Tensor | None]:
    """Epsilon, momentum and the running statistics; counts the batch, as `nn.BatchNorm2d` does."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
    return float(norm.eps), float(norm.momentum or 0.0), norm.running_mean, norm.running_var


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        norm: nn.BatchNorm2d | nn.InstanceNorm2d,
        groups: int,
        act: int,
    ) -> Tensor:
        x = _last(x)
        eps, momentum, *running = _norm_settings(norm)
        channels, pixels = x.shape[1], ctypes.c_int64(x.numel() // x.shape[1])
        kept, y = torch.empty(groups, 4, channels, dtype=torch.float64), torch.empty_like(x)
        slope = torch.empty_like(x) if ACTIVATIONS[act] == "silu" else None
        common = (weight, bias, eps, momentum, act, *running)
        _call("fused_norm_forward", channels, groups, x, pixels, *common, kept, slope, y)
        ctx.save_for_backward(x, slope, weight, kept)
        ctx.act = act
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, slope, weight, kept = ctx.saved_tensors
        channels, pixels = x.shape[1], ctypes.c_int64(x.numel() // x.shape[1])
        found = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        dx, d_weight, d_bias = found
        common = (x, _last(gradient), slope, pixels, weight, kept, ctx.act)
        _call("fused_norm_backward", channels, len(kept), *common, d_weight, d_bias, dx)
        return *found, None, None, None


class _LiteConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, point: Tensor, depth: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d
    ) -> Tensor:
        x = _last(x)
        count, channels, height, width = x.shape
        eps, momentum, *running = _norm_settings(norm)
        reduced, filtered, y = (torch.empty_like(x) for _ in range(3))
        kept = torch.empty(4, channels, dtype=torch.float64)
        weights = (point.contiguous(), depth.contiguous(), weight, bias)
        maps = (reduced, filtered, kept, y)
        _call("fused_lite_forward", channels, x, count, height, width, *weights, eps, momentum, *running, *maps)
        ctx.save_for_backward(x, reduced, filtered, *weights[:3], kept)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, reduced, filtered, point, depth, weight, kept = ctx.saved_tensors
        count, channels, height, width = x.shape
        spare, dx = torch.empty_like(x), torch.empty_like(x)
        found = [torch.empty_like(one) for one in (point, depth, weight, weight)]
        maps = (x, reduced, filtered, _last(gradient))
        weights = (point, depth, weight)
        _call("fused_lite_backward", channels, *maps, count, height, width, *weights, kept, spare, dx, *found)
        return dx, *found, None


class _GatedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: nn.Module, *inputs: Tensor) -> Tensor:
        known = len(list(gate.parameters()))
        streams = [_last(x) for x in inputs[known:]]
        count, channels, height, width = streams[0].shape
        pixels = ctypes.c_int64(height * width)
        means = torch.empty(len(streams), count, channels)
        for stream, mean in zip(streams, means, strict=True):
            _call("fused_image_means", channels, stream, count, pixels, mean)
        with torch.enable_grad():
            leaf = means.view(-1, channels, 1, 1).requires_grad_()
            gates = gate(leaf).float()
        spread = gates.detach().expand(-1, channels, 1, 1).contiguous().view(len(streams), count, channels)
        y = torch.empty_like(streams[0])
        places = (ctypes.c_void_p * len(streams))(*(stream.data_ptr() for stream in streams))
        _call("fused_gated_sum", channels, len(streams), places, spread, count, pixels, y)
        ctx.save_for_backward(spread, *streams)
        ctx.gate = leaf, gates, list(gate.parameters())
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        spread, *streams = ctx.saved_tensors
        leaf, gates, parameters = ctx.gate
        gradient = _last(gradient)
        count, channels, height, width = gradient.shape
        pixels = ctypes.c_int64(height * width)
        d_gates = torch.empty_like(spread)
        for stream, found in zip(streams, d_gates, strict=True):
            _call("fused_gate_gradients", channels, stream, gradient, count, pixels, found)
        wanted = d_gates.view(-1, channels, 1, 1)
        if gates.shape[1] == 1:
            wanted = wanted.sum(dim=1, keepdim=True)
        d_means, *d_parameters = torch.autograd.grad(gates, [leaf, *parameters], wanted)
        d_streams = [torch.empty_like(stream) for stream in streams]
        d_means = d_means.view_as(spread)
        for found, gate, mean in zip(d_streams, spread, d_means, strict=True):
            _call("fused_stream_gradients", channels, gradient, gate, mean, count, pixels, found)
        return None, *d_parameters, *d_streams
