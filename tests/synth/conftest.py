"""Small worlds, built once."""

from __future__ import annotations

import pytest

from reidpipe.synth import World

SIZE = (240, 136)


@pytest.fixture(scope="session")
def world() -> World:
    """Two cameras with views that overlap in part, six people."""
    return World.make(5, people=6, cameras=2, layout="mixed", duration_s=12.0, fps=10.0, size=SIZE, obstacles=3)
