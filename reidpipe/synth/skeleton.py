"""Bones and walking: joint positions at rest, gait angles over one stride, forward kinematics for many people at once.

Body frame: x forward, y to the left, z up, metres, feet on ``z = 0``, for a person of ``REST_HEIGHT_M``.
The gait curves follow the sagittal joint angles of level walking published by Winter, *The Biomechanics and Motor
Control of Human Gait* (1991): hip about +25 to -10 degrees, knee 5 to 62, ankle +10 to -15.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BONES", "JOINTS", "REST_HEIGHT_M", "STRIDE_M", "bone_matrices", "gait_angles"]

Array: TypeAlias = NDArray[np.float64]

REST_HEIGHT_M = 1.75
STRIDE_M = 1.42
"""Length of one stride (two steps) of a person of ``REST_HEIGHT_M`` at full gait amplitude, metres."""

BONES = (
    "pelvis", "spine", "chest", "head",
    "arm_l", "forearm_l", "hand_l", "arm_r", "forearm_r", "hand_r",
    "thigh_l", "shin_l", "foot_l", "thigh_r", "shin_r", "foot_r", "bag",
)  # fmt: skip
BAG = 16
PARENTS = (-1, 0, 1, 2, 2, 4, 5, 2, 7, 8, 0, 10, 11, 0, 13, 14, 6)

JOINTS: Array = np.array(
    [
        (0.0, 0.0, 0.96), (0.0, 0.0, 1.06), (0.0, 0.0, 1.22), (-0.006, 0.0, 1.53),
        (-0.01, 0.182, 1.41), (0.0, 0.218, 1.125), (0.0, 0.237, 0.87),
        (-0.01, -0.182, 1.41), (0.0, -0.218, 1.125), (0.0, -0.237, 0.87),
        (0.0, 0.088, 0.90), (0.004, 0.093, 0.50), (-0.004, 0.098, 0.075),
        (0.0, -0.088, 0.90), (0.004, -0.093, 0.50), (-0.004, -0.098, 0.075), (0.015, 0.236, 0.74),
    ]
)  # fmt: skip

SOLES: Array = np.array([(-0.075, 0.0, 0.002), (0.12, 0.0, 0.0), (0.19, 0.0, 0.012)])
"""Points of the sole (heel, ball, toe) that must not sink below the ground; y is the foot's own."""

# Joint angles in degrees over one stride, phase 0 = heel strike of that leg, ten equal steps.
HIP_DEG = np.array([25.0, 23.0, 16.0, 6.0, -4.0, -10.0, -4.0, 11.0, 22.0, 26.0])
KNEE_DEG = np.array([4.0, 15.0, 14.0, 8.0, 6.0, 13.0, 38.0, 60.0, 46.0, 15.0])
ANKLE_DEG = np.array([0.0, -4.0, 3.0, 7.0, 10.0, 4.0, -16.0, -8.0, 0.0, 2.0])


def _periodic(table: Array, phase: Array) -> Array:
    """Catmull-Rom interpolation of a periodic table; ``phase`` in strides."""
    position = np.mod(phase, 1.0) * len(table)
    index = np.floor(position).astype(np.int64) % len(table)
    t = position - np.floor(position)
    p0, p1, p2, p3 = (table[(index + step) % len(table)] for step in (-1, 0, 1, 2))
    return np.asarray(p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))))


def gait_angles(phase: Array, amplitude: Array, style: Array) -> Array:
    """Local bone rotations of walking people.

    Args:
        phase: float64 (P,), strides walked so far; only the fraction matters.
        amplitude: float64 (P,) in 0..1.2; 0 = standing, 1 = walking at full stride.
        style: float64 (P, 6), constant per person: arm swing (1 = usual), extra elbow bend (rad), trunk lean (rad),
            arm spread (rad), left forearm raised (rad, 0 = hanging), right forearm raised (rad).

    Returns:
        float64 (P, 17, 3): rotation in radians about x (side), y (flexion) and z (twist) of each bone of ``BONES``.
    """
    angles = np.zeros((len(phase), len(BONES), 3))
    swing, bend, lean, spread, raised_l, raised_r = style.T
    walk = np.minimum(amplitude, 1.2)
    for first_leg, first_arm, offset, sign, raised in ((10, 4, 0.0, 1.0, raised_l), (13, 7, 0.5, -1.0, raised_r)):
        leg = phase + offset
        angles[:, first_leg, 1] = -np.radians(_periodic(HIP_DEG, leg)) * walk
        angles[:, first_leg + 1, 1] = np.radians(_periodic(KNEE_DEG, leg)) * walk + 0.03
        angles[:, first_leg + 2, 1] = -np.radians(_periodic(ANKLE_DEG, leg)) * walk
        angles[:, first_leg, 0] = 0.02 * sign
        # An arm swings with the leg of the other side; a raised forearm (phone, bag strap, pocket) swings little.
        forward = np.cos(2 * np.pi * (phase + 0.5 - offset)) * swing * walk * np.where(raised > 0.3, 0.25, 1.0)
        angles[:, first_arm, 1] = -0.36 * forward + 0.06 - 0.25 * (raised > 0.3)
        angles[:, first_arm, 0] = sign * spread
        angles[:, first_arm + 1, 1] = -(bend + 0.16 * walk * (1.0 + forward) + raised)
        angles[:, first_arm + 1, 2] = -sign * (0.15 + 0.5 * (raised > 0.3))
        angles[:, first_arm + 2, 1] = -0.10
    turn = np.cos(2 * np.pi * phase) * walk
    angles[:, 0, 2] = -0.07 * turn
    angles[:, 0, 0] = 0.035 * np.sin(2 * np.pi * phase) * walk
    angles[:, 1, 0] = -0.03 * np.sin(2 * np.pi * phase) * walk
    angles[:, 2, 2] = 0.13 * turn
    angles[:, 3, 2] = -0.06 * turn
    angles[:, 1, 1] = lean * (0.3 + 0.7 * walk)
    angles[:, 3, 1] = -0.5 * lean
    return angles


def _rotations(angles: Array) -> Array:
    """(…, 3) angles about x, y, z to (…, 3, 3) matrices ``Rz @ Rx @ Ry``."""
    cx, cy, cz = np.moveaxis(np.cos(angles), -1, 0)
    sx, sy, sz = np.moveaxis(np.sin(angles), -1, 0)
    rows = (
        (cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy),
        (sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy),
        (-cx * sy, sx, cx * cy),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def bone_matrices(angles: Array, joints: Array, xy: Array, heading: Array) -> Array:
    """Forward kinematics, feet put on the ground.

    Args:
        angles: float64 (P, 17, 3) from ``gait_angles``.
        joints: float64 (P, 17, 3), each person's joints at rest, metres.
        xy: float64 (P, 2), where they stand, metres.
        heading: float64 (P,), walking direction, radians from the world's x axis, counter-clockwise.

    Returns:
        float64 (P, 17, 3, 4): affine matrices from the rest body to the world.
    """
    local = _rotations(angles)
    facing = _rotations(np.stack([np.zeros_like(heading), np.zeros_like(heading), heading], axis=-1))
    turned = np.empty_like(local)
    moved = np.empty_like(joints)
    turned[:, 0] = facing @ local[:, 0]
    moved[:, 0] = joints[:, 0] * (0.0, 0.0, 1.0)
    for bone, parent in enumerate(PARENTS[1:], start=1):
        turned[:, bone] = turned[:, parent] @ local[:, bone]
        offset = (joints[:, bone] - joints[:, parent])[:, :, None]
        moved[:, bone] = moved[:, parent] + (turned[:, parent] @ offset)[:, :, 0]
    turned[:, BAG] = facing  # A bag hangs down from the hand.
    soles = []
    for foot in (12, 15):
        scale = joints[:, foot, 2] / JOINTS[12, 2]
        points = SOLES[None] * scale[:, None, None] - joints[:, foot, None] * (0.0, 0.0, 1.0)
        soles.append(np.einsum("pj,pkj->pk", turned[:, foot, 2], points) + moved[:, foot, 2, None])
    moved[:, :, 2] -= np.concatenate(soles, axis=1).min(axis=1)[:, None]
    moved[:, :, :2] += xy[:, None]
    matrices = np.empty((*turned.shape[:2], 3, 4))
    matrices[..., :3] = turned
    matrices[..., 3] = moved - np.einsum("pbij,pbj->pbi", turned, joints)
    return matrices
