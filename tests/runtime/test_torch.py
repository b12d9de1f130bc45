from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime import open_session

torch = pytest.importorskip("torch")

from reidpipe.runtime.torch_ import TorchSession  # noqa: E402


def net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten())


def test_torch_runs_a_module_in_eval_mode_and_leaves_it_alone() -> None:
    module = net().train()
    values = np.random.default_rng(0).random((2, 3, 8, 8), dtype=np.float32)
    found = TorchSession(module, shape=(None, 3, 8, 8)).run(values)[0]
    assert module.training
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_torch_puts_the_thread_count_back() -> None:
    before = torch.get_num_threads()
    TorchSession(net(), threads=1).run(np.zeros((1, 3, 8, 8), np.float32))
    assert torch.get_num_threads() == before


def test_torch_opens_torchscript(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(net().eval(), torch.zeros(1, 3, 8, 8)), str(path))
    session = open_session(path)
    assert session.backend == "torch"
    assert session.run(np.zeros((2, 3, 8, 8), np.float32))[0].shape == (2, 144)


def test_torch_says_that_a_checkpoint_has_no_architecture(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(net().state_dict(), path)
    with pytest.raises(WeightsError, match="reidpipe export"):
        open_session(path)


def test_torch_refuses_garbage(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(b"not a model at all, whatever its name says")
    with pytest.raises(WeightsError, match="not a TorchScript file"):
        open_session(path)


def test_torch_refuses_an_unknown_device() -> None:
    with pytest.raises(ConfigError, match="cannot use the device 'abacus'"):
        TorchSession(net(), device="abacus")
