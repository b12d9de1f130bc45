"""The search net of OSNet-AIN (arXiv 1910.06827, section 4.2): each block chooses where its instance norm goes.

The output of a block is a weighted sum of its four candidates (equation 9). The weights are a Gumbel-softmax over the
logarithm of non-negative architecture parameters (equation 10); with falling temperature they become a choice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from reidpipe.reid.blocks import OSBlock
from reidpipe.reid.models import OSNet
from reidpipe.reid.spec import BLOCK_NAMES, NormPlace, OSNetSpec

CANDIDATES: tuple[NormPlace, ...] = ("none", "inside", "outside", "both")


class ChoiceBlock(nn.Module):
    """A block that may be any of the four candidates.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        spec: Everything but the norm placement.
        save_memory: Compute the candidates again in the backward pass instead of keeping their maps.
    """

    def __init__(self, inputs: int, outputs: int, *, spec: OSNetSpec, save_memory: bool = False) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(OSBlock(inputs, outputs, spec=spec, norm=norm) for norm in CANDIDATES)
        self.architecture = nn.Parameter(1e-3 * torch.randn(len(CANDIDATES)))
        self.temperature = 1.0
        self.save_memory = save_memory

    def weights(self) -> Tensor:
        """Non-negative weight of each candidate, `(4,)`, not random."""
        return F.softplus(self.architecture)

    def forward(self, x: Tensor) -> Tensor:
        """The weighted sum of the candidates, all of them in training; in eval mode the best one alone."""
        if not self.training:
            best: Tensor = self.candidates[int(self.architecture.argmax())](x)
            return best
        uniform = torch.rand_like(self.architecture).clamp(1e-9, 1 - 1e-9)
        gumbel = -torch.log(-torch.log(uniform))
        share = F.softmax((self.weights().log() + gumbel) / self.temperature, dim=0)
        outputs = [weight * self._run(candidate, x) for weight, candidate in zip(share, self.candidates, strict=True)]
        return torch.stack(outputs).sum(dim=0)

    def _run(self, candidate: nn.Module, x: Tensor) -> Tensor:
        out: Tensor = checkpoint(candidate, x, use_reentrant=False) if self.save_memory else candidate(x)
        return out


class SearchNet(OSNet):
    """An OSNet whose six blocks are :class:`ChoiceBlock`; instance norm in the stem, as in the paper.

    Args:
        spec: Width and all that is not searched; its norms are not used.
        save_memory: See :class:`ChoiceBlock`.
    """

    def __init__(self, spec: OSNetSpec, *, save_memory: bool = False) -> None:
        super().__init__(spec.model_copy(update={"stem_norm": "instance", "norms": ("none",) * 6}))
        for name in BLOCK_NAMES:
            stage, index = name.split(".")
            block = self.get_submodule(name)
            inputs, outputs = _channels(block)
            blocks = self.get_submodule(stage)
            if isinstance(blocks, nn.Sequential):
                blocks[int(index)] = ChoiceBlock(inputs, outputs, spec=self.spec, save_memory=save_memory)

    def choices(self) -> list[ChoiceBlock]:
        """The six blocks, in the order of :data:`~reidpipe.reid.spec.BLOCK_NAMES`."""
        return [block for block in self.modules() if isinstance(block, ChoiceBlock)]

    def set_temperature(self, temperature: float) -> None:
        """Set the Gumbel-softmax temperature (lambda in the paper) of all blocks."""
        for block in self.choices():
            block.temperature = temperature

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The parameters that choose, one vector per block."""
        return [block.architecture for block in self.choices()]

    def derive(self) -> OSNetSpec:
        """The child: in each block the candidate with the largest weight."""
        norms = tuple(CANDIDATES[int(block.architecture.argmax())] for block in self.choices())
        return OSNetSpec.model_validate({**self.spec.model_dump(), "norms": norms})


def _channels(block: nn.Module) -> tuple[int, int]:
    first, last = block.get_submodule("conv1.conv"), block.get_submodule("conv3.conv")
    if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Conv2d):
        raise TypeError("an OSNet block starts and ends with a convolution")
    return first.in_channels, last.out_channels
