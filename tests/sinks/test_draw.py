"""What is drawn, where, and in which colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.sinks.draw import Annotator, Style
from reidpipe.sinks.palette import UNKNOWN_COLOUR, identity_colours
from reidpipe.types import Image
from tests.sinks.results import Box, result

BOX = (100.0, 100.0, 160.0, 260.0)
COLOURS = identity_colours(60)


def drawn(global_id: int, box: Box = BOX, *, size: tuple[int, int] = (360, 640), track: int = 1) -> Image:
    return Annotator().annotate(result("a", 0, [(track, global_id, box)], size=size))


def at(image: Image, x: int, y: int) -> tuple[int, ...]:
    """RGB of a pixel."""
    return tuple(int(value) for value in image[y, x, ::-1])


def label_area(image: Image) -> int:
    """Pixels of the first identity's colour, without lines of 4 pixels and less."""
    mask = (image == COLOURS[0][::-1]).all(axis=2).astype(np.uint8)
    return int(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).sum())


def test_draw_box_in_the_colour_of_the_identity() -> None:
    assert at(drawn(1), 100, 180) == COLOURS[0]
    assert at(drawn(2), 100, 180) == COLOURS[1]
    assert at(drawn(61), 100, 180) == COLOURS[0]
    assert at(drawn(-1), 100, 180) == UNKNOWN_COLOUR


def test_draw_colour_does_not_depend_on_the_track_or_the_camera() -> None:
    first = Annotator().annotate(result("a", 0, [(1, 5, BOX)], size=(360, 640)))
    other = Annotator().annotate(result("b", 7, [(99, 5, BOX)], size=(360, 640)))
    assert np.array_equal(first, other)


def test_draw_leaves_the_picture_itself_alone() -> None:
    one = result("a", 0, [(1, 1, BOX)], size=(360, 640))
    image = Annotator().annotate(one)
    assert image.shape == one.frame.image.shape
    assert image.dtype == np.uint8
    assert image.any()
    assert not one.frame.image.any()


def test_draw_nobody_changes_nothing() -> None:
    assert not Annotator(trace_s=1).annotate(result("a", 0, [])).any()


@pytest.mark.parametrize("box", [(0, 0, 40, 100), (-30, -50, 20, 50), (600, 0, 640, 50), (620, 300, 700, 400)])
def test_draw_label_stays_inside(box: Box) -> None:
    """The label of somebody at any border is as large as in the middle."""
    assert label_area(drawn(1, box)) >= 0.9 * label_area(drawn(1)) > 50


@pytest.mark.parametrize("height", [360, 720, 1080, 2160])
def test_draw_label_grows_with_the_picture(height: int) -> None:
    """Letters are 2 to 3.5 % of the height, so that they read at any size."""
    style = Style.for_height(height)
    (_, letters), _ = cv2.getTextSize("8", cv2.FONT_HERSHEY_SIMPLEX, style.text_scale, style.text_line)
    assert 0.015 <= letters / height <= 0.035
    assert 1 / 360 <= style.line / height <= 1 / 180


def test_draw_trace_follows_the_feet_and_has_an_end() -> None:
    annotator = Annotator(trace_s=0.5, fps=10)
    for index in range(20):
        x = 20.0 + 20 * index
        image = annotator.annotate(result("a", index, [(1, 1, (x, 100.0, x + 20, 200.0))], size=(360, 640)))
    row = (image[200] == COLOURS[0][::-1]).all(axis=1)
    assert row[330:400].all()  # the last 0.5 s: 4 steps of 20 pixels to x = 410
    assert not row[:320].any()


@pytest.mark.parametrize(("size", "box"), [((1, 1), (0, 0, 1, 1)), ((16, 16), (2, 2, 10, 15)), ((2160, 3840), BOX)])
def test_draw_any_size(size: tuple[int, int], box: Box) -> None:
    assert drawn(3, box, size=size).shape == (*size, 3)


def test_draw_two_hundred_people_and_a_change_of_size() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 300, (200, 2))
    people = [(k, k % 50 + 1, (x, y, x + 20, y + 50)) for k, (x, y) in enumerate(corners.tolist())]
    annotator = Annotator(trace_s=1, fps=10)
    for index, size in enumerate([(360, 640), (720, 1280), (360, 640)]):
        assert annotator.annotate(result("a", index, people, size=size)).any()


def test_draw_refuses_numbers_out_of_range() -> None:
    with pytest.raises(ConfigError):
        Annotator(trace_s=-1)
    with pytest.raises(ConfigError):
        Annotator(fps=0)


@pytest.mark.parametrize(
    ("name", "drawn"), [("Zoë Ångström", "Zoe Angstrom"), ("李", "7"), ("  ", "7"), ("A" * 99, "A" * 24)]
)
def test_draw_labels_people_by_name_as_far_as_the_font_goes(name: str, drawn: str) -> None:
    annotator = Annotator(names={7: name})
    assert annotator._label(7, 1) == drawn
    assert annotator._label(8, 1) == "8"
