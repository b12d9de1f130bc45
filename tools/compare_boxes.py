"""How many of one detector's people another one finds, on a video without truth: where labels are missing, an opinion.

    python tools/compare_boxes.py VIDEO... --models weights/person_n.onnx --against yolov8n [--size 416 640]

Every 30th picture. The reference runs at 640 and its boxes of score 0.4 and more count; a model finds one if a box of
its own overlaps it by an IoU of 0.5 with a score of 0.3, or of 0.55 (what a track needs).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reidpipe.boxes import iou  # noqa: E402
from tools.detector.runners import build  # noqa: E402

EVERY = 30
SURE = 0.4
LEVELS = (0.3, 0.55)


def main() -> None:
    """Print a row for each video, model and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--models", nargs="+", default=["weights/person_n.onnx"])
    parser.add_argument("--against", default="yolov8n")
    parser.add_argument("--size", type=int, nargs="+", default=[640])
    parser.add_argument("--weights", type=Path, default=ROOT / "../shared/data/weights")
    options = parser.parse_args()
    reference, *models = build([options.against, *options.models], options.weights, threads=1)
    print(f"| video | model | size | people of {options.against} | found, score 0.3 | score 0.55 |")
    print("|---|---|---|---|---|---|")
    for video in options.videos:
        best: dict[tuple[str, int], list[float]] = {(model.name, size): [] for model in models for size in options.size}
        capture, number = cv2.VideoCapture(str(video)), 0
        while True:
            more, image = capture.read()
            if not more:
                break
            if number % EVERY == 0:
                wanted = reference.find(np.asarray(image, np.uint8), 640)
                people = wanted.boxes[wanted.scores >= SURE]
                for model in models:
                    for size in options.size:
                        found = model.find(np.asarray(image, np.uint8), size)
                        fits = iou(people, found.boxes) >= 0.5
                        scores = np.where(fits, found.scores[None], 0.0).max(axis=1, initial=0.0)
                        best[model.name, size] += scores.tolist()
            number += 1
        for (name, size), scores in best.items():
            shares = " | ".join(f"{100 * np.mean(np.asarray(scores) >= level):.0f} %" for level in LEVELS)
            print(f"| {video.stem} | {name} | {size} | {len(scores)} | {shares} |")


if __name__ == "__main__":
    main()
