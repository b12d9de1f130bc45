"""The compiled training kernels against PyTorch's own layers in float32."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from reidpipe.reid import fused  # noqa: E402
from reidpipe.reid.blocks import ChannelGate, ConvNorm, LiteConv, OSBlock  # noqa: E402
from reidpipe.reid.compiled import fused_kernels  # noqa: E402
from reidpipe.reid.models import build_osnet  # noqa: E402
from reidpipe.reid.spec import NormPlace, OSNetSpec  # noqa: E402

Pool = nn.AvgPool2d | nn.MaxPool2d
WIDTHS = [16, 24, 32, 20, 64]


@pytest.fixture
def compiled() -> None:
    if fused_kernels()[0] is None:
        pytest.skip(fused_kernels()[1])


needs_compiler = pytest.mark.usefixtures("compiled")


@pytest.fixture
def no_memory() -> Iterator[None]:
    """The kernels are looked for anew, in the test and after it."""
    fused_kernels.cache_clear()
    yield
    fused_kernels.cache_clear()


def maps(channels: int, *, count: int = 5, height: int = 12, width: int = 7, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    found: Tensor = torch.randn(count, channels, height, width, generator=generator) * 2 + 0.7
    # values that bfloat16 holds exactly: what differs then is the computing, not the input
    return found.to(torch.bfloat16).float().contiguous(memory_format=torch.channels_last)


def randomise(layer: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for value in layer.parameters():
        nn.init.normal_(value, 0.2 if value.dim() == 1 else 0.0, 0.5)
    return layer.train()


def errors(layer: nn.Module, run: Callable[[nn.Module, list[Tensor]], Tensor], inputs: list[Tensor]) -> Tensor:
    """How far output, gradients and running statistics are from float32, `(P, 2)`: of PyTorch in bfloat16, of ours."""
    found = []
    for mine, autocast in ((False, False), (False, True), (True, True)):
        one = copy.deepcopy(layer)
        if mine:
            fused.use_fused(one)
        leaves = [x.clone().requires_grad_() for x in inputs]
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = run(one, leaves)
        assert not mine or y.dtype == torch.bfloat16
        weights = torch.linspace(-1, 1, y.numel()).view_as(y).cos()
        (y.float() * weights).sum().backward()
        learned = [p.grad for p in one.parameters() if p.requires_grad]
        values = [y.detach().float(), *(x.grad for x in leaves), *learned]
        found.append([*values, *(b.float() for b in one.buffers())])
    rows = []
    for exact, theirs, ours in zip(*found, strict=True):
        size = exact.square().mean().sqrt().clamp_min(1e-3)
        rows.append(torch.stack([(exact - one).square().mean().sqrt() / size for one in (theirs, ours)]))
    table: Tensor = torch.stack(rows)
    return table


def compare(layer: nn.Module, run: Callable[[nn.Module, list[Tensor]], Tensor], inputs: list[Tensor]) -> None:
    """Everything is as near to float32 as PyTorch in bfloat16 comes."""
    theirs, ours = errors(layer, run, inputs).T
    assert bool((ours <= 1.2 * theirs + 0.005).all()), (theirs, ours)


def apply(layer: nn.Module, inputs: list[Tensor]) -> Tensor:
    found: Tensor = layer(inputs[0])
    return found


class NormSilu(nn.Module):
    fused = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return fused.norm_act(x, self.norm, "silu") if self.fused else F.silu(cast(Tensor, self.norm(x)))


@needs_compiler
@pytest.mark.parametrize("channels", WIDTHS)
def test_fused_lite_convolution_is_pytorchs(channels: int) -> None:
    compare(randomise(LiteConv(channels)), apply, [maps(channels, count=24)])


@needs_compiler
@pytest.mark.parametrize(("height", "width"), [(1, 3), (5, 1), (3, 3), (7, 8)])
def test_fused_lite_convolution_takes_any_size(height: int, width: int) -> None:
    compare(randomise(LiteConv(24)), apply, [maps(24, count=61, height=height, width=width)])


@needs_compiler
@pytest.mark.parametrize("spec", [{}, {"fusion": "stream"}, {"streams": 1}, {"layout": "ain", "streams": 3}])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 64), (24, 80), (32, 96)])
def test_fused_streams_of_a_block_are_pytorchs(spec: dict[str, Any], inputs: int, outputs: int) -> None:
    def run(block: nn.Module, maps: list[Tensor]) -> Tensor:
        found: Tensor = block(maps[0])
        return found

    drawn = []
    for seed in range(6):
        torch.manual_seed(seed)
        block = OSBlock(inputs, outputs, spec=OSNetSpec.model_validate(spec), norm="none")
        drawn.append(errors(block.train(), run, [maps(inputs, count=24, seed=seed)]))
    theirs, ours = torch.stack(drawn).mean(dim=0).T
    # One hidden unit of a gate is on or off: rounding can turn it, in theirs as in ours. Alone, gates are held tightly.
    names = ["output", "input", *(n for n, _ in block.named_parameters()), *(n for n, _ in block.named_buffers())]
    slack = torch.tensor([0.4 if name.startswith("gate.") else 0.005 for name in names])
    assert bool((ours <= 1.2 * theirs + slack).all()), (names, theirs, ours)


@needs_compiler
@pytest.mark.parametrize("pool", [nn.AvgPool2d(2, stride=2), nn.MaxPool2d(3, stride=2, padding=1)])
@pytest.mark.parametrize("channels", [16, 20, 64])
@pytest.mark.parametrize(("height", "width"), [(12, 8), (7, 5)])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_fused_norm_and_pool_are_pytorchs(pool: Pool, channels: int, height: int, width: int, norm: str) -> None:
    def run(layer: nn.Module, inputs: list[Tensor]) -> Tensor:
        return cast(ConvNorm, layer).pooled(inputs[0], pool)

    layer = randomise(ConvNorm(8, channels, norm=norm))
    compare(layer, run, [maps(8, count=24, height=height, width=width)])


@needs_compiler
@pytest.mark.parametrize("norm", ["none", "inside"])
@pytest.mark.parametrize("channels", WIDTHS)
@pytest.mark.parametrize("width", [7, 8])
def test_fused_residual_sum_is_pytorchs(channels: int, norm: NormPlace, width: int) -> None:
    """The end of a block, with a norm in the shortcut and without."""

    def run(block: nn.Module, both: list[Tensor]) -> Tensor:
        assert isinstance(block, OSBlock)
        if block.fused:
            return block._fused_sum(both[0], block.conv3.conv(both[1]))
        shortcut = both[0] if block.downsample is None else block.downsample(both[0])
        residual = block.conv3(both[1])
        return F.relu((residual if block.IN is None else block.IN(residual)) + shortcut)

    for inputs in (channels * 4, 16):
        block = OSBlock(inputs, channels * 4, spec=OSNetSpec(), norm=norm)
        own = [value for part in (block.conv3, block.IN, block.downsample) if part for value in part.parameters()]
        block = cast(OSBlock, randomise(block))
        for value in block.parameters():
            value.requires_grad_(any(value is one for one in own))
        compare(block, run, [maps(inputs, count=33, width=width), maps(channels, count=33, width=width, seed=1)])


@needs_compiler
@pytest.mark.parametrize("channels", WIDTHS)
@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_fused_norm_is_pytorchs(channels: int, linear: bool, norm: str) -> None:
    compare(randomise(ConvNorm(8, channels, linear=linear, norm=norm)), apply, [maps(8)])


@needs_compiler
@pytest.mark.parametrize("channels", [*WIDTHS, 48, 144])
def test_fused_norm_and_silu_are_pytorchs(channels: int) -> None:
    layer = NormSilu(channels)
    nn.init.normal_(layer.norm.bias)
    layer.norm.weight.data = torch.linspace(0.1, 60.0, channels)  # as far as where exp(-z) leaves float32
    compare(layer, apply, [maps(channels)])


@needs_compiler
@pytest.mark.parametrize("outputs", [None, 1])
@pytest.mark.parametrize("channels", WIDTHS)
def test_fused_gates_are_pytorchs(channels: int, outputs: int | None) -> None:
    def run(gate: nn.Module, streams: list[Tensor]) -> Tensor:
        if gate.fused:
            return fused.gated_sum(streams, cast(ChannelGate, gate).weights)
        summed: Tensor = torch.stack([gate(x) * x for x in streams]).sum(dim=0)
        return summed

    gate = randomise(ChannelGate(channels, outputs=outputs or channels))
    compare(gate, run, [maps(channels, seed=seed) for seed in range(3)])


@needs_compiler
def test_fused_map_of_another_layout_is_taken() -> None:
    layer = randomise(LiteConv(16))
    fused.use_fused(layer)
    x = maps(16)
    with torch.autocast("cpu", torch.bfloat16):
        last, first = layer(x), layer(x.contiguous())
    assert torch.equal(last, first)


@needs_compiler
@pytest.mark.parametrize("name", ["osnet_x0_25", "osnet_ain_x0_25"])
def test_fused_network_learns_as_pytorchs(name: str) -> None:
    torch.manual_seed(0)
    start = build_osnet(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, wanted = torch.randn(24, 3, 64, 32), torch.nn.functional.normalize(torch.randn(24, 512))
    ends = []
    for mine in (False, True):
        model = copy.deepcopy(start).train()
        if mine:
            fused.use_fused(model)
        optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for _ in range(12):
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                found = model(images)
            loss = 1 - torch.nn.functional.cosine_similarity(found.float(), wanted).mean()
            loss.backward()
            optimiser.step()
        ends.append(loss.item())
    assert ends[0] < 0.93
    assert ends[1] == pytest.approx(ends[0], abs=0.03)


@needs_compiler
def test_fused_layers_compute_as_ever_outside_training() -> None:
    model = build_osnet("osnet_x0_25")
    fused.use_fused(model)
    plain = copy.deepcopy(model)
    for layer in plain.modules():
        if hasattr(type(layer), "fused"):
            layer.fused = False  # type: ignore[assignment]
    x = torch.randn(2, 3, 64, 32)
    with torch.inference_mode():
        assert torch.equal(model.eval()(x), plain.eval()(x))
    assert torch.equal(model.train()(x), plain.train()(x))  # float32: PyTorch's layers


@needs_compiler
def test_fused_kernels_leave_subnormal_numbers_alone() -> None:
    """In a process of its own: loading a library that was linked with -ffast-math is what would break them."""
    code = "from reidpipe.reid.compiled import fused_kernels; fused_kernels(); x = float('1e-310'); print(x / 2 > 0)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


def test_no_compiler_is_said_and_plain_layers_train(no_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    layer = LiteConv(16)
    assert "no C++ compiler" in fused.use_fused(layer)
    assert not layer.fused


def test_failing_compiler_is_quoted(no_memory: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "fused.cpp: unknown flag" >&2\nexit 1\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library, words = fused_kernels()
    assert library is None
    assert "unknown flag" in words
    assert "\n" not in words
