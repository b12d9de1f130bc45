"""Pictures from outside: huge, none, damaged, or a bomb."""

from __future__ import annotations

import contextlib
import random
import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from reidpipe.live.upload import MOST_BYTES, UploadError, read_picture

IMAGE = np.random.default_rng(0).integers(0, 255, (60, 40, 3), np.uint8)


def encoded(suffix: str, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, IMAGE, list(options))[1])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_upload_reads_pictures(suffix: str) -> None:
    assert read_picture(encoded(suffix)).shape == (60, 40, 3)


def test_upload_reads_progressive_jpeg_and_lossless_webp() -> None:
    assert read_picture(encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)).shape == (60, 40, 3)
    assert (read_picture(encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101)) == IMAGE).all()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that would be decoded to gigabytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no picture"),
        (b"GIF89a" + bytes(100), "no picture"),
        (b"<svg onload=alert(1)>", "no picture"),
        (b"\x00" * (MOST_BYTES + 1), "larger than 20 MB"),
        (bomb(50_000), "million pixels"),
        (bomb(2**31 - 1), "million pixels"),
        (bomb(100), "damaged"),
        (encoded(".jpg")[:200], "no picture|damaged"),
        (b"\xff\xd8" + b"\xff\xe0\xff\xff" * 5000, "no picture"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8X" + bytes(3), "damaged|no picture|too small"),
    ],
)
def test_upload_refuses_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UploadError, match=reason):
        read_picture(data)


def test_upload_fuzz_ends_in_a_picture_or_a_refusal() -> None:
    rng = random.Random(0)
    began = time.process_time()
    for number in range(300):
        data = bytearray(encoded((".jpg", ".png", ".webp")[number % 3]))
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data) if number % 2 else 40)] = rng.randrange(256)
        with contextlib.suppress(UploadError):
            assert read_picture(bytes(data)).ndim == 3
    assert time.process_time() - began < 60
