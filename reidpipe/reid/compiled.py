"""The library of `kernels/`, compiled for this machine's processor on first use and kept in the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).with_name("kernels")
# Parts of -ffast-math by name: the whole, given to a linker, makes a library that switches off subnormal numbers.
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fopenmp-simd", "-fassociative-math", "-freciprocal-math"),
    *("-fno-math-errno", "-fno-signed-zeros", "-fno-trapping-math", "-Wno-psabi", "-shared", "-fPIC"),
)
COMPILE_S = 300.0
# M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD (32 MiB is the most), M_ARENA_MAX (others give back all the same)
MALLOC = {-1: 1 << 30, -2: 1 << 26, -3: 1 << 25, -8: 1}


@cache
def fused_kernels() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernels, and one line that says where they are or why there are none."""
    compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
    if compiler is None:
        return None, "no C++ compiler (c++, g++ or clang++) is on the PATH"
    try:
        file = _compile(compiler)
        library = ctypes.CDLL(str(file))
        _keep_memory()
        return library, str(file)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return None, f"{compiler} failed: {' '.join(said.split())[:200]}"


def _compile(compiler: str) -> Path:
    """The library for this machine's processor, from the cache where it is there."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=COMPILE_S, check=True)
    sources = [file.read_text() for file in sorted(SOURCES.glob("*.[ch]*"))]
    key = "\n".join((*sources, *FLAGS, version.stdout, platform.machine(), _processor()))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = base / "reidpipe" / "kernels" / f"fused-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.so")
        command = [compiler, *FLAGS, "-o", str(unfinished), str(SOURCES / "fused.cpp")]
        subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=True)
        unfinished.replace(file)
    return file


def _keep_memory() -> None:
    """Let this process keep the memory that a step frees: asking for the same pages anew was a twelfth of a step.

    By `mallopt` of glibc; another C library does as it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        for setting, value in MALLOC.items():
            mallopt(setting, value)


def _processor() -> str:
    """What `-march=native` depends on: a home folder may be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
