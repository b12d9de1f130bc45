"""Options of ``reidpipe run`` that become settings."""

from __future__ import annotations

import pytest

from reidpipe.cli.run import _clocks
from reidpipe.config import Config
from reidpipe.errors import ConfigError


def test_offset_option_becomes_a_setting() -> None:
    values = _clocks(["cam2=1.8s", "hall=left=-0.5"])
    assert values == {"associate.offsets": {"cam2": 1.8, "hall=left": -0.5}}
    assert Config.load(values=values).associate.offsets == {"cam2": 1.8, "hall=left": -0.5}
    assert _clocks([]) == {}


@pytest.mark.parametrize("text", ["cam2", "cam2=", "=1.8", "cam2=soon"])
def test_offset_option_says_what_it_takes(text: str) -> None:
    with pytest.raises(ConfigError, match="CAMERA=SECONDS"):
        _clocks([text])
