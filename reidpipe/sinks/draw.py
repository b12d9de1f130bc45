"""Draws who is who into a picture, through supervision: box, label, trace; one colour for each global id."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.sinks.palette import UNKNOWN_COLOUR, identity_colours
from reidpipe.types import NOT_KNOWN, Boxes, FrameResult, Ids, Image, Tracks

__all__ = ["Annotator", "Style"]

_COLOURS = 60
_FONT = 0  # cv2.FONT_HERSHEY_SIMPLEX, the one supervision writes with


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in pixels that suit a picture: labels read the same at 360p and at 4K on one screen.

    Attributes:
        line: thickness of boxes and traces.
        text_scale: of OpenCV's font; 1.0 is about 22 pixels high.
        text_line: thickness of letters.
        padding: around a label.
    """

    line: int
    text_scale: float
    text_line: int
    padding: int

    @classmethod
    def for_height(cls, height: int) -> Style:
        """Sizes for a picture of this height, pixels."""
        text_scale = max(0.4, height / 1200)
        return cls(
            line=max(2, round(height / 270)),
            text_scale=text_scale,
            text_line=max(1, round(1.6 * text_scale)),
            padding=max(2, round(5 * text_scale)),
        )


class Annotator:
    """Draws the results of one camera. Keeps the trace, so every camera needs its own.

    Args:
        trace_s: length of the trace that people draw behind them, seconds; 0: none.
        fps: pictures per second, for the length of the trace.
        track_ids: label people without global id by their track (grey); else by ``?``.
        names: global id -> name, for those who have one; letters that OpenCV's font lacks are left out.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self,
        *,
        trace_s: float = 0.0,
        fps: float = 25.0,
        track_ids: bool = False,
        names: Mapping[int, str] | None = None,
    ) -> None:
        if trace_s < 0 or fps <= 0:
            raise ConfigError(f"trace_s must be 0 or more and fps more than 0, got {trace_s} and {fps}")
        self._track_ids = track_ids
        self._names = {global_id: _drawable(name) for global_id, name in (names or {}).items()}
        self._trace_length = round(trace_s * fps)
        self._height = 0
        self._tools: _Tools | None = None

    def annotate(self, result: FrameResult) -> Image:
        """The picture with its people drawn in, a copy: uint8 ``(H, W, 3)`` BGR.

        Args:
            result: with pixels. Colour and label come from ``global_ids``.
        """
        scene = result.frame.image.copy()
        if scene.size == 0:
            return scene
        height, width = scene.shape[:2]
        if self._tools is None or height != self._height:
            self._tools = _Tools(Style.for_height(height), self._trace_length)
            self._height = height
        # Who stands lower is nearer, and is drawn last.
        order = np.argsort(result.tracks.boxes[:, 3], kind="stable")
        tracks, global_ids = result.tracks[order], result.global_ids[order]
        labels = [self._label(*ids) for ids in zip(global_ids.tolist(), tracks.track_ids.tolist(), strict=True)]
        self._tools.draw(scene, tracks, global_ids, labels, width)
        return scene

    def _label(self, global_id: int, track_id: int) -> str:
        if global_id != NOT_KNOWN:
            return self._names.get(global_id) or str(global_id)
        return f"t{track_id}" if self._track_ids else "?"


class _Tools:
    """supervision's annotators, made for one picture height."""

    def __init__(self, style: Style, trace_length: int) -> None:
        import supervision as sv

        colours = [UNKNOWN_COLOUR, *identity_colours(_COLOURS)]
        palette = sv.ColorPalette([sv.Color(*rgb) for rgb in colours])
        ink = sv.ColorPalette([sv.Color(0, 0, 0) if _is_light(rgb) else sv.Color(255, 255, 255) for rgb in colours])
        self._style = style
        self._box = sv.BoxAnnotator(color=palette, thickness=style.line)
        self._text = sv.LabelAnnotator(
            color=palette,
            text_color=ink,
            text_scale=style.text_scale,
            text_thickness=style.text_line,
            text_padding=style.padding,
        )
        self._trace: Any = None
        if trace_length > 1:
            feet = sv.Position.BOTTOM_CENTER
            self._trace = sv.TraceAnnotator(
                color=palette, position=feet, trace_length=trace_length, thickness=style.line
            )

    def draw(self, scene: Image, tracks: Tracks, global_ids: Ids, labels: list[str], width: int) -> None:
        """Draw into ``scene``."""
        colours = _colour_index(global_ids)
        people = tracks.to_supervision()
        if self._trace is not None:
            self._trace.annotate(scene, people, custom_color_lookup=colours)
        self._box.annotate(scene, people, custom_color_lookup=colours)
        if labels:
            people.xyxy = self._label_anchors(tracks.boxes, labels, width)
            self._text.annotate(scene, people, labels=labels, custom_color_lookup=colours)

    def _label_anchors(self, boxes: Boxes, labels: list[str], width: int) -> Boxes:
        """Boxes whose upper left corner is moved so that the label above it stays in the picture."""
        import cv2

        sizes = [cv2.getTextSize(text, _FONT, self._style.text_scale, self._style.text_line)[0] for text in labels]
        wide, high = np.array(sizes, np.float32).T + 2 * self._style.padding
        anchors = boxes.copy()
        anchors[:, 0] = np.clip(boxes[:, 0], 0, np.maximum(width - wide, 0))
        anchors[:, 1] = np.maximum(boxes[:, 1], high)
        return anchors


def _drawable(name: str) -> str:
    """What OpenCV's font has of a name: letters without their accents; at most 24 of them."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()[:24]


def _colour_index(global_ids: Ids) -> Ids:
    """Index into the palette: 0 for unknown, then the identities in turn."""
    return np.where(global_ids == NOT_KNOWN, 0, 1 + (global_ids - 1) % _COLOURS)


def _is_light(rgb: tuple[int, int, int]) -> bool:
    """True where black letters read better than white ones (luma of ITU-R BT.601)."""
    red, green, blue = rgb
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140
