"""Keep a library from leaving its own signal stack behind.

OpenVINO's CPU plugin gives the calling thread an alternate signal stack (sigaltstack(2)) and frees that memory together
with the plugin, but the thread keeps the address: the next Ctrl-C then ends the process with a segmentation fault
(seen with OpenVINO 2026.4 after a model was compiled and dropped).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["same_signal_stack"]


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def same_signal_stack() -> Iterator[None]:
    """After the block this thread has the signal stack that it had before. Does nothing but on Linux."""
    if not sys.platform.startswith("linux"):
        yield
        return
    libc = ctypes.CDLL(None)
    before = _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
