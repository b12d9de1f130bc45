"""The answer as one picture: who was looked for, and the most similar."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.find.gallery import Candidate
from reidpipe.find.photo import Photo
from reidpipe.find.ranking import Match
from reidpipe.sinks.files import write_bytes
from reidpipe.types import Image

__all__ = ["draw_sheet", "write_sheet", "write_tiles"]

TILE_WIDTH = 176
TILE_HEIGHT = 256
CAPTION = 74
GAP = 12
PER_ROW = 6
_PAPER = (250, 248, 246)
_WELL = (239, 236, 232)
_INK = (30, 24, 20)
_SOFT = (120, 104, 92)
_ACCENT = (214, 87, 36)
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def write_sheet(path: Path | str, photo: Photo, matches: Sequence[Match]) -> None:
    """Draw the sheet and write it, PNG, JPEG or WebP by its name.

    Raises:
        ConfigError: the name has another ending.
        SinkError: it cannot be written.
    """
    _write(Path(path), draw_sheet(photo, matches))


def write_tiles(path: Path | str, pictures: Sequence[tuple[bytes, Sequence[str]]]) -> None:
    """Write pictures with up to three lines of text under each, as one picture.

    Args:
        path: PNG, JPEG or WebP by its name.
        pictures: at least one: a JPEG file's bytes, and the lines.

    Raises:
        ConfigError: the name has another ending.
        SinkError: it cannot be written.
    """
    _write(Path(path), _grid([_tile(_decoded(jpeg), lines) for jpeg, lines in pictures]))


def _write(target: Path, image: Image) -> None:
    import cv2

    if target.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"the sheet {target} needs a name that ends in {', '.join(_SUFFIXES)}")
    write_bytes(target, bytes(cv2.imencode(target.suffix.lower(), image)[1]))


def draw_sheet(photo: Photo, matches: Sequence[Match]) -> Image:
    """The person of the photo, then the matches in order with what is known of them, uint8 BGR."""
    tiles = [_tile(photo.crop, ["photo", photo.path.name, ""], accent=True)]
    for number, match in enumerate(matches, 1):
        who = match.candidate.name or f"person {match.candidate.global_id}"
        where = ", ".join(dict.fromkeys(sighting.camera for sighting in match.candidate.sightings))
        scores = f"{match.similarity:.2f}   {_percent(match.probability)}"
        tiles.append(_tile(_thumbnail(match.candidate), [f"{number}. {who}", where, scores]))
    return _grid(tiles)


def _grid(tiles: Sequence[Image]) -> Image:
    """Tiles in rows."""
    rows = -(-len(tiles) // PER_ROW)
    columns = min(len(tiles), PER_ROW)
    step_x, step_y = TILE_WIDTH + GAP, TILE_HEIGHT + CAPTION + GAP
    sheet = np.full((GAP + rows * step_y, GAP + columns * step_x, 3), _PAPER, np.uint8)
    for number, tile in enumerate(tiles):
        y, x = GAP + number // PER_ROW * step_y, GAP + number % PER_ROW * step_x
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _percent(share: float) -> str:
    return "> 99 %" if share > 0.995 else "< 1 %" if share < 0.005 else f"{round(100 * share)} %"


def _thumbnail(candidate: Candidate) -> Image | None:
    data = candidate.thumbnail
    try:
        data = data.read_bytes() if isinstance(data, Path) else data
    except OSError:
        data = None
    return _decoded(data)


def _decoded(data: bytes | None) -> Image | None:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    return None if image is None else np.asarray(image, np.uint8)


def _tile(image: Image | None, lines: Sequence[str], *, accent: bool = False) -> Image:
    import cv2

    tile = np.full((TILE_HEIGHT + CAPTION, TILE_WIDTH, 3), _PAPER, np.uint8)
    tile[:TILE_HEIGHT] = _WELL
    if image is not None and image.size:
        height, width = image.shape[:2]
        scale = min((TILE_WIDTH - 8) / width, (TILE_HEIGHT - 8) / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        x, y = (TILE_WIDTH - size[0]) // 2, (TILE_HEIGHT - size[1]) // 2
        tile[y : y + size[1], x : x + size[0]] = small
    if accent:
        cv2.rectangle(tile, (0, 0), (TILE_WIDTH - 1, TILE_HEIGHT - 1), _ACCENT, 3)
    for number, line in enumerate(lines):
        colour = _SOFT if number else _INK
        cv2.putText(
            tile,
            _fitted(line),
            (2, TILE_HEIGHT + 20 + 22 * number),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5,
            colour,
            1,
            cv2.LINE_AA,
        )
    return tile


def _fitted(line: str) -> str:
    """What OpenCV's font can draw and the tile can hold."""
    import cv2

    text = "".join(c for c in unicodedata.normalize("NFKD", line) if not unicodedata.combining(c))
    text = text.encode("ascii", "replace").decode()
    while text and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] > TILE_WIDTH - 4:
        text = text.removesuffix("..")[:-1] + ".."
        if len(text) <= 3:
            break
    return text
