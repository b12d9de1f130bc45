"""Tiled training pictures: boxes lie where the people are drawn, whatever the layout."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from tools.detector import tiling  # noqa: E402
from tools.detector.tiling import TiledPictures  # noqa: E402

RED = (0, 0, 255)


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """White pictures with one red rectangle each, of one hundred to four hundred pixels; one without."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    found = []
    sizes = [(400, 300), (120, 200), (333, 100), (256, 256)]
    for number, (width, height) in enumerate(sizes):
        picture = np.full((height, width, 3), 255, np.uint8)
        label = ""
        if number < 3:
            x, y, w, h = 0.3 * width, 0.25 * height, 0.25 * width, 0.5 * height
            picture[round(y) : round(y + h), round(x) : round(x + w)] = RED
            label = f"0 {(x + w / 2) / width} {(y + h / 2) / height} {w / width} {h / height}\n"
        file = tmp_path / "images" / f"hd2_{number}.png"
        cv2.imwrite(str(file), picture)
        (tmp_path / "labels" / f"hd2_{number}.txt").write_text(label)
        found.append(str(file))
    return found


def canvas(item: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The picture, and its boxes in pixels."""
    image = item["img"].numpy()
    centre, size = np.split(item["bboxes"].numpy() * image.shape[0], 2, axis=1)
    return image, np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def test_boxes_lie_around_what_is_drawn(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "spoil", lambda image: image)
    monkeypatch.setattr(tiling, "recolour", lambda image, _: image)
    random.seed(4)
    pictures = TiledPictures(names, 256)
    seen = 0
    for number in range(60):
        image, boxes = canvas(pictures[number % len(names)])
        assert image.shape == (256, 256, 3)
        assert boxes.min(initial=0) >= 0
        assert boxes.max(initial=0) <= 256
        reds = (image[..., 0] > 200) & (image[..., 1] < 60)
        inside = np.zeros_like(reds)
        for left, top, right, bottom in boxes:
            seen += 1
            around = np.s_[round(top + 1.5) : round(bottom - 1.5), round(left + 1.5) : round(right - 1.5)]
            assert reds[around].mean() > 0.97 if reds[around].size else True
            inside[max(0, int(top - 1.5)) : int(bottom + 2.5), max(0, int(left - 1.5)) : int(right + 2.5)] = True
        if len(boxes) == 0:
            continue
        # red outside of all boxes: only people of whom a tile keeps too little to be called one
        assert (reds & ~inside).sum() <= tiling.CUT_AWAY * reds.sum() + 200
    assert seen > 100


def test_fine_layouts_show_more_and_smaller_people(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for side in (1, 4):
        monkeypatch.setattr(TiledPictures, "tiles_a_side", lambda _, chosen=side: chosen)
        random.seed(2)
        pictures = TiledPictures(names[:3], 256)
        boxes = [canvas(pictures[k % 3])[1] for k in range(20)]
        found[side] = (
            np.mean([len(one) for one in boxes]),
            np.median(np.concatenate([b[:, 3] - b[:, 1] for b in boxes])),
        )
    assert found[4][0] > 4 * found[1][0]
    assert found[4][1] < found[1][1] / 2


def test_layouts_are_finer_on_larger_canvases(names: list[str]) -> None:
    random.seed(3)
    drawn = {size: np.bincount([TiledPictures(names, size).tiles_a_side() for _ in range(3000)]) for size in (320, 640)}
    assert drawn[320][0] == drawn[640][0] == 0
    assert len(drawn[320]) - 1 == 7  # 320 / 45 is 7.1
    assert len(drawn[640]) - 1 == 14
    assert drawn[320][1] / 3000 == pytest.approx(np.log(1.5) / np.log(320 / 45), abs=0.03)


def test_batches_are_channels_last_and_name_the_picture_of_each_person(names: list[str]) -> None:
    random.seed(0)
    pictures = TiledPictures(names, 128)
    items = [pictures[k] for k in range(4)]
    batch = TiledPictures.collate_fn(items)
    assert batch["img"].shape == (4, 3, 128, 128)
    assert batch["img"].is_contiguous(memory_format=torch.channels_last)
    assert torch.bincount(batch["batch_idx"], minlength=4).tolist() == [len(item["bboxes"]) for item in items]
    assert len(batch["cls"]) == len(batch["bboxes"])


@pytest.mark.parametrize("seed", range(40))
def test_spoiled_pictures_keep_their_shape(seed: int) -> None:
    random.seed(seed)
    image = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    changed = tiling.spoil(tiling.recolour(image, (0.015, 0.6, 0.5)))
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
