"""Where everybody is at any time: plans made of places, walked with room for others.

Motion follows the social force model: Helbing and Molnar, *Social force dynamics for pedestrian dynamics* (Physical
Review E 51, 1995): a drive towards the next place (equation 2) and exponential repulsion from people and things
(equations 3 to 5), with a small pull to the right so that two who meet do not stand still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.site import LOBBY_M, Court, Door
from reidpipe.synth.skeleton import REST_HEIGHT_M, STRIDE_M
from reidpipe.synth.wardrobe import Look

__all__ = ["Motion", "Paths", "walk"]

Array: TypeAlias = NDArray[np.float64]

STEP_S = 0.05
HIDDEN_SIDE_M = 3.3


@dataclass(frozen=True, slots=True)
class Motion:
    """Everybody at one moment: xy float64 (P, 2) metres; heading, phase (strides) and amplitude float64 (P,)."""

    xy: Array
    heading: Array
    phase: Array
    amplitude: Array


@dataclass(frozen=True, slots=True)
class Paths:
    """Everybody at every step of ``step_s`` from ``start_s`` on; arrays (T, P, ...)."""

    start_s: float
    step_s: float
    xy: Array
    heading: Array
    phase: Array
    amplitude: Array

    def at(self, time_s: float) -> Motion:
        """Everybody at a moment; before the first and after the last step they stand where they are."""
        position = min(max((time_s - self.start_s) / self.step_s, 0.0), len(self.xy) - 1.0)
        low = min(int(position), len(self.xy) - 2)
        share = position - low
        values = [
            field[low] * (1 - share) + field[low + 1] * share
            for field in (self.xy, self.heading, self.phase, self.amplitude)
        ]
        return Motion(*values)


@dataclass(frozen=True, slots=True)
class _Leg:
    """One stretch of a plan: where to, the box one must stay in (x0, y0, x1, y1), how long to stop at its end."""

    target: tuple[float, float]
    box: tuple[float, float, float, float]
    pause_s: float


def _inside_box(court: Court) -> tuple[float, float, float, float]:
    return (court.x + 0.45, court.y + 0.8, court.x + court.width - 0.45, court.y + court.depth - 0.45)


def _spot(rng: np.random.Generator, court: Court, view: int) -> tuple[float, float]:
    low_x, low_y, high_x, high_y = _inside_box(court)
    circles = _circles([court])
    for _ in range(40):
        focus = court.focus[view]
        place = np.array([focus[0] + rng.normal(0, 0.13) * court.width, focus[1] + rng.normal(0, 0.17) * court.depth])
        place = np.clip(place, (low_x + 0.4, low_y + 1.2), (high_x - 0.4, high_y - 0.4))
        if (np.hypot(*(place - circles[:, :2]).T) > circles[:, 2] + 0.6).all():
            break
    return (float(place[0]), float(place[1]))


def _through(court: Court, door: Door, out: bool) -> list[_Leg]:
    """Legs through a door to the hidden place beside it, or back in."""
    dx, dy = door.outwards
    inner = (door.x - 0.9 * dx, door.y - 0.9 * dy)
    middle = 0.55 * LOBBY_M
    outer = (door.x + middle * dx, door.y + middle * dy)
    hidden = (outer[0] + HIDDEN_SIDE_M * abs(dy), outer[1] + HIDDEN_SIDE_M * abs(dx))
    wide, tall = 0.85 * abs(dy) + 0.3 * abs(dx), 0.85 * abs(dx) + 0.3 * abs(dy)
    way = (
        min(inner[0], outer[0]) - wide, min(inner[1], outer[1]) - tall,
        max(inner[0], outer[0]) + wide, max(inner[1], outer[1]) + tall,
    )  # fmt: skip
    lane = (
        min(outer[0], hidden[0]) - 0.5, min(outer[1], hidden[1]) - 0.5,
        max(outer[0], hidden[0]) + 0.5, max(outer[1], hidden[1]) + 0.5,
    )  # fmt: skip
    box = _inside_box(court)
    if out:
        return [_Leg(inner, box, 0.0), _Leg(outer, way, 0.0), _Leg(hidden, lane, 0.0)]
    return [_Leg(outer, lane, 0.0), _Leg(inner, way, 0.0)]


def _plan(
    rng: np.random.Generator, courts: Sequence[Court], horizon_s: float, roam: float
) -> tuple[tuple[float, float], list[_Leg]]:
    """A start and the legs of one person: spots in one view after the other, doors, breaks outside, other courts."""
    free = (-1e9, -1e9, 1e9, 1e9)
    here = courts[int(rng.integers(len(courts)))]
    view = int(rng.integers(len(here.focus)))
    start = _spot(rng, here, view)
    legs: list[_Leg] = []
    if rng.random() < 0.35:
        door = here.doors[int(rng.integers(3))]
        hidden = _through(here, door, out=True)[-1].target
        start = hidden
        legs = [_Leg(hidden, free, float(rng.uniform(0, 0.25) * horizon_s)), *_through(here, door, out=False)]
    spent = 0.0
    while spent < horizon_s:
        if len(here.focus) > 1:
            view = (view + int(rng.integers(1, len(here.focus)))) % len(here.focus)
        pause = float(rng.uniform(1.0, 5.0)) if rng.random() < 0.22 else 0.0
        legs.append(_Leg(_spot(rng, here, view), _inside_box(here), pause))
        spent += 6.0 + pause
        if rng.random() > roam:
            continue
        onwards = [c for c in courts if abs(c.index - here.index) == 1]
        if onwards and rng.random() < 0.65:
            there = onwards[int(rng.integers(len(onwards)))]
            east = there.index > here.index
            legs += _through(here, here.doors[1 if east else 0], out=True)
            door = there.doors[0 if east else 1]
            entry = _through(there, door, out=False)
            lobby = _through(there, door, out=True)[-1].target
            legs += [_Leg(lobby, free, 0.0), *entry]
            here, view = there, int(rng.integers(len(there.focus)))
            spent += 16.0
        else:
            door = here.doors[int(rng.integers(3))]
            away = _through(here, door, out=True)
            rest = float(rng.uniform(2.0, 12.0))
            legs += [*away[:-1], _Leg(away[-1].target, away[-1].box, rest), *_through(here, door, out=False)]
            spent += rest + 9.0
    return start, legs


def _circles(courts: Sequence[Court]) -> Array:
    return np.concatenate([thing.circles() for court in courts for thing in court.obstacles])


def walk(
    seed: int, looks: Sequence[Look], courts: Sequence[Court], start_s: float, duration_s: float, roam: float
) -> Paths:
    """Simulates everybody.

    Args:
        seed: Same seed, same paths.
        looks: The people; pace and height count.
        courts: Where they walk.
        start_s: Time of the first step, seconds.
        duration_s: How long, seconds.
        roam: Chance, at every place, to leave the court next.
    """
    count = len(looks)
    plans = [
        _plan(np.random.default_rng([seed, person, 0x9A7]), courts, duration_s + 20, roam) for person in range(count)
    ]
    position = np.array([start for start, _ in plans])
    pace = np.array([look.pace_m_s for look in looks])
    targets = np.array([legs[0].target for _, legs in plans])
    boxes = np.array([legs[0].box for _, legs in plans])
    stage = np.zeros(count, dtype=np.int64)
    waiting = np.zeros(count)
    velocity = np.zeros((count, 2))
    circles = _circles(courts)
    steps = round(duration_s / STEP_S) + 2
    warm_up = round(1.5 / STEP_S)
    trail = np.empty((steps, count, 2))
    for step in range(-warm_up, steps):
        arrived = np.hypot(*(targets - position).T) < np.where(waiting > 0, 9.0, 0.55)
        waiting = np.maximum(waiting - STEP_S, 0)
        for person in np.flatnonzero(arrived & (waiting <= 0)):
            legs = plans[person][1]
            pause = legs[stage[person]].pause_s
            if pause > 0:
                # Stop once at this place; the pause is then struck from the plan.
                legs[stage[person]] = _Leg(legs[stage[person]].target, legs[stage[person]].box, 0.0)
                waiting[person] = pause
                continue
            stage[person] = min(stage[person] + 1, len(legs) - 1)
            targets[person] = legs[stage[person]].target
            boxes[person] = legs[stage[person]].box
        velocity = _velocities(position, velocity, targets, np.where(waiting > 0, 0.0, pace), circles)
        position = np.clip(
            position + velocity * STEP_S, np.minimum(boxes[:, :2], position), np.maximum(boxes[:, 2:], position)
        )
        if step >= 0:
            trail[step] = position
    return _with_gait(trail, looks, start_s)


def _velocities(position: Array, velocity: Array, targets: Array, pace: Array, circles: Array) -> Array:
    way = targets - position
    distance = np.maximum(np.hypot(*way.T), 1e-6)[:, None]
    force = (pace[:, None] * way / distance - velocity) / 0.45
    apart = position[:, None] - position[None]
    gap = np.maximum(np.hypot(apart[..., 0], apart[..., 1]), 1e-3)
    np.fill_diagonal(gap, 1e9)
    near = np.where(gap < 3.0, np.exp((0.62 - gap) / 0.22), 0.0) * 2.1
    unit = apart / gap[..., None]
    aside = np.stack([unit[..., 1], -unit[..., 0]], axis=-1)
    force += (np.minimum(near, 12.0)[..., None] * (unit + 0.35 * aside)).sum(axis=1)
    apart = position[:, None] - circles[None, :, :2]
    gap = np.maximum(np.hypot(apart[..., 0], apart[..., 1]), 1e-3)
    near = np.where(gap < 4.0, np.exp((circles[None, :, 2] + 0.38 - gap) / 0.20), 0.0) * 3.0
    unit = apart / gap[..., None]
    side = np.sign(unit[..., 0] * way[:, None, 1] - unit[..., 1] * way[:, None, 0] + 1e-9)
    aside = np.stack([-unit[..., 1], unit[..., 0]], axis=-1) * side[..., None]
    force += (np.minimum(near, 14.0)[..., None] * (unit + 0.8 * aside)).sum(axis=1)
    moved = velocity + force * STEP_S
    speed = np.maximum(np.hypot(*moved.T), 1e-9)[:, None]
    limit = np.maximum(1.25 * pace, 0.5)[:, None]
    return np.asarray(moved * np.minimum(1.0, limit / speed))


def _smooth(values: Array, width: int) -> Array:
    """Running mean over time with the ends held."""
    half = width // 2
    padded = np.concatenate([np.repeat(values[:1], half, axis=0), values, np.repeat(values[-1:], half, axis=0)])
    total = np.cumsum(np.concatenate([np.zeros_like(padded[:1]), padded]), axis=0)
    return np.asarray((total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1))


def _with_gait(trail: Array, looks: Sequence[Look], start_s: float) -> Paths:
    trail = _smooth(_smooth(trail, 7), 7)
    velocity = np.gradient(trail, STEP_S, axis=0)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    slow = _smooth(velocity, 9)
    heading = np.arctan2(slow[..., 1], slow[..., 0])
    still = np.hypot(slow[..., 0], slow[..., 1]) < 0.18
    for person in range(trail.shape[1]):
        # Who stands keeps looking where he last walked.
        moving = np.flatnonzero(~still[:, person])
        if len(moving) == 0:
            heading[:, person] = person * 2.4
            continue
        last = np.maximum.accumulate(np.where(~still[:, person], np.arange(len(trail)), moving[0]))
        heading[:, person] = np.unwrap(heading[last, person])
    heading = _smooth(heading, 11)
    scale = np.array([look.height_m / REST_HEIGHT_M for look in looks])
    pace = 0.5 + 0.5 * np.clip(speed / 1.35 / scale, 0, 1.3)
    ramp = np.clip(speed / 0.45, 0, 1)
    strides = speed * STEP_S / (STRIDE_M * scale * pace)
    phase = np.cumsum(strides, axis=0) + np.array([look.seed % 100 / 100 for look in looks])
    amplitude = _smooth(pace * ramp * ramp * (3 - 2 * ramp), 5)
    return Paths(start_s, STEP_S, trail, heading, phase, amplitude)
