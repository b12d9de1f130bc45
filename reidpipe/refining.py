"""Between following and identifying: the tracks of recorded cameras are made better once the cameras have ended.

Tracks that went over from one person to another are cut, fragments of one person are joined, short gaps are filled,
boxes are smoothed, glimpses are dropped: see ``reidpipe.track.refine``. Each camera is refined by itself, so that it
gives the same alone and beside others. Online output is never touched by this.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np

from reidpipe.pool.remake import cut_tracklet, join_tracklets
from reidpipe.rewriting import refined_pictures, rewrite_events, rewrite_frames
from reidpipe.settings import RefineSettings
from reidpipe.sinks.files import sink_error
from reidpipe.sinks.jsonl import assign_global_ids
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.track.refine import Crops, History, Piece, Refined, refine
from reidpipe.types import Detections, FrameResult, Link, TrackKey, Tracklet

__all__ = ["Refining"]

ROW = np.dtype([("camera", "<i4"), ("time_s", "<f8"), ("track", "<i8"), ("box", "<f4", 4), ("score", "<f4")])


class Refining:
    """Notes the detections that fed each track while a run goes on, in a temporary file; refines them at its end.

    Then all boxes are held in memory, about 100 bytes each.

    Args:
        folder: of the run; the temporary file has no name and vanishes by itself.
        cameras: names.
        settings: what is done, and up to which gaps.

    Raises:
        SinkError: the temporary file cannot be made.
    """

    def __init__(self, folder: Path, cameras: Sequence[str], settings: RefineSettings) -> None:
        self._folder = folder
        self._number = {camera: number for number, camera in enumerate(cameras)}
        self._settings = settings
        self._times_s = {camera: array("d") for camera in cameras}
        self._refined: dict[str, Refined] = {}
        self._regrouped = False
        try:
            self._spool: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError as error:
            raise sink_error(folder, error) from error

    def note(self, result: FrameResult, detections: Detections | None) -> None:
        """One picture: its tracks and the detections that they were fed with; None: it was only predicted.

        Raises:
            SinkError: the disk is full.
        """
        camera, tracks = result.frame.camera, result.tracks
        self._times_s[camera].append(result.frame.time_s)
        fed = tracks.det_rows >= 0
        if detections is None or not fed.any():
            return
        rows = np.zeros(int(fed.sum()), ROW)
        rows["camera"], rows["time_s"] = self._number[camera], result.frame.time_s
        rows["track"], rows["score"] = tracks.track_ids[fed], tracks.scores[fed]
        rows["box"] = detections.boxes[tracks.det_rows[fed]]
        try:
            self._spool.write(rows.tobytes())
        except OSError as error:
            raise sink_error(self._folder, error) from error

    def mend(self, tracklets: Sequence[Tracklet], *, regroup: bool) -> list[Tracklet]:
        """Refine all cameras; the tracklets of the tracks that there are now.

        Args:
            tracklets: of the online tracks, closed.
            regroup: cut and join tracks; False where identities are decided already, for the tracks as they were.
        """
        rows, self._regrouped = self._noted(), regroup
        latest = {tracklet.key: tracklet for tracklet in tracklets}
        found: list[Tracklet] = []
        for camera, number in self._number.items():
            own = {key.track_id: tracklet for key, tracklet in latest.items() if key.camera == camera}
            refined = self._refine(camera, rows[rows["camera"] == number], own, regroup=regroup)
            self._refined[camera] = refined
            found += _remade(camera, own, refined.pieces)
        return found

    def write(self, links: Sequence[Link], thumbnails: ThumbnailKeeper | None = None) -> None:
        """Rewrite ``frames.jsonl`` and ``events.jsonl`` with the refined tracks, each all or nothing.

        Where identities were decided on the way, the events stay as they were told then, but for the final identities.

        Args:
            links: the identities of the tracks that there are now, decisions in order.
            thumbnails: go over to the tracks that there are now.

        Raises:
            SinkError: a file cannot be written; it is as it was.
        """
        final = {link.key: link.global_id for link in links}
        events = self._folder / "events.jsonl"
        if self._regrouped:
            if thumbnails is not None:
                thumbnails.regroup(self._sources())
            rewrite_events(events, merge(*self._pictures(final).values(), key=_moment), links)
        else:
            assign_global_ids(events, final)
        rewrite_frames(self._folder / "frames.jsonl", self._pictures(final))

    def close(self) -> None:
        """Give the temporary file back. May be called twice."""
        self._spool.close()

    def _noted(self) -> np.ndarray[Any, Any]:
        self._spool.seek(0)
        return np.frombuffer(self._spool.read(), ROW)

    def _refine(
        self, camera: str, rows: np.ndarray[Any, Any], tracklets: Mapping[int, Tracklet], *, regroup: bool
    ) -> Refined:
        settings = self._settings
        order = np.lexsort((rows["track"], rows["time_s"]))
        rows = rows[order]
        history = History(
            rows["time_s"].astype(np.float64),
            rows["track"].astype(np.int64),
            rows["box"].astype(np.float32),
            rows["score"].astype(np.float32),
            np.ones(len(rows), np.bool_),
        )
        return refine(
            history,
            np.array(self._times_s[camera]),
            fill_gap_s=settings.fill_gap_s,
            join_gap_s=settings.join_gap_s if regroup else 0.0,
            min_length_s=settings.min_length_s,
            looks={
                one: Crops(tracklet.prototype_times_s, tracklet.prototypes)
                for one, tracklet in tracklets.items()
                if tracklet.prototypes is not None and tracklet.prototype_times_s is not None
            },
            split=settings.split and regroup,
        )

    def _pictures(self, people: Mapping[TrackKey, int]) -> dict[str, Iterator[FrameResult]]:
        return {
            camera: refined_pictures(refined.history, np.array(self._times_s[camera]), camera, people)
            for camera, refined in self._refined.items()
        }

    def _sources(self) -> dict[TrackKey, list[tuple[TrackKey, float, float]]]:
        """Track that there is now -> the online tracks it is made of, and when."""
        found: dict[TrackKey, list[tuple[TrackKey, float, float]]] = {}
        for camera, refined in self._refined.items():
            for piece in refined.pieces:
                part = (TrackKey(camera, piece.track_id), piece.first_s, piece.last_s)
                found.setdefault(TrackKey(camera, piece.became), []).append(part)
        return found


def _moment(result: FrameResult) -> float:
    return result.frame.time_s


def _remade(camera: str, tracklets: Mapping[int, Tracklet], pieces: Sequence[Piece]) -> Iterator[Tracklet]:
    """The tracklets of one camera's refined tracks, from those of the pieces."""
    parts: dict[int, list[Tracklet]] = {}
    for piece in pieces:
        whole = tracklets.get(piece.track_id)
        if whole is None:
            continue
        is_whole = piece.first_s <= whole.first_s and piece.last_s >= whole.last_s
        key = TrackKey(camera, piece.became)
        part = whole if is_whole else cut_tracklet(whole, key, piece.first_s, piece.last_s)
        if part is not None:
            parts.setdefault(piece.became, []).append(part)
    for became, own in parts.items():
        yield join_tracklets(own, TrackKey(camera, became))
