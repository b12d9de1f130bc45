"""Where the people walk: courts with doors, the things that stand about, and the cameras on the walls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.synth import surfaces
from reidpipe.synth.camera import Camera, sample_response
from reidpipe.synth.scene import Rectangle, Sun

__all__ = [
    "Court",
    "Door",
    "Layout",
    "Obstacle",
    "Site",
    "build_site",
    "court_rectangles",
    "obstacle_shadows",
    "place_cameras",
]

Array: TypeAlias = NDArray[np.float64]
Layout: TypeAlias = Literal["overlap", "apart", "mixed"]

WALL_M = 4.2
DOOR_WIDTH_M = 2.6
DOOR_HEIGHT_M = 2.7
LOBBY_M = 2.2
"""Depth of the room behind a door; a wall there hides what lies beyond."""
GAP_M = 9.0
"""Free ground between neighbouring courts, metres."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """An upright box: x y of its middle, its half sizes along x and y, height, what it is made of (metres)."""

    x: float
    y: float
    half_x: float
    half_y: float
    height: float
    kind: str

    def circles(self) -> Array:
        """float64 (K, 3): discs x y radius that cover it, for people who walk round it."""
        long, short = max(self.half_x, self.half_y), min(self.half_x, self.half_y)
        count = max(1, round(long / max(short, 0.3)))
        steps = np.linspace(-1, 1, count) * (long - short) if count > 1 else np.zeros(1)
        along_x = self.half_x >= self.half_y
        return np.stack(
            [self.x + steps * along_x, self.y + steps * (not along_x), np.full(len(steps), short * 1.25)], axis=1
        )


@dataclass(frozen=True, slots=True)
class Door:
    """An opening: its wall (``west``, ``east``, ``north``), its middle on the wall, metres."""

    wall: str
    x: float
    y: float

    @property
    def outwards(self) -> tuple[float, float]:
        """Unit vector out of the court."""
        return {"west": (-1.0, 0.0), "east": (1.0, 0.0), "north": (0.0, 1.0)}[self.wall]


@dataclass(frozen=True, slots=True)
class Court:
    """A walled yard or hall: its lower left corner, width and depth, metres."""

    index: int
    x: float
    y: float
    width: float
    depth: float
    doors: tuple[Door, ...]
    obstacles: tuple[Obstacle, ...]
    focus: tuple[tuple[float, float], ...]
    style: int

    def holds(self, xy: Array, margin: float = 0.0) -> NDArray[np.bool_]:
        """Bool (N,): which positions, float64 (N, 2), lie inside its walls, grown by ``margin`` metres."""
        low = np.array([self.x, self.y]) - margin
        high = np.array([self.x + self.width, self.y + self.depth]) + margin
        return np.asarray(((xy >= low) & (xy <= high)).all(axis=-1))


@dataclass(frozen=True, slots=True)
class Site:
    """All courts of a world, its cameras and its light."""

    courts: tuple[Court, ...]
    cameras: tuple[Camera, ...]
    sun: Sun


def build_site(
    seed: int,
    cameras: int,
    layout: Layout,
    *,
    people: int,
    fps: float,
    size: tuple[int, int],
    variation: float,
    clock_skew_s: float,
    obstacles: int,
) -> Site:
    """Lays out courts and cameras.

    Args:
        seed: Same seed, same site.
        cameras: Number of cameras.
        layout: ``overlap``: all look at one court; ``apart``: a court each; ``mixed``: courts of two cameras whose
            views partly overlap.
        people: How many will walk about; more people get a larger court.
        fps: Frames a second of every camera.
        size: Width and height of their frames, pixels.
        variation: 0..1, how much the cameras differ in light and colour.
        clock_skew_s: Cameras' clocks are wrong by up to this much, seconds (the first one is right).
        obstacles: Things standing in each court.
    """
    rng = np.random.default_rng([seed, 0x517E])
    per_court = {"overlap": cameras, "apart": 1, "mixed": 2}[layout]
    count = -(-cameras // per_court)
    width, depth = _court_size(layout, people / count)
    courts: list[Court] = []
    placed: list[Camera] = []
    x = 0.0
    for index in range(count):
        inside = min(per_court, cameras - index * per_court)
        views = place_cameras(x, width, depth, inside, layout)
        doors = (
            Door("west", x, float(rng.uniform(0.55, 0.75)) * depth),
            Door("east", x + width, float(rng.uniform(0.55, 0.75)) * depth),
            Door("north", x + width * float(rng.uniform(0.42, 0.58)), depth),
        )
        keep_clear = [np.array(position[:2]) for position, _ in views]
        things = _stand_about(rng, x, width, depth, doors, keep_clear, obstacles, int(rng.integers(4)))
        focus = tuple((float(target[0]), float(target[1])) for _, target in views)
        style = int(rng.integers(1000))
        courts.append(Court(index, x, 0.0, width, depth, doors, things, focus, style))
        for position, target in views:
            placed.append(_camera(rng, len(placed), index, position, target, size, fps, variation, clock_skew_s))
        x += width + GAP_M
    return Site(tuple(courts), tuple(placed), _sample_sun(rng))


def _court_size(layout: Layout, crowd: float) -> tuple[float, float]:
    """Width and depth of a court for so many people, metres."""
    width, depth = {"overlap": (17.0, 13.0), "apart": (13.0, 11.0), "mixed": (20.0, 11.0)}[layout]
    grow = float(np.clip(np.sqrt(crowd / 14.0), 1.0, 1.9))
    return width * grow, depth * (1 + 0.6 * (grow - 1))


def _sample_sun(rng: np.random.Generator) -> Sun:
    elevation, azimuth = rng.uniform(0.65, 1.1), rng.uniform(0, 2 * np.pi)
    cloud = float(rng.uniform(0.0, 0.9))
    flat = float(np.cos(elevation))
    direction = (flat * float(np.cos(azimuth)), flat * float(np.sin(azimuth)), float(np.sin(elevation)))
    return Sun(direction, 0.75 * (1 - cloud), 0.55 + 0.35 * cloud)


def place_cameras(
    x: float, width: float, depth: float, count: int, layout: Layout
) -> list[tuple[tuple[float, float, float], tuple[float, float]]]:
    """Position (x, y, z) and looked-at ground point (x, y) of each camera of a court, metres."""
    if layout == "apart" or count == 1:
        return [((x + 0.22 * width, 0.3, 3.0), (x + 0.56 * width, 0.56 * depth))]
    if layout == "mixed":
        return [
            ((x + 0.04 * width, 0.3, 3.0), (x + 0.36 * width, 0.55 * depth)),
            ((x + 0.96 * width, 0.3, 3.2), (x + 0.62 * width, 0.58 * depth)),
        ][:count]
    places = []
    for k in range(count):
        angle = -np.pi / 2 + np.pi * 1.25 * (k / max(count - 1, 1) - 0.5) * (1 if count > 2 else 0.62)
        reach = 0.5 / max(abs(np.cos(angle)) / 0.96, abs(np.sin(angle)) / 0.96)
        position = (
            x + width * (0.5 + reach * np.cos(angle)),
            depth * (0.5 + reach * np.sin(angle)),
            2.9 + 0.25 * (k % 3),
        )
        places.append(((float(position[0]), float(position[1]), position[2]), (x + 0.5 * width, 0.54 * depth)))
    return places


def _camera(
    rng: np.random.Generator, number: int, court: int, position: tuple[float, float, float],
    target: tuple[float, float], size: tuple[int, int], fps: float, variation: float, skew: float,
) -> Camera:  # fmt: skip
    away = np.array([target[0] - position[0], target[1] - position[1]])
    distance = float(np.hypot(*away))
    view = np.radians(66.0 + rng.uniform(-3, 3))
    response = sample_response(rng, variation)
    offset = float(rng.uniform(-skew, skew)) if number else 0.0
    return Camera(
        name=f"cam{number + 1}", position=position, yaw=float(np.arctan2(away[1], away[0])),
        pitch=float(np.arctan2(position[2] - 1.0, distance)), focal_px=float(size[0] / 2 / np.tan(view / 2)),
        size=size, fps=fps, court=court, response=response, clock_skew_s=offset,
    )  # fmt: skip


def _stand_about(
    rng: np.random.Generator,
    x: float,
    width: float,
    depth: float,
    doors: tuple[Door, ...],
    clear: list[Array],
    count: int,
    first: int,
) -> tuple[Obstacle, ...]:
    kinds = ("pillar", "planter", "pillar", "kiosk", "bench", "sign")
    things: list[Obstacle] = []
    for k in range(count):
        kind = kinds[(first + k) % len(kinds)]
        half_x, half_y, height = {
            "pillar": (0.28, 0.28, 3.4), "planter": (0.85, 0.32, 1.0), "kiosk": (0.65, 0.5, 2.3),
            "bench": (0.8, 0.22, 0.48), "sign": (0.5, 0.12, 1.7),
        }[kind]  # fmt: skip
        if rng.random() < 0.4:
            half_x, half_y = half_y, half_x
        for _ in range(60):
            place = np.array([x + rng.uniform(0.18, 0.82) * width, rng.uniform(0.32, 0.80) * depth])
            far = all(np.hypot(*(place - view)) > (6.5 if kind == "kiosk" else 4.4) for view in clear)
            free = all(np.hypot(place[0] - other.x, place[1] - other.y) > 2.4 for other in things)
            way = all(np.hypot(place[0] - door.x, place[1] - door.y) > 2.6 for door in doors)
            if far and free and way:
                things.append(Obstacle(float(place[0]), float(place[1]), half_x, half_y, height, kind))
                break
    things.append(
        Obstacle(x + width * 0.30, depth - 1.15, 2.2, 0.9, 1.9, "van")
        if width > 16
        else Obstacle(x + width * 0.25, depth - 0.5, 0.8, 0.25, 0.48, "bench")
    )
    return tuple(things)


def _box(rng: np.random.Generator, thing: Obstacle) -> list[Rectangle]:
    """The four sides and the top of an obstacle."""
    style = {"pillar": "stone", "planter": "stone", "kiosk": "metal", "bench": "wood", "sign": "dark", "van": "van"}[
        thing.kind
    ]
    low = 0.3 if thing.kind == "van" else 0.0
    x0, x1, y0, y1 = thing.x - thing.half_x, thing.x + thing.half_x, thing.y - thing.half_y, thing.y + thing.half_y
    top = thing.height
    sides: list[Rectangle] = []
    parts = [(low, top, style, 0.0)]
    if thing.kind == "planter":
        parts = [(0.0, 0.45, "stone", 0.0), (0.45, top, "hedge", -0.06)]
    if thing.kind == "van":
        parts = [(0.05, 0.35, "dark", -0.08), (0.35, top, "van", 0.0)]
    for bottom, height, look, grow in parts:
        a0, a1, b0, b1 = x0 - grow, x1 + grow, y0 - grow, y1 + grow
        tall = height - bottom
        front = surfaces.panel(rng, a1 - a0, tall, look)
        flank = surfaces.panel(rng, b1 - b0, tall, look)
        down = (0.0, 0.0, -tall)
        lid = surfaces.panel(rng, a1 - a0, b1 - b0, "hedge" if look == "hedge" else "stone")
        sides += [
            Rectangle((a0, b0, height), (a1 - a0, 0.0, 0.0), down, front),
            Rectangle((a0, b1, height), (a1 - a0, 0.0, 0.0), down, front),
            Rectangle((a0, b0, height), (0.0, b1 - b0, 0.0), down, flank),
            Rectangle((a1, b0, height), (0.0, b1 - b0, 0.0), down, flank),
            Rectangle((a0, b0, height), (a1 - a0, 0.0, 0.0), (0.0, b1 - b0, 0.0), lid),
        ]
    return sides


def _pieces(
    picture: NDArray[np.float32], start: Array, along: Array, height: float, hole: float | None
) -> list[Rectangle]:
    """A wall of texture ``picture`` with a door whose middle is ``hole`` metres from ``start``."""
    length = float(np.hypot(*along[:2]))
    unit = along / length
    per = surfaces.TEXELS_PER_M

    def piece(left: float, right: float, low: float, high: float) -> Rectangle:
        corner = start + unit * left + (0, 0, high)
        part = picture[
            round((height - high) * per) : max(round((height - low) * per), 1), round(left * per) : round(right * per)
        ]
        return Rectangle(
            (float(corner[0]), float(corner[1]), float(corner[2])),
            tuple(unit * (right - left)),
            (0.0, 0.0, low - high),
            np.ascontiguousarray(part),
        )

    if hole is None:
        return [piece(0, length, 0, height)]
    left, right = hole - DOOR_WIDTH_M / 2, hole + DOOR_WIDTH_M / 2
    return [piece(0, left, 0, height), piece(right, length, 0, height), piece(left, right, DOOR_HEIGHT_M, height)]


def court_rectangles(seed: int, court: Court) -> list[Rectangle]:
    """Every textured surface of a court: ground, walls with doors, lobbies, obstacles."""
    rng = np.random.default_rng([seed, court.index, 0xC0])
    floors = ("pavers", "asphalt", "slabs", "tiles")
    walls = ("brick", "plaster", "concrete", "shop")
    margin = LOBBY_M + 0.3
    wide, deep = court.width + 2 * margin, court.depth + 2 * margin
    out = [
        Rectangle(
            (court.x - margin, court.y - margin, 0.0),
            (wide, 0, 0),
            (0, deep, 0),
            surfaces.ground(rng, wide, deep, floors[court.style % 4]),
            floor=True,
        )
    ]
    holes = {door.wall: door for door in court.doors}
    spans = {
        "south": (np.array([court.x, court.y, 0.0]), np.array([court.width, 0.0, 0.0]), None),
        "north": (
            np.array([court.x, court.y + court.depth, 0.0]),
            np.array([court.width, 0.0, 0.0]),
            holes["north"].x - court.x,
        ),
        "west": (np.array([court.x, court.y, 0.0]), np.array([0.0, court.depth, 0.0]), holes["west"].y - court.y),
        "east": (
            np.array([court.x + court.width, court.y, 0.0]),
            np.array([0.0, court.depth, 0.0]),
            holes["east"].y - court.y,
        ),
    }
    for k, (start, along, hole) in enumerate(spans.values()):
        picture = surfaces.wall(rng, float(np.hypot(*along[:2])), WALL_M, walls[(court.style // 4 + k) % 4])
        out += _pieces(picture, start, along, WALL_M, hole)
    for door in court.doors:
        out += _lobby(rng, door)
    for thing in court.obstacles:
        out += _box(rng, thing)
    return out


def _lobby(rng: np.random.Generator, door: Door) -> list[Rectangle]:
    """The wall behind a door and the lobby's ceiling, in half light."""
    out_x, out_y = door.outwards
    side = np.array([abs(out_y), abs(out_x), 0.0])
    back = np.array([door.x, door.y, 0.0]) + LOBBY_M * np.array([out_x, out_y, 0.0])
    corner = back - 4.0 * side + (0, 0, DOOR_HEIGHT_M + 0.2)
    dark = surfaces.panel(rng, 8.0, DOOR_HEIGHT_M + 0.2, "stone") * np.float32(0.8)
    roof = np.array([door.x, door.y, DOOR_HEIGHT_M]) - 4.0 * side
    return [
        Rectangle(tuple(corner), tuple(8.0 * side), (0.0, 0.0, -DOOR_HEIGHT_M - 0.2), dark, glow=0.45),
        Rectangle(tuple(roof), tuple(8.0 * side), (LOBBY_M * out_x, LOBBY_M * out_y, 0.0), dark[:40], glow=0.45),
    ]


def obstacle_shadows(court: Court, sun: Sun) -> list[Array]:
    """Where obstacles and walls keep the sun off the ground: convex counter-clockwise outlines, float64 (K, 2)."""
    slope = -np.array(sun.direction[:2]) / sun.direction[2]
    outlines = []
    boxes = [
        (thing.x - thing.half_x, thing.x + thing.half_x, thing.y - thing.half_y, thing.y + thing.half_y, thing.height)
        for thing in court.obstacles
    ]
    far = LOBBY_M + 0.3
    x0, x1, y0, y1 = court.x, court.x + court.width, court.y, court.y + court.depth
    boxes += [
        (x0 - far, x0, y0 - far, y1 + far, WALL_M),
        (x1, x1 + far, y0 - far, y1 + far, WALL_M),
        (x0, x1, y1, y1 + far, WALL_M),
        (x0, x1, y0 - 0.2, y0, WALL_M),
    ]
    for left, right, low, high, tall in boxes:
        foot = np.array([(left, low), (right, low), (right, high), (left, high)])
        points = np.concatenate([foot, foot + slope * tall]).astype(np.float32)
        outline = cv2.convexHull(points, clockwise=False)[:, 0].astype(np.float64)
        area = np.sum(outline[:, 0] * np.roll(outline[:, 1], -1) - np.roll(outline[:, 0], -1) * outline[:, 1])
        outlines.append(outline if area > 0 else outline[::-1])
    return outlines
