"""``reidpipe bench``: where the time goes."""

from __future__ import annotations

__all__ = ["bench_command"]


def bench_command() -> None:
    """Measure each stage."""
