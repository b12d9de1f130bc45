"""Folders as a run writes them, made with the run's own sinks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from reidpipe.sinks.events import EventsSink
from reidpipe.sinks.identities import write_identities
from reidpipe.sinks.jsonl import FramesSink
from reidpipe.sinks.runinfo import SourceReport, write_run_info
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.stages import SourceInfo
from reidpipe.types import Frame, FrameResult, Image, Link, TrackKey, Tracklet, Tracks, Vectors

DIM = 32


def looks(count: int, *, noise: float = 0.0, seed: int = 0) -> Vectors:
    """Unit vectors of people, the same for the same seed; ``noise`` changes them a little."""
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    rows += noise * np.random.default_rng(seed + 1).normal(size=rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def figure(seed: int) -> Image:
    """A person of 32 x 64 pixels: head, shirt, trousers."""
    rng = np.random.default_rng(seed)
    image = rng.integers(70, 120, (64, 32, 3), dtype=np.uint8)
    shirt, trousers = rng.integers(0, 255, (2, 3)).tolist()
    cv2.ellipse(image, (16, 28), (9, 14), 0, 0, 360, shirt, -1)
    cv2.rectangle(image, (9, 38), (22, 61), trousers, -1)
    cv2.circle(image, (16, 10), 6, (150, 180, 220), -1)
    return image


def frame_of(tracklet: Tracklet, index: int, time_s: float, global_id: int, *, ended: bool) -> FrameResult:
    """A picture with that one person in it."""
    image = np.full((80, 48, 3), 128, np.uint8)
    image[8:72, 8:40] = figure(global_id)
    ids = np.array([tracklet.key.track_id])
    box = np.array([[8, 8, 40, 72]], np.float32)
    tracks = Tracks(ids, box, np.array([0.9], np.float32), np.array([0]), ids if ended else np.zeros(0, np.int64))
    return FrameResult(Frame(tracklet.key.camera, index, time_s, image), tracks, np.array([global_id]))


def write_run(
    folder: Path,
    stays: list[tuple[int, str, float, float]],
    *,
    vectors: Vectors | None = None,
    cameras: tuple[str, ...] = (),
    start_s: float = 0.0,
    warnings: tuple[str, ...] = (),
    model: str = "osnet_x0_25",
) -> Path:
    """A run in which person ``i`` was at ``camera`` from ``first`` to ``last`` for each ``(i, camera, first, last)``.

    Args:
        folder: made.
        stays: in order of time.
        vectors: one for each stay; default: those of ``looks``, a little different each time.
        cameras: in this order, also those that saw nobody.
        start_s: added to all times.
        warnings: for run.json.
        model: the embedder, for run.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(dict.fromkeys([*cameras, *(camera for _, camera, _, _ in stays)]))
    people = looks(max((who for who, *_ in stays), default=0) + 1)
    if vectors is None:
        vectors = people[[who for who, *_ in stays]] + 0.05 * looks(len(stays), seed=9)
        vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
    tracklets = [
        Tracklet(TrackKey(camera, number), vector, 5, 0.8, start_s + first, start_s + last, closed=True)
        for number, ((_, camera, first, last), vector) in enumerate(zip(stays, vectors, strict=True), 1)
    ]
    links = [Link(t.key, who, 0.9, t.last_s) for (who, *_), t in zip(stays, tracklets, strict=True)]
    frames, events = FramesSink(folder / "frames.jsonl"), EventsSink(folder / "events.jsonl")
    keeper = ThumbnailKeeper(folder)
    seen = dict.fromkeys(names, 0)
    moments = sorted(
        (time_s, index, last)
        for index, t in enumerate(tracklets)
        for time_s, last in ((t.first_s, False), (t.last_s, True))
    )
    for time_s, index, last in moments:
        tracklet, link = tracklets[index], links[index]
        result = frame_of(tracklet, seen[tracklet.key.camera], time_s, link.global_id, ended=last)
        seen[tracklet.key.camera] += 1
        frames.write(result)
        events.write(result)
        keeper.update(result)
    events.links(links)
    frames.close()
    events.close()
    count = write_identities(folder, tracklets, links, thumbnails=keeper)
    keeper.close()
    write_run_info(
        folder / "run.json",
        status="complete",
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        config={"embed": {"name": "osnet", "model": model}, "associate": {"threshold": None}},
        sources=[SourceReport(name, SourceInfo(f"{name}.mp4", 48, 80, 10.0, 100), seen[name]) for name in names],
        counts={"frames": sum(seen.values()), "identities": count},
        stage_seconds={"detect": 1.5, "track": 0.25},
        wall_s=2.0,
        warnings=warnings,
    )
    return folder


def crowd(people: int, *, cameras: int = 4, hours: float = 3.0) -> list[tuple[int, str, float, float]]:
    """Stays of so many people who each walk past three cameras."""
    rng = np.random.default_rng(1)
    stays = []
    for who in range(1, people + 1):
        time_s = float(rng.uniform(0, hours * 3600 - 400))
        for camera in rng.permutation(cameras)[:3]:
            last = time_s + float(rng.uniform(5, 60))
            stays.append((who, f"camera {camera + 1}", round(time_s, 2), round(last, 2)))
            time_s = last + float(rng.uniform(5, 60))
    return sorted(stays, key=lambda stay: stay[2])
