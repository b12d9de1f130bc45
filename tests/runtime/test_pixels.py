from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.runtime import Normalize, picture

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def slow(pictures: np.ndarray, normalize: Normalize) -> np.ndarray:
    values = pictures.astype(np.float64) * normalize.scale
    if normalize.color_order == "rgb":
        values = values[..., ::-1]
    values = (values - np.array(normalize.mean)) / np.array(normalize.std)
    return np.asarray(values.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    "normalize",
    [
        Normalize(),
        Normalize("bgr", 1.0),
        Normalize("rgb", 1 / 255, **IMAGENET),
        Normalize("bgr", 1 / 255, **IMAGENET),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float16, 2e-3)])
def test_pixels_equal_the_plain_formula(normalize: Normalize, dtype: type, tolerance: float) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), np.uint8)
    out: np.ndarray[Any, Any] = np.empty((3, 3, 6, 5), dtype)
    normalize.fill(pictures, out)
    expected = slow(pictures, normalize)
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_pixels_leave_the_spare_rows_of_a_batch_alone() -> None:
    out = np.full((3, 3, 2, 2), 9, np.float32)
    Normalize().fill(np.zeros((2, 2, 2, 3), np.uint8), out)
    assert (out[:2] == 0).all()
    assert (out[2] == 9).all()


def test_pixels_take_views_of_a_picture() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    out = np.empty((1, 3, 4, 4), np.float32)
    Normalize().fill([picture[2:6, 1:5]], out)
    np.testing.assert_allclose(out, slow(picture[None, 2:6, 1:5], Normalize()), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color_order": "gbr"}, "color_order must be one of"),
        ({"std": (1.0, 0.0, 1.0)}, "must be positive"),
        ({"scale": 0.0}, "must be positive"),
        ({"mean": (0.0, 0.0)}, "three channels"),
    ],
)
def test_pixels_refuse_nonsense(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Normalize(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError, "must be a uint8 array, got float32"),
        ([[0]], TypeError, "must be a uint8 array, got list"),
        (np.zeros((4, 4), np.uint8), ValueError, r"got \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, "order BGR"),
    ],
)
def test_pixels_say_what_a_picture_is(image: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        picture(image)


def test_pixels_copy_only_where_they_must() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert picture(image) is image
    assert picture(image[:, ::-1]).flags.c_contiguous
