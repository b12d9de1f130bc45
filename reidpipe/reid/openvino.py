"""OpenVINO IR from an exported ONNX file, fp32 or with INT8 inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reidpipe.errors import MissingExtraError


def write_openvino(source: Path, output: Path, facts: Mapping[str, str]) -> None:
    """Write the IR (`.xml`, and `.bin` beside it) of an ONNX file, with all its digits.

    Args:
        source: The ONNX file; what is quantised in it (QDQ) is run in INT8 by OpenVINO as well.
        output: The `.xml` file to write.
        facts: For the entry `reidpipe` of its runtime information.

    Raises:
        MissingExtraError: openvino is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingExtraError("openvino", extra="openvino", why="export to OpenVINO") from error
    model = openvino.convert_model(str(source))
    for key, value in facts.items():
        model.set_rt_info(value, ["reidpipe", key])
    openvino.save_model(model, str(output), compress_to_fp16=False)
