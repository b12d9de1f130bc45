"""Whether torch can use a device here, told in one line."""

from __future__ import annotations

import torch

from reidpipe.errors import ConfigError


def check_device(name: str) -> str:
    """Return `name` where torch can compute on it.

    Raises:
        ConfigError: No such device, or this installation of torch cannot use it.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"torch cannot use the device '{name}' here ({reason}): use cpu") from error
    return name
