"""Data parallelism inside one process: copies of the model that share their parameters, one thread each.

OSNet's small maps make every operation short. Two threads inside an operation wait for each other at its end, which on
a busy CPU costs more than the work itself (4.0 against 2.1 ms of CPU per image at 96x48, two loaded cores). Copies that
each run a part of the batch meet twice per step instead. Batch norm sees that part of the batch; its running statistics
are averaged over the copies after each step.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from reidpipe.reid.mixstyle import MixStyle


class Replicas:
    """Runs forward and backward of one batch on `count` threads.

    Args:
        model: The model; its parameters receive the gradients.
        count: Threads; 1 runs in the calling thread alone.
        autocast: bfloat16 autocast in the forward pass.
        device: Type of the device, for autocast.
    """

    def __init__(self, model: nn.Module, *, count: int, autocast: bool, device: str = "cpu") -> None:
        self._models = [model]
        for _ in range(count - 1):
            self._models.append(_sharing_copy(model))
        self._autocast, self._device = autocast, device
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="reid-replica")
        self._outputs: list[Tensor] = []

    @torch.no_grad()
    def share_buffers(self) -> None:
        """Give the model's buffers to the copies: needed after a state dict was loaded into the model."""
        main, *others = self._models
        for other in others:
            for mine, theirs in zip(main.buffers(), other.buffers(), strict=True):
                theirs.copy_(mine)

    def start_step(self, seed: int, step: int) -> None:
        """Tell every random layer which step comes, each copy with another seed."""
        for number, model in enumerate(self._models):
            for layer in model.modules():
                if isinstance(layer, MixStyle):
                    layer.start_step(seed * 1000 + number, step)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings `(B, D)`, float32, a leaf that collects the loss's gradient; every n-th image goes to one copy."""
        count = len(self._models)
        parts = [images[start::count].contiguous(memory_format=torch.channels_last) for start in range(count)]
        self._outputs = list(self._pool.map(self._forward_one, self._models, parts))
        joined = torch.empty(len(images), self._outputs[0].shape[1], device=images.device)
        for start, output in enumerate(self._outputs):
            joined[start::count] = output.detach()
        return joined.requires_grad_()

    def backward(self, gradient: Tensor) -> None:
        """Send the gradient of :meth:`forward`'s result `(B, D)` through the copies and add it up in the model."""
        count = len(self._models)
        parts = [gradient[start::count] for start in range(count)]
        list(self._pool.map(torch.Tensor.backward, self._outputs, parts))
        self._outputs = []
        self._join()

    @torch.no_grad()
    def _join(self) -> None:
        main, *others = self._models
        for other in others:
            for mine, theirs in zip(main.parameters(), other.parameters(), strict=True):
                if theirs.grad is not None:
                    mine.grad = theirs.grad if mine.grad is None else mine.grad.add_(theirs.grad)
                    theirs.grad = None
        for buffers in zip(*(model.buffers() for model in self._models), strict=True):
            if others and buffers[0].is_floating_point():
                mean = torch.stack(buffers).mean(dim=0)
                for buffer in buffers:
                    buffer.copy_(mean)

    def _forward_one(self, model: nn.Module, images: Tensor) -> Tensor:
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._autocast):
            output: Tensor = model(images)
        return output.float()


def _sharing_copy(model: nn.Module) -> nn.Module:
    """A copy with its own buffers and gradients whose parameters lie in the same memory."""
    other = copy.deepcopy(model).train()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        theirs.data = mine.data
    return other
