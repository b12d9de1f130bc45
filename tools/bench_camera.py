"""What following the camera is worth, and what it costs: MOT17-13 from a bus, and which cameras are found to be fixed.

    OMP_NUM_THREADS=1 python -m tools.bench_camera

Each tracker gets the same detections: with nothing done about the camera, with its movement read from the people, and
told it by sparse flow as well. What a picture costs is CPU time, also of the bus enlarged to 1920x1080.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reidpipe.evaluate.mot import count_sequence
from reidpipe.evaluate.mot_text import MotRows, read_mot
from reidpipe.evaluate.paired import PairedSequence
from reidpipe.track.flow import CameraMotion
from reidpipe.track.steady import Steady
from reidpipe.types import Detections, Image

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mot"
FIXED = {"TUD-Campus": 25.0, "TUD-Stadtmitte": 25.0, "KITTI-17": 10.0, "PETS09-S2L1": 7.0}
BUS, BUS_FPS = "MOT17-13", 25.0
Found = list[Detections]
Warps = dict[int, NDArray[np.float64]]


def images(name: str) -> Iterator[Image]:
    import cv2

    video = cv2.VideoCapture(str(DATA / name / f"{name}.mp4"))
    while (picture := video.read())[0]:
        yield np.asarray(picture[1], np.uint8)


def people(name: str) -> Found:
    """Everybody of the truth, in the place of a detector."""
    rows = read_mot(DATA / name / "gt" / "gt.txt")
    boxes, scores = rows.boxes.astype(np.float32), np.ones(len(rows), np.float32)
    edges = np.searchsorted(rows.frames, np.arange(1, rows.frames[-1] + 2))
    return [Detections(boxes[a:b], scores[a:b]) for a, b in itertools.pairwise(edges)]


def watch(name: str, fps: float, found: Found, *, zoom: int = 1) -> Warps:
    """Where each picture moved to from the one before; prints what was found and its cost."""
    import cv2

    motion, warps, costs = CameraMotion(), Warps(), []
    for k, image in enumerate(images(name)):
        image = np.asarray(cv2.resize(image, None, fx=zoom, fy=zoom), np.uint8) if zoom > 1 else image
        boxes = zoom * (found[k].boxes if k < len(found) else Detections.empty().boxes)
        start = time.thread_time()
        warp = motion.update(image, boxes, k / fps)
        costs.append(1e3 * (time.thread_time() - start))
        if warp is not None:
            warps[k] = warp
    size, looks = f"{image.shape[1]}x{image.shape[0]}", f"moved in {motion.moved} of {motion.looks} looks"
    cost = f"{np.median(costs):.2f} ms a picture, 95 % under {np.percentile(costs, 95):.2f}"
    print(f"{name}, {size}: {motion.state}, {looks}, {cost}")
    return warps


def score(found: Found, warps: Warps | None, *, moving_camera: bool, step: int) -> str:
    tracker, followed, path = Steady(moving_camera=moving_camera), [], np.eye(3)
    for k, detections in enumerate(found):
        if warps is not None and k in warps:
            path = np.vstack((warps[k], (0, 0, 1))) @ path
        if k % step:
            continue
        if warps is not None:
            tracker.camera_moved(path[:2])
        path = np.eye(3)
        followed.append((k + 1, tracker.update(detections, k / BUS_FPS)))
    truth = read_mot(DATA / BUS / "gt" / "gt.txt")
    truth = truth[(truth.frames - 1) % step == 0]
    scores = count_sequence(PairedSequence.of(truth, MotRows.of_tracks(followed))).scores()
    figures = " / ".join(f"{scores[name]:.1f}" for name in ("HOTA", "MOTA", "IDF1"))
    return f"{figures}, {scores['IDSW']} switches"


def main() -> None:
    for name, fps in FIXED.items():
        watch(name, fps, people(name))
    rows = read_mot(DATA / BUS / "det" / "det_YOLOX_ablation_raw.txt.gz")
    edges = np.searchsorted(rows.frames, np.arange(1, 752))
    boxes, scores = rows.boxes.astype(np.float32), np.minimum(rows.scores, 1).astype(np.float32)
    found = [Detections(boxes[a:b], scores[a:b]) for a, b in itertools.pairwise(edges)]
    watch(BUS, BUS_FPS, found, zoom=2)
    warps = watch(BUS, BUS_FPS, found)
    for step in (1, 5):
        print(f"every {step}. picture, nothing:        {score(found, None, moving_camera=False, step=step)}")
        print(f"every {step}. picture, from people:    {score(found, None, moving_camera=True, step=step)}")
        print(f"every {step}. picture, flow as well:   {score(found, warps, moving_camera=True, step=step)}")


if __name__ == "__main__":
    main()
