"""Colours that can be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reidpipe.sinks.palette import UNKNOWN_COLOUR, _lab, identity_colours


def distances(colours: list[tuple[int, int, int]]) -> NDArray[np.float64]:
    lab = _lab(np.array(colours, np.float64))
    return np.asarray(np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1e9 * np.eye(len(lab)))


def test_palette_colours_are_far_apart() -> None:
    """CIELAB: 2.3 is just noticeable; a dozen people must be plain to tell, sixty still be different."""
    assert distances(identity_colours(12)).min() > 40
    assert distances(identity_colours(60)).min() > 12


def test_palette_nobody_looks_unknown() -> None:
    assert distances([UNKNOWN_COLOUR, *identity_colours(60)])[0].min() > 30


def test_palette_is_stable() -> None:
    assert identity_colours(60)[:10] == identity_colours(10)


def test_palette_lab_of_known_colours() -> None:
    """Reference values of CIELAB under D65."""
    lab = _lab(np.array([(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255)], np.float64))
    wanted = [(100, 0, 0), (0, 0, 0), (53.24, 80.09, 67.20), (32.30, 79.19, -107.86)]
    np.testing.assert_allclose(lab, wanted, atol=0.15)
