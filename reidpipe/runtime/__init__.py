"""One small session over onnxruntime, OpenVINO and torch: arrays in, arrays out."""

from __future__ import annotations

from reidpipe.runtime.pixels import Normalize, picture
from reidpipe.runtime.session import BACKENDS, Session, TensorSpec, open_session

__all__ = ["BACKENDS", "Normalize", "Session", "TensorSpec", "open_session", "picture"]
