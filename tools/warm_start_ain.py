"""Give OSNet-AIN the filters of a plain OSNet of the same width to start from: both hold the same convolutions.

    python tools/warm_start_ain.py runs/reid/osnet_x0_25/model.pth osnet_ain_x0_25 runs/reid/ain_start.pth

The instance norms are new; each starts with the scale and shift of the batch norm whose place it takes. Name the result
as ``init`` in a recipe.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

from reidpipe.reid.checkpoint import read_state_dict
from reidpipe.reid.models import build_osnet

STREAMS = "abcd"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plain", type=Path)
    parser.add_argument("architecture", help="osnet_ain_x1_0 ... osnet_ain_x0_25")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    state, taken = transplant(read_state_dict(arguments.plain), build_osnet(arguments.architecture).state_dict())
    torch.save(state, arguments.output)
    print(f"{taken} of {len(state)} tensors taken over, {arguments.output}")


def transplant(plain: dict[str, Tensor], target: dict[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """``target`` with every tensor that ``plain`` has under its own name for it, and how many those are."""
    renamed = {ain_name(name): value for name, value in plain.items()}
    out = dict(target)
    taken = 0
    for name, value in target.items():
        # an instance norm takes the place of conv3's batch norm in its block
        found = renamed.get(name, renamed.get(name.replace(".IN.", ".conv3.bn.")))
        if found is not None and found.shape == value.shape:
            out[name] = found
            taken += 1
    return out, taken


def ain_name(name: str) -> str:
    """Torchreid's name of a plain OSNet's tensor, as OSNet-AIN calls it (``conv2b.1`` is ``conv2.1.layers.1``)."""
    name = re.sub(r"\.conv2a\.", ".conv2.0.layers.0.", name)
    return re.sub(r"\.conv2([b-d])\.(\d)\.", lambda m: f".conv2.{STREAMS.index(m[1])}.layers.{m[2]}.", name)


if __name__ == "__main__":
    main()
