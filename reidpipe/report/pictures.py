"""Thumbnails as data URIs, inside a budget."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from reidpipe.report.results import Person

__all__ = ["BUDGET", "Pictures", "load_pictures"]

BUDGET = 24_000_000
"""Bytes of JPEG in one report; beyond that they are made smaller."""

_SMALLER = ((112, 72), (80, 66), (56, 60))
"""Longest side in pixels and JPEG quality, tried in turn when the budget is exceeded."""

Pictures = dict[str, str]
"""Path below the run's folder -> data URI."""


def load_pictures(
    folder: Path, people: Sequence[Person], *, more: Iterable[str | None] = (), budget: int = BUDGET
) -> tuple[Pictures, int]:
    """All thumbnails of these people and ``more`` files, and how many are missing or no picture.

    Only JPEG files inside ``folder`` are taken, whatever path ``identities.json`` gives. Together they hold at most
    about ``budget`` bytes: when they do not, all are made smaller.
    """
    names = {person.thumbnail for person in people if person.thumbnail}
    names |= {name for person in people for name in person.thumbnails.values()}
    names |= {name for name in more if name}
    found = {name: data for name in sorted(names) if (data := _read(folder, name)) is not None}
    for side, quality in _SMALLER:
        if sum(map(len, found.values())) <= budget:
            break
        found = {name: _shrink(data, side, quality) for name, data in found.items()}
    uris = {name: f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" for name, data in found.items()}
    return uris, len(names) - len(found)


def _read(folder: Path, name: str) -> bytes | None:
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            return None
        data = path.read_bytes()
    except (OSError, ValueError):
        return None
    return data if data.startswith(b"\xff\xd8\xff") else None


def _shrink(data: bytes, side: int, quality: int) -> bytes:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return data
    scale = min(1.0, side / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
