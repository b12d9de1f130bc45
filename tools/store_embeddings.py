"""Store the answers of the shipped embedder to synthetic people, for tests/reid/test_shipped.py.

    python tools/store_embeddings.py

Run it once when the shipped weights change. The people are cut from the sample videos, each person's largest box, and
kept as they are if they were stored before.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.reid.cache import read_image
from reidpipe.types import Image

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
TARGET = ROOT / "tests" / "reid" / "shipped"
SIZE = (64, 128)  # columns, rows of a stored person
MODELS = ("osnet_x0_25", "osnet_ain_x0_25")


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    people_file = TARGET / "people.png"
    if not people_file.is_file():
        cv2.imwrite(str(people_file), np.concatenate(cut_people("cam1"), axis=1))
    strip = read_image(people_file)
    lefts = np.arange(0, strip.shape[1], SIZE[0], dtype=np.float32)
    boxes = np.stack([lefts, 0 * lefts, lefts + SIZE[0], 0 * lefts + SIZE[1]], axis=1)
    for name in MODELS:
        vectors = OSNetEmbedder(name, backend="onnxruntime").embed(strip, boxes)
        np.savez_compressed(TARGET / f"{name}.npz", boxes=boxes, vectors=vectors.astype(np.float16))
        print(f"{name}: {len(vectors)} people")


def cut_people(camera: str) -> list[Image]:
    """Each person of a sample video at the largest true box, resized; rows of the truth: frame, id, x, y, w, h, ..."""
    truth = np.loadtxt(SAMPLES / "truth" / f"{camera}.txt", delimiter=",", usecols=range(6))
    people = []
    for person in np.unique(truth[:, 1]):
        rows = truth[truth[:, 1] == person]
        frame, _, x, y, width, height = np.round(rows[(rows[:, 4] * rows[:, 5]).argmax()]).astype(int).clip(0)
        video = cv2.VideoCapture(str(SAMPLES / f"{camera}.mp4"))
        video.set(cv2.CAP_PROP_POS_FRAMES, int(frame) - 1)
        _, image = video.read()
        crop = cv2.resize(image[y : y + height, x : x + width], SIZE, interpolation=cv2.INTER_AREA)
        people.append(np.asarray(crop, dtype=np.uint8))
    return people


if __name__ == "__main__":
    main()
