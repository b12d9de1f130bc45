"""Memory that the C library holds back, given back to the system now and then.

Pictures of many sizes come and go in several threads; glibc keeps the holes between what lives longer, and the process
seems to grow for days although nothing is kept.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["give_back_memory", "settle_allocator"]

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of malloc.h
_LARGE = 4 << 20


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


def settle_allocator() -> bool:
    """Fewer holes from the start: two pools for all threads, and large blocks never from them.

    For the process as a whole, so for programs and not for libraries; what ``MALLOC_ARENA_MAX`` says is left as it is.
    False where the C library cannot.
    """
    if _trim() is None:
        return False
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    pools = 1 if "MALLOC_ARENA_MAX" in os.environ else mallopt(_ARENA_MAX, 2)
    # Left alone, glibc takes larger and larger blocks from its pools once a few of them were given back.
    return bool(pools and mallopt(_MMAP_THRESHOLD, _LARGE))
