"""What detectors are scored on: the ``det`` validation list and every k-th frame of five public sequences."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from reidpipe.evaluate.detection import People
from reidpipe.types import Image

from .dataset import read_labels
from .geometry import Array

SEQUENCES = ("PETS09-S2L1", "TUD-Stadtmitte", "TUD-Campus", "KITTI-17", "MOT17-13")
MOT17_DISTRACTORS = (2, 7, 8, 12)  # on a vehicle, static, distractor, reflection
LEAST_VISIBLE = 0.3


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the exam: which part it belongs to, its pixels (BGR), the people in it."""

    part: str
    image: Image
    people: People


def clean(boxes: Array, ignored: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> People:
    """People of valid boxes only."""
    good = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return People(boxes[good], ignored[good])


def validation(data: Path, stride: int = 1) -> Iterator[Picture]:
    """The pictures of ``det/val.txt``, part ``det:<set>``."""
    for name in (data / "det" / "val.txt").read_text().split()[::stride]:
        image = cv2.imread(str(data / "det" / name))
        if image is None:
            raise FileNotFoundError(f"cannot read {data / 'det' / name}")
        height, width = image.shape[:2]
        boxes = read_labels(data / "det" / "labels" / f"{Path(name).stem}.txt")
        boxes = boxes * np.array([width, height, width, height], np.float32)
        yield Picture(f"det:{Path(name).name.split('__')[0]}", image.astype(np.uint8, copy=False),
                      clean(boxes, np.zeros(len(boxes), np.bool_)))  # fmt: skip


def truth_of(sequence: Path) -> dict[int, People]:
    """People by frame number (1-based) of a MOT folder; distractors and people hardly visible are ignored."""
    table = np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",", ndmin=2)
    flag = table[:, 6] != 0
    if sequence.name.startswith("MOT17"):
        kind, visible = table[:, 7], table[:, 8]
        person = kind == 1
        table = table[person | np.isin(kind, MOT17_DISTRACTORS)]
        ignored = ~(flag & person & (visible >= LEAST_VISIBLE))[person | np.isin(kind, MOT17_DISTRACTORS)]
    else:
        ignored = ~flag
    boxes = np.concatenate([table[:, 2:4] - 1, table[:, 2:4] - 1 + table[:, 4:6]], axis=1).astype(np.float32)
    return {int(n): clean(boxes[table[:, 0] == n], ignored[table[:, 0] == n]) for n in np.unique(table[:, 0])}


def video_pictures(video: Path, truth: dict[int, People], part: str, stride: int) -> Iterator[Picture]:
    """Every ``stride``-th frame of a video whose truth is numbered from 1."""
    capture = cv2.VideoCapture(str(video))
    nobody = People(np.zeros((0, 4), np.float32), np.zeros(0, np.bool_))
    number = 0
    while capture.grab():
        number += 1
        if (number - 1) % stride:
            continue
        _, image = capture.retrieve()
        yield Picture(part, image.astype(np.uint8, copy=False), truth.get(number, nobody))
    capture.release()
    if not number:
        raise FileNotFoundError(f"cannot read {video}")


def sequences(data: Path, stride: int = 5) -> Iterator[Picture]:
    """Every ``stride``-th frame of the five sequences, part = the sequence's name."""
    for name in SEQUENCES:
        folder = data / "mot" / name
        info = configparser.ConfigParser()
        info.read(folder / "seqinfo.ini")
        video = next(folder.glob("*.mp4"))
        yield from video_pictures(video, truth_of(folder), name, stride)


def samples(folder: Path, stride: int = 10) -> Iterator[Picture]:
    """Every ``stride``-th frame of the project's synthetic samples, part ``samples``."""
    for video in sorted(folder.glob("*.mp4")):
        table = np.loadtxt(folder / "truth" / f"{video.stem}.txt", delimiter=",", ndmin=2)
        boxes = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1).astype(np.float32)
        hidden = table[:, 8] < LEAST_VISIBLE
        truth = {int(n): clean(boxes[table[:, 0] == n], hidden[table[:, 0] == n]) for n in np.unique(table[:, 0])}
        yield from video_pictures(video, truth, "samples", stride)
