"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["Backend", "ConfigFile", "Detector", "Duration", "Embedder", "Settings", "Start", "Threads", "given"]

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="One setting, for instance track.max_age_s=2; may be repeated.")
]
Detector = Annotated[str | None, typer.Option(help="Name of a shipped detector, or a path (.onnx, .xml, .pt).")]
Embedder = Annotated[str | None, typer.Option(help="Name of a shipped embedder, or a path (.onnx, .xml).")]
Backend = Annotated[str | None, typer.Option(help="auto, onnxruntime, openvino or torch.")]
Threads = Annotated[int | None, typer.Option(help="Threads of one inference; default: the number of cores.")]
Start = Annotated[float | None, typer.Option(help="Seconds to skip at the start of every file.")]
Duration = Annotated[float | None, typer.Option(help="Seconds to read of every file.")]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as settings: those that are None keep the value of the config."""
    return {key: value for key, value in options.items() if value is not None}
