"""Memory that the C library holds back, given back to the system now and then.

Pictures of many sizes come and go in several threads; glibc keeps the holes between what lives longer, and the process
seems to grow for days although nothing is kept.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["give_back_memory"]


def give_back_memory() -> bool:
    """Return free pages to the system; takes a few milliseconds. False where the C library cannot."""
    trim = _trim()
    if trim is None:
        return False
    trim(0)
    return True


@cache
def _trim() -> Callable[[int], Any] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # musl has no such thing, and does not hold memory back
        return None
    trim.argtypes = [ctypes.c_size_t]
    return trim
