"""A real RTSP server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.live.server import RtspServer, why_not

Serve = Callable[[dict[str, dict[str, Any]]], RtspServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve({"/a": {"launch": pattern()}})``: a running server, killed after the test."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with ExitStack() as stack:
        yield lambda mounts: stack.enter_context(RtspServer(mounts))
