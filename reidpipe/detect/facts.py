"""What has to be known about a detector's net before the first picture: gathered once, from the model itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.detect.heads import HEADS, class_count, tell_head, tell_one_per_cell
from reidpipe.errors import ConfigError, WeightsError
from reidpipe.runtime import Normalize, Session
from reidpipe.types import Ids

__all__ = ["NetFacts", "find_classes", "read_facts"]

PERSON_NAMES = ("person", "pedestrian", "people", "human")
"""What data sets call a person; the first one that a net knows is meant by ``person``."""

_COCO_CLASSES = 80
_DEFAULT_SIDE = 640
_STRIDE = 32
_RAW_HEADS = frozenset({"yolox", "yolox-px"})  # trained on BGR 0..255
_GREY = 114


@dataclass(frozen=True, slots=True)
class NetFacts:
    """A detector's net, understood.

    Attributes:
        head: format of the output, a key of ``heads.HEADS``.
        output: which of the net's outputs holds the boxes.
        wanted: int64 ``(K,)``, numbers of the classes to look for.
        names: number -> name of the net's classes, empty when it does not say.
        batch: fixed size of the batch, None when free.
        height: fixed height of the input, None when free.
        width: fixed width of the input, None when free.
        side: longer side to use where the input is free, pixels.
        stride: free sides are multiples of this, pixels.
        normalize: how pixels become the input.
    """

    head: str
    output: int
    wanted: Ids
    names: Mapping[int, str]
    batch: int | None
    height: int | None
    width: int | None
    side: int
    stride: int
    normalize: Normalize

    def input_for(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the input for a picture of this size."""
        if self.height and self.width:
            return self.height, self.width
        if self.height or self.width:
            return self.height or self.side, self.width or self.side
        ratio = self.side / max(height, width)
        fitted = [max(1, -(-round(length * ratio) // self.stride)) * self.stride for length in (height, width)]
        return fitted[0], fitted[1]


def read_facts(
    session: Session,
    *,
    path: Path,
    given: Mapping[str, Any],
    input_size: int | tuple[int, int] | None,
    classes: Sequence[str | int],
) -> NetFacts:
    """Look at a net's shapes, facts and, where these leave doubt, at what it says about a grey picture.

    Args:
        session: the loaded net.
        path: its file, for messages.
        given: what the manifest or the caller knows: ``head``, ``color_order``, ``scale``, ``names``, ``input_size``.
        input_size: see ``YoloDetector``.
        classes: the same.

    Raises:
        WeightsError: the net is no detector.
        ConfigError: ``input_size`` or ``classes`` do not fit it.
    """
    known = _from_metadata(session.metadata) | dict(given)
    batch, height, width = _input_shape(session, path)
    stride = _stride(known)
    height, width, side = _sizes(height, width, input_size, known, stride)
    names = _names(known.get("names"))
    probe = _Probe(session, (batch or 1, 3, height or side, width or side))
    head, output = _head(probe, path, names, known)
    count = class_count(head, probe.shape(output)) or len(names) or None
    color_order, scale = ("bgr", 1.0) if head in _RAW_HEADS else ("rgb", 1 / 255)
    return NetFacts(
        head=head,
        output=output,
        wanted=find_classes(classes, names, count),
        names=names,
        batch=batch,
        height=height,
        width=width,
        side=side,
        stride=stride,
        normalize=Normalize(str(known.get("color_order", color_order)).lower(), float(known.get("scale", scale))),
    )


def _from_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The facts that matter. Exporters give ``head`` and ``scale`` other meanings: they count only beside our own."""
    facts = {key: metadata[key] for key in ("names", "imgsz", "input_size", "stride", "end2end") if key in metadata}
    if "color_order" in metadata:
        facts |= {key: metadata[key] for key in ("color_order", "scale", "head") if key in metadata}
    return facts


class _Probe:
    """Shapes of the outputs: from the file where it tells them, else from one run on grey, once at most."""

    def __init__(self, session: Session, shape: tuple[int, int, int, int]) -> None:
        self.session = session
        self.height, self.width = shape[2:]
        self._input = shape
        self._outputs: list[np.ndarray[Any, Any]] | None = None

    def values(self, output: int) -> np.ndarray[Any, Any]:
        if self._outputs is None:
            grey = np.full(self._input, _GREY / 255, self.session.inputs[0].dtype)
            self._outputs = self.session.run(grey)
        return self._outputs[output]

    def shape(self, output: int) -> tuple[int, ...]:
        shape = self.session.outputs[output].shape
        known = tuple(size for size in shape[1:] if size is not None)
        if shape and len(known) == len(shape) - 1:
            return (shape[0] or 1, *known)
        return tuple(self.values(output).shape)


def _input_shape(session: Session, path: Path) -> tuple[int | None, int | None, int | None]:
    shape = session.inputs[0].shape
    floating = session.inputs[0].dtype in (np.dtype(np.float32), np.dtype(np.float16))
    if len(session.inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None) or not floating:
        raise WeightsError(
            f"{path}: no YOLO detector: it takes {_describe(session.inputs)}, not one (batch, 3, height, width)"
        )
    return shape[0], shape[2], shape[3]


def _sizes(
    height: int | None, width: int | None, asked: int | tuple[int, int] | None, known: Mapping[str, Any], stride: int
) -> tuple[int | None, int | None, int]:
    """Fixed height and width (None when free) and the longer side to use."""
    side = max(height or 0, width or 0) or _known_side(known)
    if asked is None:
        return height, width, side
    wanted = (asked, asked) if isinstance(asked, int) else (int(asked[0]), int(asked[1]))
    if any(length < stride or length % stride for length in wanted):
        raise ConfigError(f"input_size must be multiples of {stride}, got {asked}")
    if (height or wanted[0], width or wanted[1]) != wanted:
        raise ConfigError(
            f"input_size {asked} does not fit: the net's input is fixed to {height or 'any'} x {width or 'any'}"
        )
    if isinstance(asked, int):
        return height, width, asked
    return wanted[0], wanted[1], max(wanted)


def _stride(known: Mapping[str, Any]) -> int:
    """Of the coarsest grid: 32, or 64 for the P6 nets, which say so."""
    text = str(known.get("stride", ""))
    return max(_STRIDE, int(float(text))) if text.replace(".", "", 1).isdecimal() else _STRIDE


def _known_side(known: Mapping[str, Any]) -> int:
    """``imgsz`` as exporters of the ultralytics family write it, or our own ``input_size``."""
    value = _literal(known.get("input_size", known.get("imgsz")))
    sides = [value] if isinstance(value, int) else list(value or [])
    return max((int(side) for side in sides), default=_DEFAULT_SIDE)


def _head(probe: _Probe, path: Path, names: Mapping[int, str], known: Mapping[str, Any]) -> tuple[str, int]:
    end2end = str(known.get("end2end", "")).lower() == "true"
    forced = known.get("head")
    if forced is not None and forced not in HEADS:
        raise ConfigError(f"no such head {forced!r}: one of {', '.join(sorted(HEADS))}")
    for output in range(len(probe.session.outputs)):
        shape = probe.shape(output)
        head = tell_head(shape, height=probe.height, width=probe.width, class_count=len(names) or None, end2end=end2end)
        if head is not None:
            if forced is None and head == "yolox":
                head = tell_one_per_cell(probe.values(output), height=probe.height, width=probe.width)
            return forced or head, output
    raise WeightsError(
        f"{path}: no YOLO detector: it gives {_describe(probe.session.outputs)}; known formats are"
        " (1, N, 85), (1, 84, N) and (1, 300, 6)"
    )


def _names(value: Any) -> dict[int, str]:
    """Class names: a mapping or a list, or the text of one."""
    value = _literal(value)
    if isinstance(value, Mapping):
        return {int(number): str(name) for number, name in value.items()}
    return {number: str(name) for number, name in enumerate(value or ())}


def _literal(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return None


def find_classes(classes: Sequence[str | int], names: Mapping[int, str], count: int | None) -> Ids:
    """Numbers of the classes to look for, int64 ``(K,)`` in rising order.

    Args:
        classes: names or numbers. Where a net has no ``person``, that also means the other
            ``PERSON_NAMES``, the only class of a net, and the first of 80 that have no names (COCO).
        names: number -> name of the net's classes; empty when it does not say.
        count: how many classes the net has, None when unknown.

    Raises:
        ConfigError: the net has no such class.
    """
    if isinstance(classes, str) or not classes:
        raise ConfigError("classes must be a list of names or numbers, for instance [person]")
    numbers = [item if isinstance(item, int) else _number(item, names, count) for item in classes]
    highest = (count or len(names) or 1) if names or count else None
    for number in numbers:
        if number < 0 or (highest is not None and number >= highest):
            raise ConfigError(f"class {number} does not exist: the net knows 0 to {(highest or 1) - 1}")
    return np.array(sorted(set(numbers)), np.int64)


def _number(name: str, names: Mapping[int, str], count: int | None) -> int:
    by_name = {text.casefold(): number for number, text in sorted(names.items(), reverse=True)}
    alike = PERSON_NAMES if name.casefold() == "person" else (name,)
    for candidate in alike:
        if candidate.casefold() in by_name:
            return by_name[candidate.casefold()]
    named = any(not text.isdecimal() for text in names.values())  # some exporters write "0", "1", ...
    if name.casefold() == "person" and (count == 1 or (count == _COCO_CLASSES and not named)):
        return 0
    if named:
        known = ", ".join(list(names.values())[:12]) + (", ..." if len(names) > 12 else "")
        raise ConfigError(f"the net has no class {name!r}: it knows {known}; set classes to the ones to follow")
    raise ConfigError(f"the net does not name its {count or ''} classes: set classes to the number of {name!r}")


def _describe(specs: Sequence[Any]) -> str:
    return " and ".join(f"({', '.join('?' if size is None else str(size) for size in spec.shape)})" for spec in specs)
