"""Real people cut out of re-identification crops (CUHK01) and set into CCTV places without people.

The labelled pictures show few people in dark clothes, few from a fixed camera indoors, few behind furniture. The crops
bring 971 persons on plain ground, where GrabCut (Rother et al., SIGGRAPH 2004) separates most of them; those without
head or feet are left out.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from .dataset import read_picture, write_labels, write_picture
from .geometry import Array
from .occluding import occlude

Picture = npt.NDArray[np.uint8]
SIDE = 416  # longer side of a composed picture, as in the rest of the set
PEOPLE = (1, 7)  # people set into one picture: at least the first, less than the second
HEIGHT = (0.18, 0.8)  # of a person, as part of the picture's height
VISIBLE = 0.2  # a person of whom less is left behind others gets no label
EDGE = 8  # mask levels below this are background
STEEP = 0.6  # part of the figures that are drawn as a high camera sees them ...
SHORTER, TAPER = (0.6, 1.0), (0.55, 1.0)  # ... with this part of their height, and of their width at the feet
LEAN = 14.0  # degrees, to both sides: wide lenses lean people outwards


def cut_out(crop: Picture) -> Picture | None:
    """The person of a crop as BGRA (H, W, 4), cut to the person; None where the cut looks wrong."""
    rows, columns = crop.shape[:2]
    down, across = np.mgrid[0:rows, 0:columns]
    x, y = (across + 0.5) / columns, (down + 0.5) / rows
    marks = np.full((rows, columns), cv2.GC_PR_BGD, np.uint8)
    marks[((x - 0.5) / 0.30) ** 2 + ((y - 0.52) / 0.48) ** 2 < 1] = cv2.GC_PR_FGD
    marks[(x < 0.05) | (x > 0.95) | (y < 0.02)] = cv2.GC_BGD
    marks[(y < 0.14) & (np.abs(x - 0.5) > 0.28)] = cv2.GC_BGD
    marks[(np.abs(x - 0.5) < 0.09) & (y > 0.2) & (y < 0.55)] = cv2.GC_FGD
    marks[((x - 0.5) / 0.07) ** 2 + ((y - 0.11) / 0.035) ** 2 < 1] = cv2.GC_FGD
    cv2.grabCut(crop, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), dtype=np.uint8)
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask)
    if len(facts) < 2:
        return None
    largest = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, area = (int(value) for value in facts[largest])
    whole = height > 0.82 * rows and 0.2 < area / (rows * columns) < 0.6 and width < 0.92 * columns
    alpha = np.where(parts == largest, 255, 0).astype(np.uint8)
    head = (alpha[: int(0.17 * rows)] > 0).any(axis=0).sum()
    if not whole or not 0.1 * columns < head < 0.5 * columns:
        return None
    region = slice(top, top + height), slice(left, left + width)
    return np.dstack([crop[region], alpha[region]])


def compose(place: Picture, people: list[Picture], rng: np.random.Generator) -> tuple[Picture, Array]:
    """Set some of the cut-out people into a place, the farther ones behind.

    Returns:
        The picture (BGR, longer side :data:`SIDE`), and relative boxes (N, 4) of what is seen of each person.
    """
    scale = SIDE / max(place.shape[:2])
    canvas = cv2.resize(
        place, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    rows, columns = canvas.shape[:2]
    owner = np.zeros((rows, columns), np.uint8)
    count = int(rng.integers(*PEOPLE))
    near = rng.uniform(0.35, 1.0) * HEIGHT[1]  # height of somebody at the lower border
    areas = []
    for number, foot in enumerate(np.sort(rng.uniform(0.3, 1.15, count)), start=1):
        height = max(near * (0.35 + 0.65 * foot) * rng.uniform(0.85, 1.15), HEIGHT[0])
        figure = _shaped(people[int(rng.integers(len(people)))], round(height * rows), canvas, rng)
        left = round(rng.uniform(-0.1, 1.0) * columns - figure.shape[1] / 2)
        areas.append(_lay(figure, canvas, owner, number, left, round(foot * rows) - figure.shape[0]))
    size = np.array([columns, rows, columns, rows], np.float32)
    boxes = []
    for number, area in enumerate(areas, start=1):
        mask = owner == number
        if mask.sum() > max(VISIBLE * area, 40):
            boxes.append(_seen(mask) / size)
    return np.asarray(canvas, dtype=np.uint8), np.asarray(boxes, dtype=np.float32).reshape(-1, 4)


def _shaped(person: Picture, height: int, canvas: Picture, rng: np.random.Generator) -> Picture:
    """Scaled, mirrored, leaning, often seen from above, with a part of the place's brightness and sharpness."""
    if rng.random() < 0.5:
        person = np.ascontiguousarray(person[:, ::-1])
    width = max(3, round(height * person.shape[1] / person.shape[0] * rng.uniform(0.9, 1.25)))
    steep = rng.random() < STEEP
    rows = round(height * rng.uniform(*SHORTER)) if steep else height
    feet = rng.uniform(*TAPER) if steep else 1.0
    margin = width // 3 + rows // 8
    centre = margin + width / 2
    old_rows, old_width = person.shape[:2]
    corners = np.array([[0, 0], [old_width, 0], [old_width, old_rows], [0, old_rows]], np.float32)
    half = width * feet / 2
    target = np.array([[margin, 0], [margin + width, 0], [centre + half, rows], [centre - half, rows]], np.float32)
    lean = cv2.getRotationMatrix2D((centre, rows / 2), rng.uniform(-LEAN, LEAN), 1.0)
    warp = np.vstack([lean, [0, 0, 1]]) @ cv2.getPerspectiveTransform(corners, target)
    shrunk = max(1.0, old_rows / rows)
    if shrunk > 1.5:  # the warp reads single pixels: what shrinks is smoothed first
        person = np.asarray(cv2.GaussianBlur(person, (0, 0), shrunk / 3), dtype=np.uint8)
    figure = cv2.warpPerspective(person, warp, (width + 2 * margin, rows))
    inside = figure[..., 3] > EDGE
    light = (canvas.mean() / max(float(figure[..., :3][inside].mean()), 1.0)) ** rng.uniform(0, 0.5)
    figure[..., :3] = np.clip(figure[..., :3] * light, 0, 255).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(figure, (3, 3), rng.uniform(0.4, 0.9)), dtype=np.uint8)


def _lay(figure: Picture, canvas: Picture, owner: Picture, number: int, left: int, top: int) -> int:
    """Blend a BGRA figure into the canvas, mark its pixels in ``owner``; returns its own area in pixels."""
    rows, columns = canvas.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + figure.shape[1], columns), min(top + figure.shape[0], rows)
    area = int((figure[..., 3] > 127).sum())
    if x2 <= x1 or y2 <= y1:
        return area
    part = figure[y1 - top : y2 - top, x1 - left : x2 - left]
    weight = part[..., 3:].astype(np.float32) / 255
    canvas[y1:y2, x1:x2] = (part[..., :3] * weight + canvas[y1:y2, x1:x2] * (1 - weight)).astype(np.uint8)
    owner[y1:y2, x1:x2][part[..., 3] > 127] = number
    return area


def _seen(mask: npt.NDArray[np.bool_]) -> Array:
    """Pixel box x1 y1 x2 y2 of a mask."""
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([across[0], down[0], across[-1] + 1, down[-1] + 1], np.float32)


def _people(crops: list[Path], kept: Path) -> list[Picture]:
    """All good cuts of the crops; kept in one file, because GrabCut takes minutes."""
    if not kept.is_file():
        cv2.setRNGSeed(0)
        found = [person for person in (cut_out(read_picture(path)) for path in crops) if person is not None]
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, *found)
    with np.load(kept) as stored:
        return [stored[name] for name in stored.files]


def generate(crops: list[Path], places: list[Path], output: Path, *, each: int = 8) -> int:
    """Write ``each`` pictures per place (``images/*.jpg``, ``labels/*.txt``); returns how many, the same every time."""
    rng = np.random.default_rng(0)
    people = _people(crops, output / "people.npz")
    (output / "images").mkdir(parents=True, exist_ok=True)
    (output / "labels").mkdir(parents=True, exist_ok=True)
    for number in range(each * len(places)):
        picture, boxes = compose(read_picture(places[number % len(places)]), people, rng)
        if rng.random() < 0.5:
            hidden = occlude(picture, boxes, read_picture(places[int(rng.integers(len(places)))]), rng)
            boxes = boxes if hidden is None else hidden
        name = f"pasted__{number:05d}"
        write_picture(picture, output / "images" / f"{name}.jpg")
        write_labels(output / "labels" / f"{name}.txt", boxes)
    return each * len(places)
