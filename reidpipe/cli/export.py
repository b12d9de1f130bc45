"""``reidpipe export``: an embedder as ONNX, OpenVINO or TFLite, in fp32 or INT8."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reidpipe.cli.workbench import needs_torch

if TYPE_CHECKING:
    from reidpipe.reid.export import ExportReport

__all__ = ["export_command"]


class ExportPrecision(StrEnum):
    """What a file computes in."""

    fp32 = "fp32"
    int8 = "int8"


def export_command(
    architecture: Annotated[str, typer.Argument(help="Name such as osnet_x0_25, or a spec file.")],
    weights: Annotated[str, typer.Argument(help="State dict (.pth), or the name of a checkpoint of the manifest.")],
    outputs: Annotated[
        list[Path], typer.Argument(help="Files to write: .onnx, .xml (OpenVINO) or .tflite; may be several.")
    ],
    precision: Annotated[
        ExportPrecision, typer.Option(help="fp32, or int8, which needs --calibration.")
    ] = ExportPrecision.fp32,
    calibration: Annotated[
        Path | None, typer.Option(help="Folder with crops of people that the ranges of INT8 are measured on.")
    ] = None,
    images: Annotated[int, typer.Option(min=8, help="Calibration images taken from that folder.")] = 256,
    height: Annotated[int, typer.Option(help="Input height, pixels.")] = 256,
    width: Annotated[int, typer.Option(help="Input width, pixels.")] = 128,
    licence: Annotated[str, typer.Option(help="Licence line for the metadata.")] = "",
) -> None:
    """Write an embedder for other engines; refused when it does not agree with torch at batch 1, 2, 7 and 32."""
    needs_torch()
    from reidpipe.reid.calibration import calibration_images
    from reidpipe.reid.export import export_checkpoint
    from reidpipe.weights import resolve

    checkpoint = resolve(weights, kind="checkpoint").path
    pictures = None
    if calibration is not None:
        pictures = calibration_images(calibration, count=images, height=height, width=width)
    for output in outputs:
        report = export_checkpoint(
            architecture,
            checkpoint,
            output,
            precision=precision.value,
            calibration=pictures,
            height=height,
            width=width,
            licence=licence,
        )
        _print(report)


def _print(report: ExportReport) -> None:
    size = f"{report.size_bytes / 1e6:.2f} MB"
    typer.echo(f"{report.path}: {report.precision}, {size}, {report.dim} numbers, sha256 {report.sha256}")
    typer.echo(f"  against torch: {report.parity}")
    if report.float_blocks:
        typer.echo(f"  stays fp32, so that the rest may be INT8: {', '.join(report.float_blocks)}")
