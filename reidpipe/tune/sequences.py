"""Sequences whose truth is known, with what the detector and the embedder see in them: made once, followed often."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.build import build_detector, build_embedder
from reidpipe.config import Config
from reidpipe.detect.replay import ReplayDetector, read_mot_detections
from reidpipe.errors import ConfigError
from reidpipe.evaluate.mot_text import MotRows, read_mot
from reidpipe.sinks.files import camera_file, replacing
from reidpipe.source import open_source
from reidpipe.source.mot import has_pictures, is_mot_folder, read_seqinfo
from reidpipe.source.names import split_name
from reidpipe.stages import Detector, FrameDetector
from reidpipe.types import Boxes, Detections, Frame, Scores, Vectors
from reidpipe.weights import file_sha256, resolve

__all__ = ["Sequence", "load_sequence", "sequence_name"]

BATCH = 8
"""Pictures in one inference."""


@dataclass(frozen=True)
class Sequence:
    """One annotated sequence in memory: what the stages before the tracker see, and the truth.

    Attributes:
        name: of the camera.
        truth: people as they are, frames from 1.
        frames: int64 ``(F,)``, number of each picture in the truth.
        times_s: float64 ``(F,)``.
        edges: int64 ``(F + 1,)``: rows ``edges[k]:edges[k + 1]`` belong to picture k.
        boxes: float32 ``(N, 4)``, detections.
        scores: float32 ``(N,)``.
        vectors: float32 ``(N, D)``, unit rows; None: motion only.
        origin: what the detections are, one line.
        replayed: they were read from a file, so that nothing is known about their scores.
    """

    name: str
    truth: MotRows
    frames: NDArray[np.int64]
    times_s: NDArray[np.float64]
    edges: NDArray[np.int64]
    boxes: Boxes
    scores: Scores
    vectors: Vectors | None
    origin: str
    replayed: bool

    def pictures(self) -> Iterator[tuple[int, float, Detections, Vectors | None]]:
        """Frame number, time, detections without embeddings, and the embeddings of all of them."""
        for k, (frame, time_s) in enumerate(zip(self.frames.tolist(), self.times_s.tolist(), strict=True)):
            part = slice(self.edges[k], self.edges[k + 1])
            vectors = None if self.vectors is None else self.vectors[part]
            yield frame, time_s, Detections(self.boxes[part], self.scores[part]), vectors

    def digest(self) -> str:
        """Changes when the truth or the detections do."""
        found = hashlib.sha256(self.name.encode())
        for array in (self.truth.frames, self.truth.ids, self.truth.boxes, self.times_s, self.boxes, self.scores):
            found.update(np.ascontiguousarray(array).tobytes())
        if self.vectors is not None:
            found.update(np.ascontiguousarray(self.vectors).tobytes())
        return found.hexdigest()[:16]


def load_sequence(
    uri: str,
    *,
    config: Config,
    folder: Path,
    truth: Path | None = None,
    detections: Path | None = None,
    looks: bool = True,
) -> Sequence:
    """Read a sequence; pictures are looked at once, by the config's detector and embedder, and the result is kept.

    A folder without pictures is followed by the detections in its ``det/``, without appearance.

    Args:
        uri: a MOTChallenge folder, a video or a folder of images; ``name=uri`` names it.
        config: detector and embedder.
        folder: where what was seen is kept.
        truth: MOTChallenge file; by default ``gt/gt.txt`` in the folder.
        detections: MOTChallenge file to replay in the place of a detector.
        looks: embed every person found, where there are pictures.

    Raises:
        ConfigError: there is no truth, or nobody in it; no pictures and no detections.
        SourceError: the pictures cannot be read.
    """
    path, name = Path(split_name(uri)[1]), sequence_name(uri)
    people = read_mot(_truth(path, name, truth))
    if not len(people):
        raise ConfigError(f"{name}: nobody in the truth")
    if path.is_dir() and is_mot_folder(path) and not has_pictures(path):
        seen, origin, replayed = *_replayed(path, name, detections), True
    else:
        seen, origin = _seen(uri, name, config, folder, detections, looks=looks)
        replayed = detections is not None
    frames = seen["frames"]
    inside = (people.frames >= frames[0]) & (people.frames <= frames[-1]) if len(frames) else people.frames < 0
    edges = np.concatenate(([0], np.cumsum(seen["counts"]))).astype(np.int64)
    return Sequence(
        name=name,
        truth=people[inside],
        frames=frames,
        times_s=seen["times_s"],
        edges=edges,
        boxes=seen["boxes"],
        scores=seen["scores"],
        vectors=seen.get("vectors"),
        origin=origin,
        replayed=replayed,
    )


def sequence_name(uri: str) -> str:
    """What a sequence is called: as given with ``name=uri``, else its folder or file."""
    given, address = split_name(uri)
    path = Path(address)
    return given or (path.resolve().name if path.is_dir() else path.stem)


def _truth(path: Path, name: str, given: Path | None) -> Path:
    chosen = given or path / "gt" / "gt.txt"
    if not chosen.is_file():
        raise ConfigError(f"{name}: there is no truth at {chosen}: name it with --truth {name}=PATH")
    return chosen


def _replayed(path: Path, name: str, given: Path | None) -> tuple[dict[str, NDArray[Any]], str]:
    """Detections of a folder that has no pictures."""
    files = sorted((path / "det").glob("*.txt*")) if given is None else [given]
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ConfigError(f"{name}: no pictures, and not one file in det/ ({found}): use --detections {name}=PATH")
    info = read_seqinfo(path, camera=name)
    try:
        rate, count = float(info["frameRate"]), int(info["seqLength"])
    except (KeyError, ValueError):
        rate, count = 0.0, 0
    if not (rate > 0 and count > 0):
        raise ConfigError(f"{name}: seqinfo.ini needs frameRate and seqLength above 0")
    by_index = read_mot_detections(files[0])
    found_in = [by_index.get(index, Detections.empty()) for index in range(count)]
    frames = np.arange(1, count + 1)
    return _arrays(frames, frames / rate, found_in, None), f"detections from {files[0].name}, motion only"


def _seen(
    uri: str, name: str, config: Config, folder: Path, detections: Path | None, *, looks: bool
) -> tuple[dict[str, NDArray[Any]], str]:
    """What the models see, from the file it is kept in or looked at now."""
    key = _key(uri, config, detections, looks=looks)
    kept = camera_file(folder / "seen", name, ".npz")
    eyes = config.detect.model if detections is None else detections.name
    origin = f"detections from {eyes}, " + (f"looks from {config.embed.model}" if looks else "motion only")
    if kept.is_file():
        with np.load(kept) as stored:
            arrays = dict(stored)
        if str(arrays.pop("key")) == key:
            return arrays, f"{origin} (kept from before)"
    arrays = _look(uri, name, config, detections, looks=looks)
    with replacing(kept) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, key=np.array(key), **arrays)
    return arrays, origin


def _key(uri: str, config: Config, detections: Path | None, *, looks: bool) -> str:
    """Everything that decides what is seen; a kept file with another key is made anew."""
    path = Path(split_name(uri)[1])
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    eyes = config.detect.model_dump_json() + _digest(config.detect.model) if detections is None else ""
    replay = "" if detections is None else file_sha256(detections)
    embedder = config.embed.model_dump_json() + _digest(config.embed.model) if looks else ""
    span = config.source.model_dump_json(include={"start_s", "duration_s"})
    return hashlib.sha256(repr((stats, eyes, replay, embedder, span)).encode()).hexdigest()


def _digest(model: str) -> str:
    path = resolve(model).path
    return file_sha256(path) if path.is_file() else str(path.stat().st_mtime_ns)


def _look(uri: str, name: str, config: Config, detections: Path | None, *, looks: bool) -> dict[str, NDArray[Any]]:
    replay = None if detections is None else ReplayDetector({name: detections})
    detector: Detector | FrameDetector = replay or build_detector(config, cameras=[name])
    embedder = build_embedder(config) if looks else None
    source = open_source(uri, camera=name, start_s=config.source.start_s, duration_s=config.source.duration_s)
    frames: list[int] = []
    times_s: list[float] = []
    found: list[Detections] = []
    vectors: list[Vectors] = []
    try:
        for group in _groups(source.frames()):
            images = [frame.image for frame in group]
            new = detector.detect_frames(group) if isinstance(detector, FrameDetector) else detector.detect(images)
            found += new
            frames += [frame.index + 1 for frame in group]
            times_s += [frame.time_s for frame in group]
            if embedder is not None:
                vectors += embedder.embed(images, [one.boxes for one in new])
    finally:
        source.close()
    return _arrays(np.array(frames), np.array(times_s), found, vectors if looks else None)


def _groups(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    group: list[Frame] = []
    for frame in frames:
        group.append(frame)
        if len(group) == BATCH:
            yield group
            group = []
    if group:
        yield group


def _arrays(
    frames: NDArray[np.int64], times_s: NDArray[np.float64], found: list[Detections], vectors: list[Vectors] | None
) -> dict[str, NDArray[Any]]:
    boxes = [one.boxes for one in found] or [Detections.empty().boxes]
    scores = [one.scores for one in found] or [Detections.empty().scores]
    arrays: dict[str, NDArray[Any]] = {
        "frames": frames.astype(np.int64),
        "times_s": times_s,
        "counts": np.array([len(one) for one in found], np.int64),
        "boxes": np.concatenate(boxes),
        "scores": np.concatenate(scores),
    }
    if vectors:
        arrays["vectors"] = np.concatenate(vectors)
    return arrays
