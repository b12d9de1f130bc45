"""The five real sequences of ../shared/data/mot as our models see them: made once, kept in runs/track/."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.evaluate.mot_text import MotRows, read_mot
from reidpipe.track.flow import CameraMotion, Warp
from reidpipe.types import Detections, Ids, Image, Tracks
from reidpipe.weights import file_sha256, resolve

__all__ = ["SEQUENCES", "Crops", "RealSequence"]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "mot"
CACHE = ROOT / "runs" / "track"
SEQUENCES = ("TUD-Campus", "TUD-Stadtmitte", "KITTI-17", "PETS09-S2L1", "MOT17-13")
Crops: TypeAlias = Literal["none", "demand", "all"]
Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class RealSequence:
    """One sequence in memory, with what the models see in it."""

    name: str
    fps: float
    count: int
    truth: MotRows
    seen: Arrays

    @classmethod
    def load(cls, name: str, detector: str = "person_n", embedder: str = "osnet_x0_25") -> RealSequence:
        ini = configparser.ConfigParser()
        ini.read(DATA / name / "seqinfo.ini")
        info = ini["Sequence"]
        label = f"{name}-{_label(detector)}-{_label(embedder)}"
        seen = _kept(label, lambda: _look(name, detector, embedder))
        return cls(
            name, float(info["frameRate"]), int(info["seqLength"]), read_mot(DATA / name / "gt" / "gt.txt"), seen
        )

    def step(self, fps: float | None) -> int:
        """Every how many-th picture makes about ``fps`` a second."""
        return 1 if fps is None else max(1, round(self.fps / fps))

    def truth_of(self, frames: range) -> MotRows:
        return self.truth[(self.truth.frames - frames.start) % frames.step == 0]

    def found(self, frame: int) -> tuple[Detections, NDArray[np.float32]]:
        """Detections of one frame, and the vectors of all their crops."""
        first, end = np.searchsorted(self.seen["frames"], (frame, frame + 1))
        part = slice(int(first), int(end))
        return Detections(self.seen["boxes"][part], self.seen["scores"][part]), self.seen["vectors"][part]

    def follow(self, tracker: Any, crops: Crops, frames: range) -> Iterator[tuple[int, float, Detections, Tracks, Ids]]:
        """As ``reidpipe run`` follows: frame, time, detections, tracks, and the rows that were embedded.

        A tracker that can be told how the camera moves is told, by sparse flow between the chosen frames.
        """
        warps = self._warps(frames.step) if hasattr(tracker, "camera_moved") else {}
        for frame in frames:
            (found, vectors), time_s = self.found(frame), frame / self.fps
            if frame in warps:
                tracker.camera_moved(warps[frame])
            wanted = np.arange(len(found) if crops == "all" else 0)
            wanted = tracker.wants(found, time_s) if crops == "demand" else wanted
            if len(wanted):
                found = found.with_embeddings(wanted, vectors[wanted])
            yield frame, time_s, found, tracker.update(found, time_s), wanted

    def _warps(self, step: int) -> dict[int, Warp]:
        """How the camera moved to each frame from the one ``step`` before it; none where it stands still."""
        kept = _kept(f"{self.name}-flow-{step}", lambda: self._flow(step))
        return dict(zip(kept["frames"].tolist(), kept["warps"], strict=True))

    def _flow(self, step: int) -> Arrays:
        watches, frames, warps = [CameraMotion() for _ in range(step)], [], []
        for frame, image in _pictures(self.name):
            warp = watches[frame % step].update(image, self.found(frame)[0].boxes, frame / self.fps)
            if warp is not None:
                frames.append(frame)
                warps.append(warp)
        return {"frames": np.array(frames, np.int64), "warps": np.array(warps).reshape(-1, 2, 3)}


def _pictures(name: str) -> Iterator[tuple[int, Image]]:
    import cv2

    video, frame = cv2.VideoCapture(str(DATA / name / f"{name}.mp4")), 0
    while (picture := video.read())[0]:
        frame += 1
        yield frame, np.asarray(picture[1], dtype=np.uint8)


def _look(name: str, detector: str, embedder: str) -> Arrays:
    """Detections and embeddings of all frames."""
    from reidpipe.detect.yolo import YoloDetector
    from reidpipe.embed.osnet import OSNetEmbedder

    finder, looker = YoloDetector(detector, threads=1), OSNetEmbedder(embedder, threads=1)
    found, vectors = [], []
    for _, image in _pictures(name):
        found.append(finder.detect([image])[0])
        vectors.append(looker.embed([image], [found[-1].boxes])[0])
    return {
        "frames": np.repeat(np.arange(1, len(found) + 1), [len(d) for d in found]),
        "boxes": np.concatenate([d.boxes for d in found]),
        "scores": np.concatenate([d.scores for d in found]),
        "vectors": np.concatenate(vectors),
    }


def _kept(label: str, make: Any) -> Arrays:
    """From the file it is kept in, or made now."""
    path = CACHE / f"{label}.npz"
    if path.is_file():
        return dict(np.load(path))
    arrays: Arrays = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **arrays)
    return arrays


def _label(model: str) -> str:
    """A model by name and content: another state of a net under the same name is not the same model."""
    path = resolve(model).path
    return f"{path.stem}-{file_sha256(path)[:8]}"
