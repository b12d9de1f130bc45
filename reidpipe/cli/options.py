"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reidpipe.errors import ConfigError

__all__ = [
    "EXIT_INTERRUPTED",
    "Backend",
    "ConfigFile",
    "Detector",
    "Duration",
    "Embedder",
    "Quiet",
    "RunFolder",
    "Settings",
    "Start",
    "Threads",
    "Trace",
    "days",
    "given",
]

EXIT_INTERRUPTED = 130
"""After Ctrl-C or SIGTERM, as shells count it."""

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="One setting, for instance track.max_age_s=2; may be repeated.")
]
Detector = Annotated[str | None, typer.Option(help="Name of a shipped detector, or a path (.onnx, .xml, .pt).")]
Embedder = Annotated[str | None, typer.Option(help="Name of a shipped embedder, or a path (.onnx, .xml).")]
Backend = Annotated[str | None, typer.Option(help="auto, onnxruntime, openvino, tflite or torch.")]
Threads = Annotated[int | None, typer.Option(help="Threads of one inference; default: the number of cores.")]
Start = Annotated[float | None, typer.Option(help="Seconds to skip at the start of every file.")]
Duration = Annotated[float | None, typer.Option(help="Seconds to read of every file.")]
Trace = Annotated[float | None, typer.Option(help="Draw where people came from, for so many seconds.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder that reidpipe run wrote.")]


def days(text: str) -> float:
    """An age such as ``30d``, ``12h``, ``2w`` or ``30`` (days) in days.

    Raises:
        ConfigError: it is no age.
    """
    units = {"h": 1 / 24, "d": 1.0, "w": 7.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"an age is a number of days, or with a unit: 30d, 12h, 2w; got {text!r}")
    return value


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as settings: those that are None keep the value of the config."""
    return {key: value for key, value in options.items() if value is not None}
