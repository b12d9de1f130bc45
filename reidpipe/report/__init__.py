"""One HTML file about a run: who was seen, where and when, and how sure that is."""

from __future__ import annotations

from reidpipe.report.page import build_report

__all__ = ["build_report"]
