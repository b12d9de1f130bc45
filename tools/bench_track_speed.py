"""Update cost of the trackers, one thread, beside whatever peers are installed: compare the ratios, not the times.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tools.bench_track_speed bytetrack steady

Peers are taken when they can be imported: ``ultralytics`` (with ``lap``) and roboflow's ``trackers``. Boxes move at
constant velocity with a little noise; trackers take turns picture by picture; CPU time of the thread, so that a busy
machine does not count; median over the pictures.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.types import Detections
from tools.bench_trackers import make

SIZES = (10, 50, 100, 200, 500)
Update = Callable[[Detections, float], object]
FloatArray = NDArray[np.float32]


class UltralyticsInput:
    """What its tracker expects of a result: boxes that can be indexed."""

    def __init__(self, boxes: FloatArray, scores: FloatArray) -> None:
        self.xyxy, self.conf, self.cls = boxes, scores, np.zeros(len(scores), np.float32)

    @property
    def xywh(self) -> FloatArray:
        low, high = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate(((low + high) / 2, high - low), axis=1)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: Any) -> UltralyticsInput:
        return UltralyticsInput(self.xyxy[rows], self.conf[rows])


def peers() -> dict[str, Callable[[], Update]]:
    found: dict[str, Callable[[], Update]] = {}
    try:
        from ultralytics.trackers.byte_tracker import BYTETracker
    except ImportError:
        pass
    else:
        limits = SimpleNamespace(
            track_high_thresh=0.6,
            track_low_thresh=0.1,
            new_track_thresh=0.7,
            track_buffer=30,
            match_thresh=0.9,
            fuse_score=True,
        )

        def ultralytics() -> Update:
            tracker = BYTETracker(limits)
            return lambda d, _: tracker.update(UltralyticsInput(d.boxes.copy(), d.scores.copy()))

        found["ultralytics"] = ultralytics
    try:
        import supervision as sv
        from trackers import ByteTrackTracker  # type: ignore[import-not-found]
    except ImportError:
        pass
    else:

        def roboflow() -> Update:
            tracker = ByteTrackTracker()
            return lambda d, _: tracker.update(
                sv.Detections(xyxy=d.boxes.copy(), confidence=d.scores.copy(), class_id=np.zeros(len(d), dtype=int))
            )

        found["roboflow"] = roboflow
    return found


def ours(name: str) -> Callable[[], Update]:
    return lambda: make(name).update


def scene(count: int, pictures: int) -> list[Detections]:
    rng = np.random.default_rng(0)
    place, speed = rng.uniform(0, 1, (count, 2)) * [1920, 1080], rng.uniform(-3, 3, (count, 2))
    height = rng.uniform(60, 180, count)
    half = np.stack((0.2 * height, 0.5 * height), axis=1)
    result = []
    for k in range(pictures):
        centre = place + speed * k
        boxes = np.concatenate((centre - half, centre + half), axis=1) + rng.normal(0, 0.5, (count, 4))
        result.append(Detections(boxes.astype(np.float32), rng.uniform(0.7, 1, count).astype(np.float32)))
    return result


def main() -> None:
    names = sys.argv[1:] or ["bytetrack", "steady"]
    factories: dict[str, Callable[[], Update]] = {**peers(), **{name: ours(name) for name in names}}
    print("microseconds a picture:", ", ".join(factories))
    for count in SIZES:
        pictures = scene(count, 100 if count < 500 else 40)
        updates = {name: factory() for name, factory in factories.items()}
        times: dict[str, list[float]] = {name: [] for name in updates}
        for k, detections in enumerate(pictures):
            for name, update in updates.items():
                start = time.thread_time()
                update(detections, k / 30)
                times[name].append(time.thread_time() - start)
        medians = {name: float(np.median(values[5:])) * 1e6 for name, values in times.items()}
        first = next(iter(medians.values()))
        print(f"{count:4d}", "  ".join(f"{name} {value:.0f} ({value / first:.2f})" for name, value in medians.items()))


if __name__ == "__main__":
    main()
