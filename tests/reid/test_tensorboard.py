from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reidpipe.errors import MissingExtraError

pytest.importorskip("torch")

from reidpipe.reid.tensorboard import TensorboardLog


def test_tensorboard_writes_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log = TensorboardLog(tmp_path)
    log({"images": 100, "softmax": 1.5, "note": "text"})
    log.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["softmax"]
    assert [(event.step, event.value) for event in events.Scalars("softmax")] == [(100, 1.5)]


def test_tensorboard_absent_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match="tensorboard"):
        TensorboardLog(tmp_path)
