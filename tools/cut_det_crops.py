"""Cut people out of the detector's training images: crops without identity that distillation can learn from.

    python tools/cut_det_crops.py ../shared/data/det runs/reid/det_crops

Left out: people who are small, cut to an odd shape or half covered by another box, drone views from straight above
(another task), images without people, and crops with black corners from upstream rotations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.reid.cache import read_image
from reidpipe.types import Boxes, Image

LEFT_OUT = ("hdk_background", "hd2_topdown")
MIN_HEIGHT, MIN_WIDTH = 72, 24
ASPECT = (1.35, 5.5)  # height / width
MAX_COVERED = 0.5
MAX_BLACK = 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("det", type=Path, help="folder with train.txt, images/ and labels/")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    count = 0
    for line in (arguments.det / "train.txt").read_text().split():
        if not any(name in line for name in LEFT_OUT):
            count += cut(arguments.det / line, arguments.det / "labels", arguments.output)
    print(f"{count} crops in {arguments.output}")


def cut(image_file: Path, labels: Path, output: Path) -> int:
    """Write the usable people of one image; returns how many."""
    label_file = labels / f"{image_file.stem}.txt"
    if not label_file.is_file() or not label_file.read_text().strip():
        return 0
    image = read_image(image_file)
    boxes = read_boxes(label_file, image)
    rows = np.flatnonzero(usable(boxes))
    written = 0
    for row in rows.tolist():
        x1, y1, x2, y2 = np.round(boxes[row]).astype(int).tolist()
        crop = image[max(y1, 0) : y2, max(x1, 0) : x2]
        if (crop.max(axis=-1) < 8).mean() <= MAX_BLACK:
            cv2.imwrite(str(output / f"{image_file.stem}_{row}.png"), crop)
            written += 1
    return written


def read_boxes(label_file: Path, image: Image) -> Boxes:
    """YOLO labels as x1 y1 x2 y2 pixels."""
    table = np.loadtxt(label_file, ndmin=2, dtype=np.float32)
    centre, size = table[:, 1:3], table[:, 3:5]
    scale = np.array([image.shape[1], image.shape[0]] * 2, dtype=np.float32)
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1) * scale


def usable(boxes: Boxes) -> NDArray[np.bool_]:
    """Large enough, upright, and not half covered by another person's box."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    near = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    far = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    covered = np.clip(far - near, 0, None).prod(axis=-1) / np.maximum(width * height, 1)[:, None]
    np.fill_diagonal(covered, 0)
    ratio = height / np.maximum(width, 1)
    large = (height >= MIN_HEIGHT) & (width >= MIN_WIDTH) & (covered.max(axis=1) <= MAX_COVERED)
    good: NDArray[np.bool_] = large & (ratio >= ASPECT[0]) & (ratio <= ASPECT[1])
    return good


if __name__ == "__main__":
    main()
