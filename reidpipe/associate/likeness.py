"""What the cosines of one embedder say about people: fitted once for each model, kept in a file beside it.

Nets differ: with one, two pictures of a person have a cosine of 0.6 on average, with another 0.35. So the meaning of a
cosine belongs to the model. ``python tools/fit_calibration.py NAME`` measures it on labelled people whom the net never
saw and writes ``MODEL.likeness.json`` beside ``MODEL.onnx``; the file names the sha256 of the model that it is about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Calibration
from reidpipe.errors import WeightsError
from reidpipe.weights import model_sha256, resolve

__all__ = [
    "LIKENESS_SCHEMA",
    "UNKNOWN",
    "Likeness",
    "likeness_file",
    "likeness_from",
    "likeness_of",
    "read_likeness",
    "run_likeness",
]

LIKENESS_SCHEMA = "reidpipe.likeness/1"


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What cosines mean, camera bias removed and on the common scale of ``calibrate.Scale``.

    Attributes:
        cosine: of the cosine of two tracks alone.
        shared: of half the cosine, half the share of common neighbours; without and with local query expansion.
        photo: of the cosine of one crop and one track.
        spread: usual standard deviation of the cosine between strangers, in small scenes.
        steadiness: how alike crops of one track are, on the common scale, where all of this was fitted.
        centre: float64 ``(D,)`` mean vector of people at large: what is there to be taken off where there are hardly
            any people to learn it from; None: not known.
        source: where this comes from, for run.json.
    """

    cosine: Calibration
    shared: tuple[Calibration, Calibration]
    photo: Calibration
    spread: float
    steadiness: float
    centre: NDArray[np.float64] | None
    source: str

    def facts(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {
            "source": self.source,
            "cosine": _numbers(self.cosine),
            "shared": [_numbers(one) for one in self.shared],
            "photo": _numbers(self.photo),
            "spread": self.spread,
            "steadiness": self.steadiness,
        }


UNKNOWN = Likeness(
    cosine=Calibration(slope=11.0, even=0.40),
    shared=(Calibration(slope=20.0, even=0.24), Calibration(slope=15.0, even=0.30)),
    photo=Calibration(slope=12.0, even=0.36),
    spread=0.13,
    steadiness=0.95,
    centre=None,
    source="default: nobody fitted this embedder",
)
"""For an embedder of which nothing is known: about what three nets of different training have in common, and rather two
people too many than one too few."""


def likeness_file(model: Path) -> Path:
    """Where the likeness of a model file (or of the folder of an OpenVINO model) is kept."""
    return model / "likeness.json" if model.is_dir() else model.with_suffix(".likeness.json")


def likeness_of(model: str | Path) -> Likeness:
    """Of an embedder by name or file; ``UNKNOWN``, with the reason as its source, where none was fitted to it.

    Raises:
        WeightsError: the model is missing, or its likeness file is damaged.
    """
    found = resolve(model, kind="embedder")
    file = likeness_file(found.path)
    if not file.is_file():
        return _unknown(f"no {file.name} beside {found.label}")
    likeness, sha256 = read_likeness(file)
    if sha256 != model_sha256(found.path):
        return _unknown(f"{file.name} was fitted to another file than {found.label} is now")
    return likeness


def run_likeness(run: Mapping[str, Any]) -> Likeness:
    """What a finished run decided with, from its ``run.json``: the model's file where it is still the same one."""
    said = (run.get("association") or {}).get("calibration")
    if said is None:
        return UNKNOWN
    centre = None
    model = ((run.get("models") or {}).get("embed") or {}).get("name")
    if model is not None and not said["source"].startswith("default"):
        try:
            here = likeness_of(model)
        except WeightsError:
            here = UNKNOWN
        if here.facts() == dict(said):
            centre = here.centre
    return likeness_from(said, centre, str(said["source"]))


def read_likeness(path: Path) -> tuple[Likeness, str]:
    """A likeness file, and the sha256 of the model that it is about.

    Raises:
        WeightsError: it cannot be read, or something in it is missing or out of range.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != LIKENESS_SCHEMA:
            raise ValueError(f"schema is {table['schema']!r}, not {LIKENESS_SCHEMA!r}")
        centre = np.asarray(table["centre"], dtype=np.float64)
        found = likeness_from(table, centre, path.name)
        sha256 = str(table["model_sha256"])
        above = (found.spread, found.steadiness, *(one.slope for one in (found.cosine, *found.shared, found.photo)))
        if centre.ndim != 1 or not len(centre) or not np.isfinite(centre).all() or not all(x > 0 for x in above):
            raise ValueError("a number is out of range")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise WeightsError(f"{path}: no likeness of an embedder ({reason}); fit it again or delete it") from error
    return found, sha256


def likeness_from(table: Mapping[str, Any], centre: NDArray[np.float64] | None, source: str) -> Likeness:
    """From the numbers of a likeness file.

    Raises:
        KeyError, ValueError, TypeError: something is missing or no number.
    """
    one, two = (_calibration(pair) for pair in table["shared"])
    return Likeness(
        cosine=_calibration(table["cosine"]),
        shared=(one, two),
        photo=_calibration(table["photo"]),
        spread=float(table["spread"]),
        steadiness=float(table["steadiness"]),
        centre=centre,
        source=source,
    )


def _calibration(pair: Any) -> Calibration:
    slope, even = pair
    return Calibration(float(slope), float(even))


def _numbers(calibration: Calibration) -> list[float]:
    return [calibration.slope, calibration.even]


def _unknown(why: str) -> Likeness:
    return replace(UNKNOWN, source=f"default: {why}")
