"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import disks

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage and weights that may not be committed: beside the checkout, on the project's own machines only."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the footage and weights of ../shared/data, which are not part of the project")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of 256 kB, or of the size that the test gives as parameter; needs the right to mount one."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(disks.small_disk(tmp_path / "disk", getattr(request, "param", "256k")))
        except OSError as error:
            pytest.skip(str(error))
        yield disk
