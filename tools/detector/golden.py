"""Known answers of the shipped detector: one synthetic picture and what the model says to it, for the tests."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from reidpipe.detect.yolo import YoloDetector
from reidpipe.synth.world import World

SEED = 90_001  # no world of the training set
SIZES = (416, 640)


def write_golden(model: Path, folder: Path) -> int:
    """Write ``frame.png`` (kept if there) and ``expected.json``; returns the number of boxes at the first size."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "frame.png"
    if not picture.exists():
        world = World.make(SEED, people=9, cameras=1, layout="overlap", duration_s=10.0, size=(480, 360))
        cv2.imwrite(str(picture), world.render(world.cameras[0], 4.0).image)
    image = np.asarray(cv2.imread(str(picture)), dtype=np.uint8)
    answers = {}
    for size in SIZES:
        found = YoloDetector(model, input_size=size, min_score=0.3, backend="onnxruntime").detect([image])[0]
        answers[str(size)] = {"boxes": np.round(found.boxes, 2).tolist(), "scores": np.round(found.scores, 4).tolist()}
    (folder / "expected.json").write_text(json.dumps(answers, indent=1) + "\n")
    return len(answers[str(SIZES[0])]["boxes"])
