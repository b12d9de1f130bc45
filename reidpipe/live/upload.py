"""A picture from outside, looked at before it is decoded: it may be huge, no picture, or a bomb."""

from __future__ import annotations

import struct

import numpy as np

from reidpipe.types import Image

__all__ = ["MOST_BYTES", "UploadError", "read_picture"]

MOST_BYTES = 20_000_000
_MOST_PIXELS = 50_000_000
_LEAST_SIDE = 8
_KINDS = "give a JPEG, PNG or WebP file"


class UploadError(Exception):
    """It is not taken; one line for whoever sent it."""


def read_picture(data: bytes) -> Image:
    """Decode a JPEG, PNG or WebP file, upright as its EXIF data says.

    Returns:
        uint8 ``(H, W, 3)`` BGR.

    Raises:
        UploadError: it is none, damaged, too small, or too large once decoded.
    """
    import cv2

    if len(data) > MOST_BYTES:
        raise UploadError(f"the file is larger than {MOST_BYTES // 1_000_000} MB")
    size = _size(data)
    if size is None:
        raise UploadError(f"this is no picture that can be read: {_KINDS}")
    if size[0] * size[1] > _MOST_PIXELS:
        raise UploadError(f"the picture has more than {_MOST_PIXELS // 1_000_000} million pixels: make it smaller")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise UploadError(f"the picture is damaged: {_KINDS}")
    if min(image.shape[:2]) < _LEAST_SIDE:
        raise UploadError("the picture is too small to show anybody")
    return np.asarray(image, dtype=np.uint8)


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height as the head of the file says; None when it is of no known kind."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return struct.unpack(">II", data[16:24])
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
    except (struct.error, IndexError):
        return None
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the start-of-frame segment; the largest, should there be several."""
    at, best = 2, None
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return best
        kind = data[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind in (0xD9, 0xDA):  # the picture itself begins
            return best
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            if best is None or width * height > best[0] * best[1]:
                best = (width, height)
        at += 2 if 0xD0 <= kind <= 0xD8 or kind == 0x01 else 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return best
