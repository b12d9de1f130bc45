"""The synthetic multi-camera world: people who walk from view to view, and the exact truth about them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.camera import Camera
from reidpipe.synth.people import (
    Atlas,
    Person,
    Posed,
    Sprite,
    cast_shadow,
    draw_person,
    make_person,
    paint_person,
    pose_people,
    silhouette,
)
from reidpipe.synth.scene import Rectangle, Surfaces, View, find_surfaces, light_surfaces
from reidpipe.synth.site import LOBBY_M, Layout, Site, build_site, court_rectangles, obstacle_shadows
from reidpipe.synth.walkers import Motion, Paths, walk
from reidpipe.synth.wardrobe import sample_look
from reidpipe.types import Boxes, Ids, Image, Scores

__all__ = ["SynthFrame", "Truth", "World"]

Array: TypeAlias = NDArray[np.float64]

SHARE_IN_FRAME = 0.08
"""People of whose box less than this share lies in the frame are not in the truth."""
MOST_ATLASES = 96


@dataclass(frozen=True, slots=True)
class Truth:
    """Who is where in one picture.

    Attributes:
        time_s: The camera's own time, seconds.
        boxes: float32 (N, 4), the person's whole extent (covered parts too), cut at the frame's border, pixels.
        ids: int64 (N,), global: the same person has the same number in every camera; from 1 on.
        visibility: float32 (N,), share of the person's area, inside and outside of the frame, that can be seen.
        world_xy: float32 (N, 2), where the person stands, metres.
    """

    time_s: float
    boxes: Boxes
    ids: Ids
    visibility: Scores
    world_xy: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SynthFrame(Truth):
    """A drawn picture, uint8 (H, W, 3) BGR, with the truth about it; here visibility is counted in pixels."""

    image: Image


@dataclass(slots=True)
class _Memory:
    """What was built once and is used again; never changes what comes out."""

    rectangles: dict[int, list[Rectangle]] = field(default_factory=dict)
    surfaces: dict[str, Surfaces] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    atlases: OrderedDict[int, list[Atlas]] = field(default_factory=OrderedDict)
    posed_at: tuple[float, dict[int, Posed]] | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Courts, cameras and people; make one with ``World.make``.

    Attributes:
        seed: What it was drawn from: the same seed and arguments give the same truth and the same pixels.
        site: Courts, cameras, light.
        people: Everybody; person ``k`` has the global id ``k + 1``.
        paths: Where they walk.
        supersample: Samples per pixel and axis when drawing.
        drift: 0..1, how much the light changes with time.
    """

    seed: int
    site: Site
    people: tuple[Person, ...]
    paths: Paths
    supersample: int
    drift: float
    _memory: _Memory = field(default_factory=_Memory, repr=False, compare=False)

    @staticmethod
    def make(
        seed: int,
        *,
        people: int = 8,
        cameras: int = 2,
        duration_s: float = 20.0,
        layout: Layout = "mixed",
        fps: float = 15.0,
        size: tuple[int, int] = (640, 360),
        light: float = 0.6,
        clock_skew_s: float = 0.0,
        obstacles: int = 4,
        roam: float | None = None,
        supersample: int = 2,
    ) -> World:
        """Builds a world.

        Args:
            seed: Same seed and arguments, same world.
            people: Number of different people, at least 1.
            cameras: Number of cameras, at least 1; they are called ``cam1``, ``cam2``, ...
            duration_s: How long there is something to see, in every camera's own time, from 0 on.
            layout: ``overlap``: all cameras look at one court; ``apart``: a court each, people walk from one to the
                next out of sight; ``mixed``: courts of two cameras whose views overlap in part.
            fps: Frames a second of every camera.
            size: Width and height of the frames, pixels.
            light: 0..1, how much the cameras differ in light and colour, and the light changes with time.
            clock_skew_s: Every camera's clock but the first one's is wrong by up to this much, seconds.
            obstacles: Things that stand in each court and cover people.
            roam: Chance to leave the court after every place visited; default 0.18, and 0.6 with ``apart``.
            supersample: Samples per pixel and axis when drawing.

        Raises:
            ValueError: If a number is out of range or the layout is unknown.
        """
        if people < 1 or cameras < 1 or duration_s <= 0 or fps <= 0 or min(size) < 16 or supersample < 1:
            raise ValueError("a world needs people, cameras, a positive duration and fps, and frames of 16x16 or more")
        if layout not in ("overlap", "apart", "mixed"):
            raise ValueError(f"unknown layout {layout!r}: known are overlap, apart, mixed")
        if roam is None:
            roam = 0.6 if layout == "apart" else 0.18
        site = build_site(
            seed,
            cameras,
            layout,
            people=people,
            fps=fps,
            size=size,
            variation=light,
            clock_skew_s=clock_skew_s,
            obstacles=obstacles,
        )
        looks = [sample_look(seed, index) for index in range(people)]
        paths = walk(seed, looks, site.courts, -clock_skew_s, duration_s + 2 * clock_skew_s, roam)
        return World(seed, site, tuple(make_person(look) for look in looks), paths, supersample, 0.5 * light)

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """All cameras, in order."""
        return self.site.cameras

    def camera(self, name: str) -> Camera:
        """The camera of that name.

        Raises:
            KeyError: If there is none.
        """
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise KeyError(f"no camera {name!r}: known are {', '.join(camera.name for camera in self.cameras)}")

    def frame_times(self, camera: Camera, duration_s: float) -> list[float]:
        """The camera's own times of all its frames in the first ``duration_s`` seconds."""
        return [index / camera.fps for index in range(round(duration_s * camera.fps))]

    def truth(self, camera: Camera, time_s: float) -> Truth:
        """Boxes and a quick visibility, without drawing.

        Boxes, ids and positions are the same as from ``render``; visibility comes from rough outlines (the mean
        difference to counted pixels is about 0.03).

        Args:
            camera: One of ``cameras``.
            time_s: The camera's own time, seconds.
        """
        rows, posed, boxes, depth, motion = self._in_view(camera, time_s)
        visibility = self._quick_visibility(camera, rows, posed, boxes, depth)
        return Truth(time_s, _cut(boxes, camera), rows + 1, visibility, motion.xy[rows].astype(np.float32))

    def render(self, camera: Camera, time_s: float, *, still: bool = True) -> SynthFrame:
        """Draws a frame.

        Args:
            camera: One of ``cameras``.
            time_s: The camera's own time, seconds.
            still: False leaves the still scene's covering away: people then hide each other only (for checks).
        """
        rows, posed, boxes, depth, motion = self._in_view(camera, time_s)
        view, still_depth = self._view(camera), self._surfaces(camera).depth
        light = view.light.copy()
        step = self.supersample
        owner = np.full(still_depth.shape, -1, dtype=np.int32)
        areas = np.ones(len(rows))
        for index in range(len(rows)):
            cast_shadow(light, view.floor, self.people[rows[index]], posed[index], camera, self.site.sun)
        for index in np.argsort(-depth, kind="stable"):
            person = self.people[rows[index]]
            sprite = draw_person(person, posed[index], camera, self.site.sun, step, self._atlas(int(rows[index])))
            if sprite is None:
                continue
            areas[index] = max(int(sprite.mask.sum()), 1)
            _lay(sprite, int(index), light, owner, still_depth if still else None, step)
        seen = np.bincount(owner[owner >= 0], minlength=len(rows))[: len(rows)]
        visibility = (seen / areas).astype(np.float32)
        rng = np.random.default_rng([self.seed, 0xF4A, self.cameras.index(camera), round(time_s * 1000) & 0xFFFFFFFF])
        image = camera.response.develop(light, self._gain(camera, time_s), rng)
        return SynthFrame(time_s, _cut(boxes, camera), rows + 1, visibility, motion.xy[rows].astype(np.float32), image)

    def _gain(self, camera: Camera, time_s: float) -> float:
        """Clouds: the light of a court swings slowly."""
        phase = (self.seed * 0.7 + camera.court * 1.9) % 6.28
        return float(1 + 0.3 * self.drift * np.sin(2 * np.pi * time_s / 23.0 + phase))

    def _rectangles(self, court: int) -> list[Rectangle]:
        known = self._memory.rectangles
        if court not in known:
            known[court] = court_rectangles(self.seed, self.site.courts[court])
        return known[court]

    def _surfaces(self, camera: Camera) -> Surfaces:
        known = self._memory.surfaces
        if camera.name not in known:
            known[camera.name] = find_surfaces(camera, self._rectangles(camera.court), self.supersample)
        return known[camera.name]

    def _view(self, camera: Camera) -> View:
        known = self._memory.views
        if camera.name not in known:
            shadows = obstacle_shadows(self.site.courts[camera.court], self.site.sun)
            rectangles = self._rectangles(camera.court)
            known[camera.name] = light_surfaces(
                camera, self._surfaces(camera), rectangles, self.site.sun, shadows, self.supersample
            )
        return known[camera.name]

    def _atlas(self, row: int) -> list[Atlas]:
        known = self._memory.atlases
        if row not in known:
            known[row] = paint_person(self.people[row].look)
            if len(known) > MOST_ATLASES:
                known.popitem(last=False)
        known.move_to_end(row)
        return known[row]

    def _posed(self, rows: NDArray[np.int64], motion: Motion, world_s: float) -> list[Posed]:
        """Poses, kept for the other cameras that look at the same moment."""
        memory = self._memory.posed_at
        if memory is None or memory[0] != world_s:
            memory = (world_s, {})
            self._memory.posed_at = memory
        known = memory[1]
        new = np.array([row for row in rows if int(row) not in known], dtype=np.int64)
        for row, posed in zip(new, pose_people(self.people, new, motion), strict=True):
            known[int(row)] = posed
        return [known[int(row)] for row in rows]

    def _in_view(self, camera: Camera, time_s: float) -> tuple[NDArray[np.int64], list[Posed], Array, Array, Motion]:
        """People of the truth: their rows, poses, uncut boxes (N, 4) and mean depths, by row."""
        world_s = time_s + camera.clock_skew_s
        motion = self.paths.at(world_s)
        court = self.site.courts[camera.court]
        inside = court.holds(motion.xy)
        near = court.holds(motion.xy, LOBBY_M - 0.25)
        height = np.array([person.look.height_m for person in self.people])
        middle = np.column_stack([motion.xy, 0.55 * height])
        spot, depth = camera.project(middle)
        radius = 1.3 * camera.focal_px / np.maximum(depth, 0.2)
        on_screen = (spot > -radius[:, None]).all(axis=1) & (spot < np.array(camera.size) + radius[:, None]).all(axis=1)
        rows = np.flatnonzero(near & (depth > 0.9) & on_screen)
        posed = self._posed(rows, motion, world_s)
        keep: list[int] = []
        boxes = np.zeros((len(rows), 4))
        for index, row in enumerate(rows):
            points, distance = camera.project(posed[index].vertices)
            if (distance < 0.2).any():
                continue
            boxes[index] = (*points.min(axis=0), *points.max(axis=0))
            if self._counts(camera, boxes[index]) and (inside[row] or self._glimpsed(camera, middle[row], height[row])):
                keep.append(index)
        return rows[keep], [posed[index] for index in keep], boxes[keep], depth[rows[keep]], motion

    @staticmethod
    def _counts(camera: Camera, box: Array) -> bool:
        width, height = camera.size
        inner = np.array([max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)])
        if inner[2] - inner[0] < 3 or inner[3] - inner[1] < 3:
            return False
        share = (inner[2] - inner[0]) * (inner[3] - inner[1]) / ((box[2] - box[0]) * (box[3] - box[1]))
        return bool(share >= SHARE_IN_FRAME)

    def _glimpsed(self, camera: Camera, middle: Array, height: float) -> bool:
        """Whether the still scene leaves some of a person's points in sight."""
        points = np.array([(*middle[:2], z) for z in np.linspace(0.15, 0.95, 5) * height])
        spot, depth = camera.project(points)
        still = self._surfaces(camera).depth
        cell = np.floor(spot * self.supersample).astype(int)
        rows, columns = still.shape
        valid = (cell >= 0).all(axis=1) & (cell[:, 0] < columns) & (cell[:, 1] < rows)
        return bool((depth[valid] < still[cell[valid, 1], cell[valid, 0]]).any())

    def _quick_visibility(
        self, camera: Camera, rows: NDArray[np.int64], posed: list[Posed], boxes: Array, depth: Array
    ) -> Scores:
        scale = min(1.0, 320.0 / camera.size[0])
        width, height = (max(1, round(v * scale)) for v in camera.size)
        fine = self._surfaces(camera).depth
        pick_y = np.minimum((np.arange(height) + 0.5) / height * fine.shape[0], fine.shape[0] - 1).astype(int)
        pick_x = np.minimum((np.arange(width) + 0.5) / width * fine.shape[1], fine.shape[1] - 1).astype(int)
        still = fine[pick_y[:, None], pick_x[None]]
        owner = np.full((height, width), -1, dtype=np.int32)
        areas = np.ones(len(rows))
        for index in np.argsort(-depth, kind="stable"):
            mask = silhouette(self.people[rows[index]], posed[index], camera, boxes[index], scale)
            if mask is None:
                continue
            areas[index] = max(int(mask.sum()), 1)
            left, top = (int(v) for v in np.floor(boxes[index, :2] * scale))
            y0, y1, x0, x1 = (
                max(top, 0),
                min(top + mask.shape[0], height),
                max(left, 0),
                min(left + mask.shape[1], width),
            )
            if y1 <= y0 or x1 <= x0:
                continue
            part = mask[y0 - top : y1 - top, x0 - left : x1 - left] > 0
            owner[y0:y1, x0:x1][part & (depth[index] < still[y0:y1, x0:x1])] = index
        seen = np.bincount(owner[owner >= 0], minlength=len(rows))[: len(rows)]
        return np.minimum(seen / areas, 1.0).astype(np.float32)


def _cut(boxes: Array, camera: Camera) -> Boxes:
    width, height = camera.size
    return np.clip(boxes, 0, (width, height, width, height)).astype(np.float32).reshape(-1, 4)


def _lay(
    sprite: Sprite,
    index: int,
    light: NDArray[np.float32],
    owner: NDArray[np.int32],
    still: NDArray[np.float32] | None,
    step: int,
) -> None:
    """Puts a person over what is already drawn, in place, where the still scene does not hide him."""
    rows, columns = owner.shape
    y0, y1 = max(sprite.top, 0), min(sprite.top + sprite.mask.shape[0], rows)
    x0, x1 = max(sprite.left, 0), min(sprite.left + sprite.mask.shape[1], columns)
    if y1 <= y0 or x1 <= x0:
        return
    part = (slice(y0 - sprite.top, y1 - sprite.top), slice(x0 - sprite.left, x1 - sprite.left))
    seen = sprite.mask[part]
    if still is not None:
        seen = seen & (sprite.depth[part] < still[y0:y1, x0:x1])
    owner[y0:y1, x0:x1][seen] = index
    count = (y1 - y0) // step, (x1 - x0) // step
    cells = (count[0], step, count[1], step)
    share = seen.reshape(cells).mean(axis=(1, 3), dtype=np.float32)[..., None]
    colour = np.where(seen[..., None], sprite.light[part], 0).reshape(*cells, 3).mean(axis=(1, 3), dtype=np.float32)
    area = light[y0 // step : y1 // step, x0 // step : x1 // step]
    area *= 1 - share
    area += colour
