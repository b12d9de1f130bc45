from __future__ import annotations

import cv2
import numpy as np

from reidpipe.types import Image
from tools.detector.dataset import paint_over, people_and_unsure
from tools.detector.geometry import Array
from tools.detector.occluding import occlude
from tools.detector.pasting import compose, cut_out
from tools.detector.teachers import fuse_views


def boxes(*rows: tuple[float, ...]) -> Array:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def test_teachers_views_that_agree_make_one_box_and_a_miss_counts_as_zero() -> None:
    views = [
        (boxes((10, 10, 30, 60)), np.array([0.8], np.float32)),
        (boxes((11, 10, 31, 60), (70, 0, 90, 50)), np.array([0.6, 0.4], np.float32)),
        (boxes(), np.zeros(0, np.float32)),
        (boxes((10, 11, 30, 61)), np.array([0.6], np.float32)),
    ]
    fused, means, bests = fuse_views(views)
    np.testing.assert_allclose(means, [0.5, 0.1], atol=1e-6)
    np.testing.assert_allclose(bests, [0.8, 0.4], atol=1e-6)
    assert abs(fused[0, 0] - 10.3) < 0.05


def test_dataset_keeps_agreed_people_and_lists_what_may_be_one() -> None:
    rows = [[0.1, 0.1, 0.2, 0.5, 0.6, 0.9], [0.6, 0.1, 0.7, 0.5, 0.1, 0.5], [0.4, 0.4, 0.5, 0.6, 0.05, 0.1]]
    rows.append([0.11, 0.2, 0.19, 0.4, 0.1, 0.6])  # a part of the agreed person: neither a person nor a doubt
    people, unsure = people_and_unsure({"people": rows})
    np.testing.assert_allclose(people, boxes((0.1, 0.1, 0.2, 0.5)))
    np.testing.assert_allclose(unsure, boxes((0.6, 0.1, 0.7, 0.5)))


def test_dataset_paints_over_doubts_but_not_people() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, 50:] = 200
    paint_over(image, boxes((0.0, 0.0, 0.4, 0.4)), boxes((0.2, 0.2, 0.6, 0.6)))
    assert (image[:20, :40] == 100).all()  # the mean of the picture
    assert (image[20:60, 20:50] == 0).all()
    assert (image[:, 60:] == 200).all()


def test_occlude_covers_the_lower_part_and_shrinks_the_label() -> None:
    rng = np.random.default_rng(1)
    image = np.zeros((200, 200, 3), np.uint8)
    place = np.full((40, 40, 3), 255, np.uint8)  # smaller than the patch
    before = boxes((0.4, 0.1, 0.6, 0.9))
    changed = next(new for new in (occlude(image, before, place, rng) for _ in range(50)) if new is not None)
    assert 0.3 <= (0.9 - changed[0, 3]) / 0.8 <= 0.6
    np.testing.assert_array_equal(changed[0, :3], before[0, :3])
    assert (image[175, 80:120] == 255).all()
    assert not image[: int(changed[0, 3] * 200) - 1].any()


def test_occlude_leaves_a_person_alone_whose_neighbour_would_be_hidden() -> None:
    crowd = boxes((0.4, 0.1, 0.6, 0.9), (0.42, 0.15, 0.62, 0.92))
    image = np.zeros((200, 200, 3), np.uint8)
    place = np.full((300, 300, 3), 255, np.uint8)
    assert all(occlude(image, crowd, place, np.random.default_rng(seed)) is None for seed in range(20))
    assert not image.any()


def drawn_crop() -> Image:
    """A plain figure on plain ground, 160 rows by 60 columns."""
    crop = np.full((160, 60, 3), 170, np.uint8)
    cv2.ellipse(crop, (30, 18), (6, 10), 0, 0, 360, (90, 120, 180), -1)
    cv2.rectangle(crop, (18, 28), (42, 90), (30, 30, 120), -1)
    cv2.rectangle(crop, (20, 90), (40, 154), (60, 40, 20), -1)
    return crop


def test_pasting_cuts_the_person_out_of_a_crop() -> None:
    person = cut_out(drawn_crop())
    assert person is not None
    assert person.shape[2] == 4
    assert 135 <= person.shape[0] <= 152  # the figure is 147 rows high
    assert 22 <= person.shape[1] <= 30
    assert cut_out(np.full((160, 60, 3), 170, np.uint8)) is None


def test_pasting_labels_what_is_seen_of_each_person() -> None:
    person = cut_out(drawn_crop())
    assert person is not None
    place = np.full((300, 400, 3), 200, np.uint8)
    for seed in range(10):
        picture, people = compose(place, [person], np.random.default_rng(seed))
        height, width = picture.shape[:2]
        changed = np.argwhere((picture != 200).any(axis=2))
        assert len(people) == 0 or ((people >= 0).all() and (people <= 1).all())
        inside = np.zeros((height, width), bool)
        for x1, y1, x2, y2 in np.round(people * [width, height, width, height]).astype(int):
            inside[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = True
            assert (picture[y1:y2, x1:x2] != 200).any(axis=2).mean() > 0.3
        if len(people) == 1:
            assert inside[changed[:, 0], changed[:, 1]].mean() > 0.9
