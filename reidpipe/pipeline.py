"""The loop, in flow order: detect -> embed -> track -> pool -> associate, for the pictures of one moment.

    pipeline = Pipeline(detector=..., embedder=..., tracker=ByteTrack, pooler=..., associator=...)
    for frames in merged:                      # at most one picture of each camera
        for result in pipeline.step(frames):
            ...

The stages are given ready made, so this module knows their protocols only; ``reidpipe.build`` makes them from a config.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from reidpipe.errors import ConfigError, ReidpipeError, StageError
from reidpipe.stages import (
    Associator,
    CameraWatch,
    Detector,
    Embedder,
    FrameDetector,
    Pooler,
    Replaceable,
    Steerable,
    Tracker,
)
from reidpipe.types import (
    NOT_KNOWN,
    Boxes,
    Detections,
    Frame,
    FrameResult,
    Ids,
    Image,
    Link,
    TrackKey,
    Tracklet,
    Tracks,
    Vectors,
)

__all__ = ["Pipeline"]


class Pipeline:
    """Runs the stages on the pictures of one moment, keeps one tracker for each camera, and times each stage.

    Args:
        detector: finds people; one call for all cameras.
        tracker: makes a tracker; called once for each camera.
        embedder: turns people into vectors; None follows people inside each camera only.
        pooler: collects a track's vectors; needs an embedder.
        associator: gives global ids; needs a pooler.
        every: detect on every n-th picture of a camera, let the tracker predict the others.
        camera_watch: makes what follows the movement of a camera; called once for each. None: nobody tells the tracker.

    Raises:
        ConfigError: the stages do not fit each other.

    Attributes:
        seconds: stage name -> seconds of wall time spent in it.
        counts: what went through: ``frames``, ``detections``, ``crops`` (embedded), ``tracklets``, ``links``.
    """

    def __init__(
        self,
        *,
        detector: Detector | FrameDetector,
        tracker: Callable[[], Tracker],
        embedder: Embedder | None = None,
        pooler: Pooler | None = None,
        associator: Associator | None = None,
        every: int = 1,
        camera_watch: Callable[[], CameraWatch] | None = None,
    ) -> None:
        if every < 1:
            raise ConfigError(f"every must be 1 or more, got {every}")
        if pooler is not None and embedder is None:
            raise ConfigError("a pooler needs an embedder: there would be nothing to pool")
        if associator is not None and pooler is None:
            raise ConfigError("an associator needs a pooler: there would be no tracklets")
        if embedder is None and getattr(tracker(), "needs_appearance", False):
            raise ConfigError("this tracker needs an embedder: choose one, or a tracker that works on motion alone")
        self._detect = _by_frames(detector)
        self._make_tracker = tracker
        self._embedder = embedder
        self._pooler = pooler
        self._associator = associator
        self._every = every
        self._make_watch = camera_watch
        self._watches: dict[str, CameraWatch] = {}
        self._motions: dict[str, str] = {}  # of cameras that have ended
        self._people: dict[str, Boxes] = {}
        self._trackers: dict[str, Tracker] = {}
        self._last: dict[str, Frame] = {}
        self._global_ids: dict[TrackKey, int] = {}
        self._alive: set[TrackKey] = set()
        self._closed: list[Tracklet] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.counts: Counter[str] = Counter()

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Take the pictures of one moment, at most one of each camera; one result for each, in order.

        Raises:
            StageError: a stage raised something that is not a ``ReidpipeError``; the cause is chained.
        """
        return self.follow(frames, self.detect(frames))

    def detect(self, frames: Sequence[Frame]) -> list[Detections | None]:
        """The stateless half of ``step``: may run ahead of ``follow`` in another thread.

        None stands for a picture whose turn it is not (``every``).
        """
        due = [frame for frame in frames if frame.index % self._every == 0]
        with self._stage("detect"):
            if not due:
                found: list[Detections] = []
            else:
                found = self._detect(due)
        ready = iter(found)
        return [next(ready) if frame.index % self._every == 0 else None for frame in frames]

    def follow(self, frames: Sequence[Frame], found: Sequence[Detections | None]) -> list[FrameResult]:
        """The half of ``step`` that keeps state: embed, track, pool, associate.

        Args:
            frames: the pictures of one moment.
            found: what ``detect`` gave for them.
        """
        detections = [Detections.empty() if one is None else one for one in found]
        trackers = [self._tracker(frame.camera) for frame in frames]
        self.counts["frames"] += len(frames)
        self.counts["detections"] += sum(map(len, detections))

        for tracker, frame, given in zip(trackers, frames, found, strict=True):
            self._watch(tracker, frame, given)
        with self._stage("track"):
            wanted = [t.wants(d, f.time_s) for t, d, f in zip(trackers, detections, frames, strict=True)]
        detections = self._embed(frames, detections, wanted)
        tracks = []
        for tracker, frame, given, seen in zip(trackers, frames, found, detections, strict=True):
            with self._stage("track", frame.camera):
                tracks.append(tracker.predict(frame.time_s) if given is None else tracker.update(seen, frame.time_s))
            self._last[frame.camera] = frame
        self._alive.update(
            TrackKey(f.camera, i) for f, t in zip(frames, tracks, strict=True) for i in t.track_ids.tolist()
        )
        tracklets = self._pool(frames, detections, tracks)
        links = self._associate(tracklets, max((frame.time_s for frame in frames), default=0.0))
        return self._results(frames, tracks, links)

    def camera_motion(self, camera: str) -> str:
        """Whether a camera is ``fixed`` or ``moving``; ``unknown`` while nothing can be said."""
        watch = self._watches.get(camera)
        return self._motions.get(camera, "unknown") if watch is None else watch.state

    def close_camera(self, camera: str) -> list[Link]:
        """A camera has ended: its tracks end, their tracklets close, its state is given back."""
        tracker = self._trackers.pop(camera, None)
        last = self._last.pop(camera, None)
        self._people.pop(camera, None)
        if (watch := self._watches.pop(camera, None)) is not None:
            self._motions[camera] = watch.state  # asked for when the run is over
        if tracker is None or last is None:
            return []
        with self._stage("track", camera):
            tracks = tracker.close()
        frame = Frame.without_image(camera, last.index, last.time_s)
        tracklets = self._pool([frame], [Detections.empty()], [tracks])
        links = self._associate(tracklets, last.time_s)
        self._forget(camera, tracks.ended)
        return links

    def close(self) -> list[Link]:
        """All cameras have ended; returns what the associator decides at the end (offline: everything)."""
        links = self.close_cameras()
        if self._associator is not None:
            with self._stage("associate"):
                last = self._associator.close()
            self.counts["links"] += len(last)
            links += last
        return links

    def close_cameras(self) -> list[Link]:
        """Every camera that has not ended yet does."""
        return [link for camera in list(self._trackers) for link in self.close_camera(camera)]

    @property
    def is_undecided(self) -> bool:
        """True when the associator decides at the end only, so that tracklets can still be replaced."""
        return isinstance(self._associator, Replaceable)

    def replace_tracklets(self, tracklets: Sequence[Tracklet]) -> None:
        """Put these in the place of all tracklets so far; only while ``is_undecided``."""
        associator: object = self._associator
        if isinstance(associator, Replaceable):
            associator.replace(tracklets)
            self.counts["tracklets"] = len(tracklets)

    def appearance(self, image: Image, boxes: Boxes) -> Vectors:
        """What people in some other picture look like, float32 ``(N, dim)``; changes no state.

        Args:
            image: uint8 ``(H, W, 3)`` BGR.
            boxes: float32 ``(N, 4)`` pixels.

        Raises:
            ConfigError: there is no embedder.
        """
        if self._embedder is None:
            raise ConfigError("this run has no embedder: nobody can be compared")
        with self._stage("embed"):
            return self._embedder.embed([image], [boxes])[0]

    def forget(self, global_id: int) -> None:
        """Nobody has this identity any more, until a link says who they are; the associator is told."""
        forget = getattr(self._associator, "forget", None)
        if forget is not None:
            forget(global_id)
        for key in [key for key, own in self._global_ids.items() if own == global_id]:
            del self._global_ids[key]

    @property
    def association(self) -> dict[str, Any]:
        """What the associator says about how it decided; empty while it has not."""
        return dict(getattr(self._associator, "report", {}))

    def take_forgotten(self) -> list[int]:
        """Identities that others deleted from the store since this was last asked; nobody has them any more."""
        take = getattr(self._associator, "take_forgotten", None)
        gone: list[int] = [] if take is None else take()
        for key in [key for key, own in self._global_ids.items() if own in gone] if gone else ():
            del self._global_ids[key]
        return gone

    def take_closed(self) -> list[Tracklet]:
        """The tracklets that closed since this was last called, each exactly once."""
        closed, self._closed = self._closed, []
        return closed

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the wall time of a block to ``seconds[name]``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def _watch(self, tracker: Tracker, frame: Frame, found: Detections | None) -> None:
        """See how the camera moved since its last picture, and tell the tracker, before anything is expected of it."""
        if self._make_watch is None or not frame.has_image:
            return
        if frame.camera not in self._watches:
            self._watches[frame.camera] = self._make_watch()
        if found is not None:
            self._people[frame.camera] = found.boxes  # between detections people are about where they were
        people = self._people.get(frame.camera, Detections.empty().boxes)
        with self._stage("camera", frame.camera):
            warp = self._watches[frame.camera].update(frame.image, people, frame.time_s)
            if warp is not None and isinstance(tracker, Steerable):
                tracker.camera_moved(warp)

    def _tracker(self, camera: str) -> Tracker:
        if camera not in self._trackers:
            self._trackers[camera] = self._make_tracker()
        return self._trackers[camera]

    def _embed(self, frames: Sequence[Frame], detections: list[Detections], rows: list[Ids]) -> list[Detections]:
        """Detections with vectors for the chosen rows; those that have one already are left out."""
        if self._embedder is None:
            return detections
        rows = [_missing(one, due) for one, due in zip(detections, rows, strict=True)]
        busy = [i for i, due in enumerate(rows) if len(due)]
        if not busy:
            return detections
        with self._stage("embed"):
            vectors = self._embedder.embed(
                [frames[i].image for i in busy], [detections[i].boxes[rows[i]] for i in busy]
            )
        self.counts["crops"] += sum(map(len, vectors))
        for i, found in zip(busy, vectors, strict=True):
            detections[i] = detections[i].with_embeddings(rows[i], found)
        return detections

    def _pool(self, frames: Sequence[Frame], detections: list[Detections], tracks: list[Tracks]) -> list[Tracklet]:
        if self._pooler is None:
            return []
        with self._stage("pool"):
            due = [self._pooler.wants(f, d, t) for f, d, t in zip(frames, detections, tracks, strict=True)]
        detections = self._embed(frames, detections, due)
        with self._stage("pool"):
            tracklets = [
                tracklet
                for frame, seen, tracked in zip(frames, detections, tracks, strict=True)
                for tracklet in self._pooler.update(frame, seen, tracked)
            ]
        closed = [tracklet for tracklet in tracklets if tracklet.closed]
        self.counts["tracklets"] += len(closed)
        self._closed += closed
        return tracklets

    def _associate(self, tracklets: list[Tracklet], time_s: float) -> list[Link]:
        if self._associator is None:
            return []
        with self._stage("associate"):
            links = self._associator.update(tracklets, time_s)
        self.counts["links"] += len(links)
        # A track that ended before it was decided is shown no more: remembering it would grow for ever.
        self._global_ids.update((link.key, link.global_id) for link in links if link.key in self._alive)
        return links

    def _results(self, frames: Sequence[Frame], tracks: list[Tracks], links: list[Link]) -> list[FrameResult]:
        """One result a picture. A correction to a camera that has no picture now travels with the first result."""
        here = {frame.camera for frame in frames}
        strays = tuple(link for link in links if link.key.camera not in here)
        results: list[FrameResult] = []
        for frame, tracked in zip(frames, tracks, strict=True):
            keys = [TrackKey(frame.camera, int(i)) for i in tracked.track_ids]
            global_ids = np.array([self._global_ids.get(key, NOT_KNOWN) for key in keys], np.int64)
            own = tuple(link for link in links if link.key.camera == frame.camera)
            results.append(FrameResult(frame, tracked, global_ids, own if results else own + strays))
            self._forget(frame.camera, tracked.ended)
        return results

    def _forget(self, camera: str, ended: Ids) -> None:
        for track_id in ended.tolist():
            self._global_ids.pop(TrackKey(camera, track_id), None)
            self._alive.discard(TrackKey(camera, track_id))

    @contextmanager
    def _stage(self, name: str, camera: str | None = None) -> Iterator[None]:
        """Times a stage, and names it (and the camera) when it raises."""
        try:
            with self.timed(name):
                yield
        except ReidpipeError:
            raise
        except Exception as error:
            raise StageError(name, error, camera=camera) from error


def _by_frames(detector: Detector | FrameDetector) -> Callable[[Sequence[Frame]], list[Detections]]:
    """One way to call both kinds of detector."""
    if isinstance(detector, FrameDetector):
        return detector.detect_frames
    return lambda frames: detector.detect([frame.image for frame in frames])


def _missing(detections: Detections, rows: Ids) -> Ids:
    """The rows that have no vector yet."""
    if detections.embedded is None:
        return rows
    return rows[~detections.embedded[rows]]
