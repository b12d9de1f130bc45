"""Disks that are soon full."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["small_disk"]


@contextmanager
def small_disk(disk: Path, size: str) -> Iterator[Path]:
    """A new folder with a file system of its own, of so many bytes (``256k``, ``6m``).

    Raises:
        OSError: this system has no tmpfs, or the right to mount one is missing.
    """
    if sys.platform != "linux":
        raise OSError("needs Linux to mount a small tmpfs")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        raise OSError("may not mount a small tmpfs (needs root)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)
