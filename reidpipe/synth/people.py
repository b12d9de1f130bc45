"""People as a camera sees them: posed meshes, their boxes, their pixels, their shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.anatomy import ATLAS_SIZE
from reidpipe.synth.body import build_body, rest_joints
from reidpipe.synth.camera import Camera
from reidpipe.synth.mesh import Mesh
from reidpipe.synth.paint import paint_atlas
from reidpipe.synth.raster import rasterise
from reidpipe.synth.scene import Sun
from reidpipe.synth.skeleton import BONES, bone_matrices, gait_angles
from reidpipe.synth.walkers import Motion
from reidpipe.synth.wardrobe import Look

__all__ = ["Person", "Posed", "Sprite", "cast_shadow", "draw_person", "make_person", "pose_people", "silhouette"]

Array: TypeAlias = NDArray[np.float64]
Atlas: TypeAlias = NDArray[np.float32]

STICKS = (
    ("head", "chest", 0.10), ("chest", "pelvis", 0.17), ("pelvis", "spine", 0.17),
    ("arm_l", "forearm_l", 0.055), ("forearm_l", "hand_l", 0.045),
    ("thigh_l", "shin_l", 0.085), ("shin_l", "foot_l", 0.06),
    ("arm_r", "forearm_r", 0.055), ("forearm_r", "hand_r", 0.045),
    ("thigh_r", "shin_r", 0.085), ("shin_r", "foot_r", 0.06),
)  # fmt: skip
"""Rough body for shadows: from joint, to joint, radius in metres."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person's unchanging facts: looks, mesh at rest, joints at rest."""

    look: Look
    mesh: Mesh
    joints: Array


@dataclass(frozen=True, slots=True)
class Posed:
    """One person at one moment.

    Attributes:
        matrices: float64 (17, 3, 4), one per bone.
        blend: float64 (12, N), every vertex's own mixture of them, row-major 3x4.
        vertices: float64 (N, 3), in the world, metres.
    """

    matrices: Array
    blend: Array
    vertices: Array


@dataclass(frozen=True, slots=True)
class Sprite:
    """One person in one picture, before others cover him.

    Attributes:
        left: First column of the patch, in samples.
        top: First row of the patch, in samples.
        mask: bool (h, w), covered samples; the patch may reach over the frame.
        depth: float32 (h, w), metres along the axis; inf where not covered.
        light: float32 (h, w, 3), linear BGR; empty where only the mask was wanted.
    """

    left: int
    top: int
    mask: NDArray[np.bool_]
    depth: NDArray[np.float32]
    light: NDArray[np.float32]


def make_person(look: Look) -> Person:
    """Builds a person's mesh."""
    return Person(look, build_body(look), rest_joints(look))


def pose_people(people: Sequence[Person], rows: NDArray[np.int64], motion: Motion) -> list[Posed]:
    """Poses the people of ``rows`` as they walk at that moment."""
    if len(rows) == 0:
        return []
    style = np.array([people[row].look.style for row in rows])
    angles = gait_angles(motion.phase[rows], motion.amplitude[rows], style)
    joints = np.stack([people[row].joints for row in rows])
    matrices = bone_matrices(angles, joints, motion.xy[rows], motion.heading[rows])
    posed = []
    for matrix, row in zip(matrices, rows, strict=True):
        mesh = people[row].mesh
        # Sums over the few bones that move anything, without BLAS: its threads cost more than they bring here.
        blend = np.einsum("bn,bk->kn", mesh.weights.T, matrix.reshape(len(BONES), 12))
        x, y, z = mesh.vertices.T
        moved = [blend[k] * x + blend[k + 1] * y + blend[k + 2] * z + blend[k + 3] for k in (0, 4, 8)]
        posed.append(Posed(matrix, blend, np.stack(moved, axis=1)))
    return posed


def _pyramid(atlas: Atlas) -> list[Atlas]:
    levels = [atlas]
    for size in (ATLAS_SIZE // 2, ATLAS_SIZE // 4):
        levels.append(np.asarray(cv2.resize(levels[-1], (size, size), interpolation=cv2.INTER_AREA), dtype=np.float32))
    return levels


def paint_person(look: Look) -> list[Atlas]:
    """The person's texture in three sizes, largest first."""
    return _pyramid(paint_atlas(look))


def draw_person(
    person: Person,
    posed: Posed,
    camera: Camera,
    sun: Sun,
    supersample: int,
    atlas: list[Atlas] | None,
    reach_px: float = 1.0,
) -> Sprite | None:
    """Draws one person into a patch of his own; ``atlas=None`` for the mask alone.

    Parts of the patch further than ``reach_px`` frame widths outside of the frame are cut off.
    """
    points, depth = camera.project(posed.vertices)
    if (depth < 0.2).any():
        return None
    points = points * supersample
    width, height = camera.size[0] * supersample, camera.size[1] * supersample
    margin_x, margin_y = reach_px * width, reach_px * height
    low = np.maximum(np.floor(points.min(axis=0)), (-margin_x, -margin_y)).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)), (width + margin_x, height + margin_y)).astype(int)
    left, top = (int(v // supersample * supersample) for v in low)
    columns, rows = (int(-(-v // supersample) * supersample) for v in high - (left, top))
    if columns <= 0 or rows <= 0:
        return None
    mesh = person.mesh
    seen = rasterise(points - (left, top), depth, mesh.faces, columns, rows)
    mask = np.zeros(rows * columns, dtype=np.bool_)
    mask[seen.samples] = True
    distance = np.full(rows * columns, np.inf, dtype=np.float32)
    distance[seen.samples] = seen.depth
    light = np.zeros((0, 0, 3), dtype=np.float32)
    if atlas is not None and len(seen.samples):
        corners = mesh.faces[seen.faces]
        blend, (x, y, z) = posed.blend, mesh.normals.T
        normals = [blend[k] * x + blend[k + 1] * y + blend[k + 2] * z for k in (0, 4, 8)]
        facts = np.column_stack([*normals, mesh.open_air, mesh.texels]).astype(np.float32)
        fact = facts[corners[:, 0]] * seen.shares[:, :1]
        fact += facts[corners[:, 1]] * seen.shares[:, 1:2]
        fact += facts[corners[:, 2]] * seen.shares[:, 2:]
        normal = fact[:, :3] / np.maximum(np.sqrt(np.einsum("mk,mk->m", fact[:, :3], fact[:, :3])), 1e-6)[:, None]
        bright = sun.on(normal) * (0.35 + 0.65 * fact[:, 3])
        per_metre = camera.focal_px * supersample / float(depth.mean())
        level = 0 if per_metre > 180 else (1 if per_metre > 85 else 2)
        texel = (fact[:, 4:] * np.float32(0.5**level)).astype(np.int64)
        picture = atlas[level]
        limit = len(picture) - 1
        colour = picture[np.clip(texel[:, 1], 0, limit), np.clip(texel[:, 0], 0, limit)]
        light = np.zeros((rows * columns, 3), dtype=np.float32)
        light[seen.samples] = colour * bright[:, None]
        light = light.reshape(rows, columns, 3)
    elif atlas is not None:
        light = np.zeros((rows, columns, 3), dtype=np.float32)
    return Sprite(left, top, mask.reshape(rows, columns), distance.reshape(rows, columns), light)


def _joints(person: Person, posed: Posed) -> Array:
    """float64 (17, 3): where the joints are in the world."""
    turned = np.einsum("bij,bj->bi", posed.matrices[..., :3], person.joints)
    return np.asarray(turned + posed.matrices[..., 3])


def cast_shadow(
    light: NDArray[np.float32], floor: NDArray[np.float32], person: Person, posed: Posed, camera: Camera, sun: Sun
) -> None:
    """Darkens the ground under and behind a person, in place.

    Args:
        light: float32 (H, W, 3), linear; changed.
        floor: float32 (H, W), where ground is seen and lit.
        person: Who.
        posed: How he stands.
        camera: Who looks.
        sun: Where the light comes from.
    """
    joints = _joints(person, posed)
    slope = np.array(sun.direction[:2]) / sun.direction[2]
    flat = joints.copy()
    flat[:, :2] -= slope * joints[:, 2:]
    flat[:, 2] = 0.0
    under = np.array([[*joints[bone, :2], 0.0] for bone in (12, 15)])
    points, depth = camera.project(np.concatenate([flat, under]))
    if (depth < 0.5).any():
        return
    scale = camera.focal_px / depth
    low = np.floor(points.min(axis=0) - 0.4 * scale.max()).astype(int)
    high = np.ceil(points.max(axis=0) + 0.4 * scale.max()).astype(int)
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, camera.size)
    if x1 - x0 < 2 or y1 - y0 < 2 or (x1 - x0) * (y1 - y0) > 0.6 * camera.size[0] * camera.size[1]:
        return
    shape = (int(y1 - y0), int(x1 - x0))
    local = np.round((points - (x0, y0)) * 16).astype(int)
    dark = np.zeros(shape, dtype=np.float32)
    for start, end, radius in STICKS:
        a, b = BONES.index(start), BONES.index(end)
        thick = max(1, round(float(2 * radius * 0.75 * 0.5 * (scale[a] + scale[b]))))
        first, last = (int(local[a, 0]), int(local[a, 1])), (int(local[b, 0]), int(local[b, 1]))
        cv2.line(dark, first, last, 1.0, min(thick, 200), cv2.LINE_8, 4)
    size = float(scale.mean())
    dark = cv2.GaussianBlur(dark, (0, 0), max(0.5, 0.035 * size))
    contact = np.zeros(shape, dtype=np.float32)
    for foot in (-2, -1):
        centre = (int(local[foot, 0]), int(local[foot, 1]))
        axes = (int(16 * 0.22 * scale[foot]), int(16 * 0.10 * scale[foot]))
        cv2.ellipse(contact, centre, axes, 0.0, 0.0, 360.0, 1.0, -1, cv2.LINE_8, 4)
    contact = cv2.GaussianBlur(contact, (0, 0), max(0.6, 0.07 * size))
    sunny = sun.strength * sun.direction[2]
    share = sunny / (sunny + sun.sky)
    lit = floor[y0:y1, x0:x1]
    lost = (0.92 * share * dark + 0.45 * (1 - share * dark) * np.minimum(contact, 1)) * lit
    light[y0:y1, x0:x1] *= (1 - np.clip(lost, 0, 0.9))[..., None]


def silhouette(person: Person, posed: Posed, camera: Camera, box: Array, scale: float) -> NDArray[np.uint8] | None:
    """A quick outline for visibility without drawing.

    Args:
        person: Who.
        posed: How he stands.
        camera: Who looks.
        box: float64 (4,), his whole extent in the frame, pixels, uncut.
        scale: Size of the outline against the frame.

    Returns:
        uint8 (h, w), 1 = person; row 0, column 0 lie at the box's corner times ``scale``. None if too large to draw.
    """
    low, high = np.floor(box[:2] * scale).astype(int), np.ceil(box[2:] * scale).astype(int)
    columns, rows = (int(v) for v in np.maximum(high - low, 1))
    if columns > 2000 or rows > 2000:
        return None
    points, depth = camera.project(_joints(person, posed))
    points = (points * scale - low) * 16
    size = camera.focal_px * scale / depth * (person.look.height_m / 1.75)
    mask = np.zeros((rows, columns), dtype=np.uint8)
    local = np.round(points).astype(int)
    for start, end, radius in STICKS[1:]:
        a, b = BONES.index(start), BONES.index(end)
        thick = max(1, round(float(2 * radius * person.look.girth * 0.5 * (size[a] + size[b]))))
        cv2.line(
            mask, (int(local[a, 0]), int(local[a, 1])), (int(local[b, 0]), int(local[b, 1])), 1, thick, cv2.LINE_8, 4
        )
    head = BONES.index("head")
    radius_px = max(1, round(float(0.105 * size[head] * 16)))
    centre = (int(local[head, 0]), int(local[head, 1] - 0.11 * size[head] * 16))
    cv2.circle(mask, centre, radius_px, 1, -1, cv2.LINE_8, 4)
    return mask
