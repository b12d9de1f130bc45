"""Live cameras for weeks: see ``run_live``."""

from __future__ import annotations

from reidpipe.live.run import run_live

__all__ = ["run_live"]
