"""The command line: one thin file per command, each over a function that can be imported."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Entry point of the ``reidpipe`` command."""
    from reidpipe.cli.app import app

    app()
