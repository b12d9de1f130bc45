from __future__ import annotations

import numpy as np

from reidpipe.reid.figures import BAR, CHART, bar_chart, contact_sheet, overlay


def test_figures_contact_sheet_has_rows_and_gaps() -> None:
    sheet = contact_sheet(np.zeros((3, 8, 4, 3), dtype=np.uint8), columns=2, gap=1)
    assert sheet.shape == (2 * 9 + 1, 2 * 5 + 1, 3)
    assert int((sheet == 0).all(axis=-1).sum()) == 3 * 32


def test_figures_overlay_of_no_strength_is_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)
    assert overlay(image, np.zeros((4, 2), dtype=np.float32), strength=0.0).tolist() == image.tolist()


def test_figures_bars_are_as_high_as_their_values() -> None:
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    chart = bar_chart(values)
    bars = ((chart[:, :, 1] == 120) & (chart[:, :, 2] == 60)).sum(axis=0)
    assert [int(bars[BAR * (place + 1) + 2]) for place in range(3)] == [0, CHART // 2, CHART]


def test_figures_whiskers_are_as_long_as_the_spread() -> None:
    values, spread = np.full((1, 1), 0.5, dtype=np.float32), np.full((1, 1), 0.25, dtype=np.float32)
    black = (bar_chart(values, spread=spread) == 0).all(axis=-1)
    assert int(black[30 : 30 + CHART, BAR + BAR // 2 - 2].sum()) == CHART // 2 + 1
