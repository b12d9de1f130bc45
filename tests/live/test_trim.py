"""Memory that nobody uses goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
from reidpipe.live.snapshot import resident_bytes
from reidpipe.live.trim import give_back_memory, settle_allocator
if not settle_allocator():
    raise SystemExit(3)
holes, kept = [], []
for _ in range(3000):
    holes.append(bytearray(60_000))
    kept.append(bytearray(600))
full = resident_bytes()
holes.clear()
give_back_memory()
left = resident_bytes()
print(full - left)
"""


def test_trim_gives_back_what_lies_between_what_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert int(done.stdout) > 100_000_000, done.stderr  # of 180 MB
