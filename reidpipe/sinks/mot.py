"""One MOTChallenge text file for each camera."""

from __future__ import annotations

from pathlib import Path

from reidpipe.sinks.files import LineWriter, camera_file
from reidpipe.types import NOT_KNOWN, FrameResult, Ids

__all__ = ["MOTSink"]


class MOTSink:
    """Writes ``<folder>/<camera>.txt``: ``frame,id,x,y,w,h,score,-1,-1,-1``.

    Frames count from 1 (``index + 1``), boxes are left, top, width, height in pixels with two decimals, ids are global
    ids. A person whose global id is not known is left out, since -1 would make all of them one.

    Args:
        folder: where the files go; made.
        cameras: files are made for these at once, so that a camera without people has an empty one.
        track_ids: write the ids of the camera's own tracker instead, for a run without re-identification.
        overwrite: replace existing files.

    Raises:
        SinkError: a file exists or cannot be written.
    """

    def __init__(
        self, folder: Path | str, *, cameras: tuple[str, ...] = (), track_ids: bool = False, overwrite: bool = False
    ) -> None:
        self._folder = Path(folder)
        self._track_ids = track_ids
        self._overwrite = overwrite
        self._lines: dict[str, LineWriter] = {}
        for camera in cameras:
            self._writer(camera)

    def write(self, result: FrameResult) -> None:
        """Add one picture; nothing for one without people."""
        writer = self._writer(result.frame.camera)
        tracks = result.tracks
        ids: Ids = tracks.track_ids if self._track_ids else result.global_ids
        number = result.frame.index + 1
        for person, (x1, y1, x2, y2), score in zip(
            ids.tolist(), tracks.boxes.tolist(), tracks.scores.tolist(), strict=True
        ):
            if person != NOT_KNOWN:
                box = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
                writer.write(f"{number},{person},{box},{score:.4f},-1,-1,-1".encode())

    def close(self) -> None:
        """Close the files. May be called twice."""
        for writer in self._lines.values():
            writer.close()

    def _writer(self, camera: str) -> LineWriter:
        if camera not in self._lines:
            path = camera_file(self._folder, camera, ".txt")
            self._lines[camera] = LineWriter(path, overwrite=self._overwrite)
        return self._lines[camera]
