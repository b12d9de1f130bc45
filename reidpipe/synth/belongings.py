"""What a synthetic person wears over the body: hair, cap, hood, bags, coat and skirt shells."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.anatomy import ATLAS, EASE, SHELL_TOP_M, arm_shift, shell_bottom
from reidpipe.synth.mesh import Mesh, Weigh, bone_shares, smoothstep, tube
from reidpipe.synth.wardrobe import Look

__all__ = ["bags", "hair", "hat_and_hood", "shell"]

Array: TypeAlias = NDArray[np.float64]


def _falling(points: Array) -> Array:
    """Long hair lies on the chest's bone below the neck, and turns with the head above."""
    head = smoothstep(1.42, 1.54, points[:, 2])
    return bone_shares(head=head, chest=1 - head)


def hair(look: Look) -> list[Mesh]:
    """Hair that stands off the head: long, bob, scarf, ponytail, bun; the rest is part of the head."""
    weigh: Weigh | str = _falling
    if look.hair == "long":
        end = 1.44 - 0.16 * (look.seed % 9) / 8
        rows = [
            [1.71, -0.040, 0, 0.030, 0.02, 0.03],
            [1.69, -0.030, 0, 0.080, 0.05, 0.078],
            [1.62, -0.028, 0, 0.092, 0.052, 0.090],
            [1.54, -0.040, 0, 0.098, 0.050, 0.080],
            [1.46, -0.068, 0, 0.105, 0.045, 0.075],
            [end, -0.095, 0, 0.092, 0.02, 0.045],
            [end - 0.03, -0.10, 0, 0.05, 0.008, 0.02],
        ]
    elif look.hair in ("bob", "scarf"):
        low, wide = (1.52, 0.0) if look.hair == "bob" else (1.45, 0.008)
        rows = [
            [1.72, -0.030, 0, 0.030, 0.02, 0.03],
            [1.69, -0.022, 0, 0.082 + wide, 0.055, 0.085],
            [1.62, -0.020, 0, 0.096 + wide, 0.062, 0.095],
            [1.56, -0.022, 0, 0.096 + wide, 0.060, 0.088],
            [low, -0.025, 0, 0.080 + 2 * wide, 0.045, 0.065],
            [low - 0.012, -0.025, 0, 0.04, 0.02, 0.03],
        ]
    elif look.hair == "ponytail":
        rows = [
            [1.69, -0.115, 0, 0.012, 0.015, 0.015],
            [1.66, -0.132, 0, 0.028, 0.025, 0.030],
            [1.58, -0.140, 0, 0.034, 0.022, 0.034],
            [1.48, -0.138, 0, 0.028, 0.016, 0.028],
            [1.42, -0.132, 0, 0.008, 0.006, 0.01],
        ]
    elif look.hair == "bun":
        weigh = "head"
        rows = [
            [1.745, -0.085, 0, 0.008, 0.01, 0.01],
            [1.735, -0.088, 0, 0.034, 0.034, 0.034],
            [1.70, -0.098, 0, 0.045, 0.04, 0.044],
            [1.665, -0.095, 0, 0.03, 0.03, 0.03],
            [1.655, -0.095, 0, 0.005, 0.01, 0.01],
        ]
    else:
        return []
    return [tube(rows, rings=10, segments=14, rect=ATLAS["hair"], weigh=weigh)]


def hat_and_hood(look: Look) -> list[Mesh]:
    """The brim of a cap, the hood on a hoodie's back."""
    parts: list[Mesh] = []
    if look.hat == "cap":
        rows = [
            [0.085, 1.688, 0, 0.072, 0.006, 0.010],
            [0.13, 1.686, 0, 0.070, 0.005, 0.008],
            [0.165, 1.680, 0, 0.050, 0.004, 0.006],
            [0.178, 1.677, 0, 0.014, 0.003, 0.003],
        ]
        parts.append(tube(rows, rings=5, segments=12, rect=ATLAS["hat"], weigh="head", along="x"))
    if look.top == "hoodie":
        rows = [
            [1.545, -0.06, 0, 0.05, 0.03, 0.03],
            [1.53, -0.065, 0, 0.098, 0.045, 0.058],
            [1.48, -0.085, 0, 0.120, 0.05, 0.068],
            [1.42, -0.10, 0, 0.10, 0.03, 0.045],
            [1.39, -0.10, 0, 0.04, 0.01, 0.02],
        ]
        parts.append(
            tube(rows, rings=7, segments=14, rect=(ATLAS["shell"][0] + 190, 120, 60, 36), weigh="chest", open_air=0.85)
        )
    return parts


def bags(look: Look) -> list[Mesh]:
    """A backpack, a shoulder bag, or a bag in the left hand."""
    parts: list[Mesh] = []
    depth = 0.5 * EASE[look.top] + 0.11 * (look.girth - 1)
    if look.bag == "backpack":
        rows = [
            [1.43, -0.175 - depth, 0, 0.04, 0.03, 0.03],
            [1.42, -0.180 - depth, 0, 0.11, 0.065, 0.055],
            [1.34, -0.190 - depth, 0, 0.142, 0.075, 0.075],
            [1.15, -0.195 - depth, 0, 0.150, 0.085, 0.095],
            [1.02, -0.190 - depth, 0, 0.145, 0.085, 0.085],
            [0.99, -0.185 - depth, 0, 0.09, 0.06, 0.05],
        ]
        parts.append(tube(rows, rings=9, segments=18, rect=ATLAS["bag"], weigh="chest", exponent=4.0))
    if look.bag == "shoulder":
        y = -(0.215 + 0.15 * (look.girth * look.hips - 1) + 0.4 * EASE[look.top])
        rows = [
            [1.00, -0.05, y, 0.03, 0.10, 0.10],
            [0.99, -0.05, y, 0.045, 0.13, 0.13],
            [0.86, -0.05, y, 0.058, 0.15, 0.15],
            [0.76, -0.05, y, 0.058, 0.15, 0.15],
            [0.745, -0.05, y, 0.04, 0.12, 0.12],
        ]
        parts.append(tube(rows, rings=6, segments=16, rect=ATLAS["bag"], weigh="pelvis", exponent=4.5))
    if look.bag == "hand":
        y = 0.245 + arm_shift(look)
        rows = [
            [0.70, 0.015, y, 0.012, 0.05, 0.05],
            [0.64, 0.015, y, 0.014, 0.11, 0.11],
            [0.63, 0.015, y, 0.045, 0.15, 0.15],
            [0.50, 0.015, y, 0.055, 0.17, 0.17],
            [0.40, 0.015, y, 0.055, 0.165, 0.165],
            [0.385, 0.015, y, 0.04, 0.14, 0.14],
        ]
        parts.append(tube(rows, rings=8, segments=16, rect=ATLAS["bag"], weigh="bag", exponent=4.5))
    return parts


def _shell_weights(points: Array) -> Array:
    z, y = points[:, 2], points[:, 1]
    thigh = 0.80 * smoothstep(1.00, 0.62, z)
    spine = smoothstep(0.98, 1.12, z)
    left = smoothstep(-0.13, 0.13, y)
    shin = 0.35 * smoothstep(0.55, 0.30, z)
    keep = (1 - spine) * thigh
    return bone_shares(
        pelvis=(1 - spine) * (1 - thigh), spine=spine, thigh_l=keep * left * (1 - shin), shin_l=keep * left * shin,
        thigh_r=keep * (1 - left) * (1 - shin), shin_r=keep * (1 - left) * shin,
    )  # fmt: skip


def shell(look: Look, torso: Mesh) -> list[Mesh]:
    """The lower part of a coat, or a skirt: a tube around both legs that follows them."""
    bottom = shell_bottom(look)
    if bottom is None:
        return []
    z = torso.vertices[:, 2]
    ring = torso.vertices[np.abs(z - z[np.argmin(np.abs(z - 0.93))]) < 1e-6]
    side, front, back = ring[:, 1].max() + 0.010, ring[:, 0].max() + 0.010, -ring[:, 0].min() + 0.010
    flare = (0.05 if look.top == "coat" else 0.04 + 0.05 * (look.seed % 5) / 4) * (0.93 - bottom) / 0.4
    knee = 0.5 * flare
    rows = [
        [SHELL_TOP_M, 0, 0, side * 0.90, front * 0.94, back * 0.84],
        [0.93, 0, 0, side, front, back],
        [0.5 * (0.93 + bottom), 0, 0, side + knee, front + knee, back + knee],
        [bottom + 0.01, 0, 0, side + flare, front + flare, back + flare],
        [bottom, 0, 0, side + flare - 0.012, front + flare - 0.012, back + flare - 0.012],
    ]

    def pleats(angle: Array, height: Array) -> Array:
        return 0.010 * np.sin(angle * (5 + look.seed % 4)) * smoothstep(0.9, bottom, height)

    mesh = tube(rows, rings=10, segments=26, rect=ATLAS["shell"], weigh=_shell_weights, shape=pleats, exponent=2.3)
    return [mesh]
