"""Clips of the synthetic world: H.264 video and MOTChallenge truth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av

from reidpipe.synth.camera import Camera
from reidpipe.synth.world import SynthFrame, Truth, World
from reidpipe.types import Image

__all__ = ["tiny_clip", "truth_lines", "write_clip", "write_video", "write_world"]

# Measured: with the macroblock tree and look-ahead on, one small clip in ten came out with other bytes from the same
# pictures; without them, and with the colours converted before the encoder, none in 120.
X264 = "threads=1:keyint=50:mbtree=0:rc-lookahead=0:sync-lookahead=0"


def write_video(path: Path, images: Iterable[Image], fps: float, *, crf: int = 26) -> int:
    """Writes H.264 yuv420p, one encoder thread, so that the same pictures give the same bytes.

    Args:
        path: The mp4 to write; its folder must exist.
        images: uint8 (H, W, 3) BGR, all of one size with even sides.
        fps: Frames a second.
        crf: Quality, 0 (best) to 51.

    Returns:
        Number of frames written.

    Raises:
        ValueError: If a picture has an odd side or another size than the first one.
    """
    count = 0
    size: tuple[int, int] | None = None
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        stream.time_base = 1 / rate
        stream.options = {"crf": str(crf), "preset": "medium", "threads": "1", "x264-params": X264}
        for image in images:
            height, width = image.shape[:2]
            if size is None:
                if height % 2 or width % 2:
                    raise ValueError(f"a video needs even sides, got {width}x{height}")
                size = stream.height, stream.width = height, width
            if size != (height, width):
                raise ValueError(f"pictures of one video need one size, got {width}x{height} after {size[1]}x{size[0]}")
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts = count
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


def truth_lines(frame: int, truth: Truth) -> list[str]:
    """MOTChallenge lines ``frame,id,x,y,w,h,1,1,visibility``; ``frame`` counts from 1, ids are global."""
    lines = []
    for box, person, visibility in zip(truth.boxes, truth.ids, truth.visibility, strict=True):
        x1, y1, x2, y2 = (float(value) for value in box)
        lines.append(f"{frame},{int(person)},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},1,1,{float(visibility):.3f}")
    return lines


def write_clip(
    world: World, camera: Camera, video: Path, *, duration_s: float, truth: Path | None = None, crf: int = 26
) -> int:
    """Draws one camera into a video and writes its truth beside it.

    Args:
        world: The world.
        camera: One of its cameras.
        video: The mp4 to write; its folder must exist.
        duration_s: How long, seconds from the camera's time 0 on.
        truth: MOTChallenge text to write, one line a person and frame, ids global; None = none.
        crf: Video quality, 0 (best) to 51.

    Returns:
        Number of frames.
    """
    lines: list[str] = []

    def frames() -> Iterator[Image]:
        for index, time_s in enumerate(world.frame_times(camera, duration_s)):
            frame: SynthFrame = world.render(camera, time_s)
            lines.extend(truth_lines(index + 1, frame))
            yield frame.image

    count = write_video(video, frames(), camera.fps, crf=crf)
    if truth is not None:
        truth.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return count


def write_world(world: World, folder: Path, *, duration_s: float, crf: int = 26) -> list[Path]:
    """Writes every camera of a world: ``<camera>.mp4`` and ``truth/<camera>.txt``, over what is there.

    Args:
        world: The world.
        folder: Where to; made if absent.
        duration_s: How long, seconds.
        crf: Video quality, 0 (best) to 51.

    Returns:
        The files written: video and truth of the first camera, of the second, and so on.
    """
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for camera in world.cameras:
        video, truth = folder / f"{camera.name}.mp4", folder / "truth" / f"{camera.name}.txt"
        write_clip(world, camera, video, duration_s=duration_s, truth=truth, crf=crf)
        written += [video, truth]
    return written


def tiny_clip(
    video: Path,
    *,
    truth: Path | None = None,
    seed: int = 1,
    people: int = 3,
    duration_s: float = 2.0,
    fps: float = 10.0,
    size: tuple[int, int] = (320, 180),
) -> World:
    """A small clip for tests: one camera, few people, made in about a second.

    Args:
        video: The mp4 to write; its folder must exist.
        truth: MOTChallenge text to write; None = none.
        seed: Same seed, same clip.
        people: Number of people.
        duration_s: Length, seconds.
        fps: Frames a second.
        size: Width and height, pixels, even.

    Returns:
        The world that was drawn; its only camera is ``cam1``.
    """
    world = World.make(
        seed, people=people, cameras=1, duration_s=duration_s, layout="apart", fps=fps, size=size, roam=0.0, obstacles=1
    )
    write_clip(world, world.cameras[0], video, duration_s=duration_s, truth=truth)
    return world
