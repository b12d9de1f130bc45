"""The body of a synthetic person: tubes after anatomical cross-sections, dressed by widening them and by shells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth import anatomy, belongings
from reidpipe.synth.anatomy import ATLAS, EASE
from reidpipe.synth.mesh import Mesh, Weigh, bone_shares, join, smoothstep, tube
from reidpipe.synth.skeleton import BONES, JOINTS, REST_HEIGHT_M
from reidpipe.synth.wardrobe import Look

__all__ = ["build_body", "rest_joints"]

Array: TypeAlias = NDArray[np.float64]


def _torso_weights(points: Array) -> Array:
    z, y = points[:, 2], points[:, 1]
    spine = smoothstep(0.98, 1.12, z)
    chest = smoothstep(1.14, 1.30, z)
    head = smoothstep(1.50, 1.57, z)
    thigh = 0.55 * smoothstep(0.97, 0.83, z)
    left = smoothstep(-0.05, 0.05, y)
    return bone_shares(
        pelvis=(1 - spine) * (1 - thigh), thigh_l=(1 - spine) * thigh * left, thigh_r=(1 - spine) * thigh * (1 - left),
        spine=spine * (1 - chest), chest=chest * (1 - head), head=head,
    )  # fmt: skip


def _limb_weights(
    side: str, upper: str, lower: str, trunk: str, joint_z: float, trunk_z: tuple[float, float], soft: float
) -> Weigh:
    def weigh(points: Array) -> Array:
        z = points[:, 2]
        low = smoothstep(joint_z + soft, joint_z - soft, z)
        fixed = smoothstep(trunk_z[0], trunk_z[1], z)
        return bone_shares(
            **{f"{upper}_{side}": (1 - low) * (1 - fixed), f"{lower}_{side}": low, trunk: (1 - low) * fixed}
        )

    return weigh


def _scaled(rows: Array, side: float = 1.0, depth: float = 1.0) -> Array:
    out = np.array(rows, dtype=np.float64)
    out[:, 3] *= side
    out[:, 4:] *= depth
    return out


def _insert(rows: Array, heights: Sequence[float]) -> Array:
    """Adds interpolated rows at given heights to rows that run downwards."""
    new = [
        [height, *(float(np.interp(height, rows[::-1, 0], rows[::-1, column])) for column in range(1, 6))]
        for height in heights
        if rows[-1, 0] < height < rows[0, 0]
    ]
    merged = np.concatenate([rows, np.array(new).reshape(-1, 6)])
    return merged[np.argsort(-merged[:, 0], kind="stable")]


def _widen(rows: Array, ease: Array) -> Array:
    out = rows.copy()
    out[:, 3:] += ease[:, None]
    return out


def _torso(look: Look) -> Mesh:
    rows = _scaled(anatomy.TORSO, look.girth, look.girth)
    z = rows[:, 0]
    neck = smoothstep(1.44, 1.50, z)
    rows[:, 3:] = rows[:, 3:] * (1 - neck[:, None]) + np.array(anatomy.TORSO)[:, 3:] * neck[:, None] * (
        0.9 + 0.1 * look.girth
    )
    rows[:, 3] *= (
        1 + (look.shoulders - 1) * smoothstep(1.15, 1.38, z) * (1 - neck) + (look.hips - 1) * smoothstep(1.08, 0.96, z)
    )
    rows[:, 4] += look.bust * np.exp(-(((z - 1.285) / 0.055) ** 2)) + look.belly * np.exp(-(((z - 1.06) / 0.10) ** 2))
    rows[:, 3] += 0.5 * look.belly * np.exp(-(((z - 1.05) / 0.10) ** 2))
    hem = anatomy.hem_height(look)
    rows = _insert(rows, (hem + 0.05, hem + 0.002, hem - 0.004, 1.480))
    z = rows[:, 0]
    top_ease = EASE[look.top] * smoothstep(1.50, 1.44, z)
    waist = rows[:, 3:].copy()
    ease = np.where(z > hem, top_ease, 0.004)
    rows = _widen(rows, ease)
    # Loose clothes do not follow the waist: they hang between chest and hips.
    slack = min(1.0, EASE[look.top] / 0.024)
    hang = np.stack(
        [
            np.interp(
                z, (hem, 1.30), (np.interp(hem, z[::-1], waist[::-1, k]), np.interp(1.30, z[::-1], waist[::-1, k]))
            )
            for k in range(3)
        ],
        1,
    )
    inside = (z > hem) & (z < 1.30)
    rows[inside, 3:] = np.maximum(
        rows[inside, 3:], slack * (hang + 0.8 * ease[:, None])[inside] + (1 - slack) * rows[inside, 3:]
    )
    mesh = tube(rows, rings=22, segments=22, rect=ATLAS["torso"], weigh=_torso_weights, exponent=2.25)
    low = smoothstep(0.80, 0.92, mesh.vertices[:, 2])
    under_chin = 1 - 0.45 * smoothstep(1.49, 1.54, mesh.vertices[:, 2])
    mesh.open_air[:] = (0.55 + 0.45 * low) * under_chin
    return mesh


def _arm(look: Look, side: str) -> Mesh:
    sign = 1.0 if side == "l" else -1.0
    rows = _scaled(anatomy.ARM, look.girth, look.girth)
    outwards = anatomy.arm_shift(look)
    z = rows[:, 0]
    end = anatomy.sleeve_end(look)
    rows = _insert(rows, (end + 0.004, end - 0.004))
    z = rows[:, 0]
    sleeve = np.where(z > end, EASE[look.top] * (0.75 if look.long_sleeves else 1.1), 0.0) * smoothstep(1.445, 1.36, z)
    if look.top == "vest":
        sleeve = np.where(z > end, 0.006, 0.004)
    rows = _widen(rows, sleeve)
    rows[:, 2] = sign * (rows[:, 2] + outwards)
    weigh = _limb_weights(side, "arm", "forearm", "chest", 1.125, (1.40, 1.47), 0.05)
    mesh = tube(rows, rings=16, segments=12, rect=ATLAS["arm"], weigh=weigh)
    inner = smoothstep(
        0.05, -0.05, sign * (mesh.vertices[:, 1] - np.interp(mesh.vertices[:, 2], rows[::-1, 0], rows[::-1, 2]))
    )
    mesh.open_air[:] = 1 - 0.35 * inner * smoothstep(1.0, 1.3, mesh.vertices[:, 2])
    return mesh


def _hand(look: Look, side: str) -> Mesh:
    sign = 1.0 if side == "l" else -1.0
    rows = np.array(anatomy.HAND)
    rows[:, 2] = sign * (rows[:, 2] + anatomy.arm_shift(look))
    return tube(rows, rings=7, segments=8, rect=ATLAS["hand"], weigh=f"hand_{side}")


def _leg(look: Look, side: str) -> Mesh:
    sign = 1.0 if side == "l" else -1.0
    rows = _scaled(anatomy.LEG, look.girth**0.8, look.girth**0.8)
    z = rows[:, 0]
    rows[:, 3] *= 1 + (look.hips - 1) * smoothstep(0.6, 0.9, z)
    spread = (look.girth - 1) * 0.05 * smoothstep(0.2, 0.8, z) + (look.hips - 1) * 0.05
    rows[:, 2] = sign * (rows[:, 2] + spread)
    if look.bottom == "shorts":
        rows = _insert(rows, (0.535, 0.525))
        rows = _widen(rows, np.where(rows[:, 0] > 0.53, np.interp(rows[:, 0], (0.53, 0.8), (0.030, 0.010)), 0.0))
    elif look.bottom in ("straight", "wide", "slim"):
        hem, ease = {"straight": (0.070, 0.010), "wide": (0.098, 0.014), "slim": (0.052, 0.005)}[look.bottom]
        rows = _widen(rows, np.full(len(rows), ease))
        z = rows[:, 0]
        least = np.interp(z, (0.06, 0.52), (hem, 0.066 if look.bottom != "slim" else 0.0))
        below = z < 0.56
        rows[below, 3:] = np.maximum(rows[below, 3:], least[below, None])
    else:
        rows = _widen(rows, np.full(len(rows), 0.003))
    weigh = _limb_weights(side, "thigh", "shin", "pelvis", 0.50, (0.86, 0.98), 0.06)

    def creases(angle: Array, height: Array) -> Array:
        amount = {"straight": 0.004, "wide": 0.005, "slim": 0.0025}.get(look.bottom, 0.0)
        return amount * np.sin(angle * 2 + height * 37 + look.seed % 6) * smoothstep(0.55, 0.2, height)

    mesh = tube(rows, rings=18, segments=12, rect=ATLAS["leg"], weigh=weigh, shape=creases)
    inner = smoothstep(0.03, -0.06, sign * (mesh.vertices[:, 1] - sign * 0.095))
    mesh.open_air[:] = 1 - 0.45 * inner * smoothstep(0.35, 0.8, mesh.vertices[:, 2])
    return mesh


def _shoe(look: Look, side: str) -> list[Mesh]:
    sign = 1.0 if side == "l" else -1.0
    mesh = tube(anatomy.SHOE, rings=8, segments=10, rect=ATLAS["shoe"], weigh=f"foot_{side}", exponent=2.8, along="x")
    turn = 0.13 * sign
    x, y = mesh.vertices[:, 0].copy(), mesh.vertices[:, 1].copy()
    mesh.vertices[:, 0] = np.cos(turn) * x - np.sin(turn) * y
    mesh.vertices[:, 1] = np.sin(turn) * x + np.cos(turn) * y + sign * (0.098 + (look.hips - 1) * 0.05)
    mesh.open_air[:] = 0.8
    if look.shoe != "boot" or look.bottom in ("straight", "wide"):
        return [mesh]
    leather = (ATLAS["shoe"][0] + 22, ATLAS["shoe"][1], 20, 64)
    rows = [
        [z, 0.0, sign * (0.098 + (look.hips - 1) * 0.05), r + 0.014, r + 0.016, r + 0.016]
        for z, r in ((0.30, 0.048), (0.2, 0.043), (0.12, 0.040), (0.06, 0.042))
    ]
    return [mesh, tube(rows, rings=5, segments=12, rect=leather, weigh=f"shin_{side}")]


def _head(look: Look) -> Mesh:
    thick = {
        "buzz": 0.004, "bald": 0.0, "short": 0.013, "medium": 0.024, "afro": 0.050, "long": 0.018, "ponytail": 0.010,
        "bob": 0.020, "bun": 0.011, "scarf": 0.014,
    }[look.hair]  # fmt: skip
    if look.hat == "beanie":
        thick = 0.020
    elif look.hat == "cap":
        thick = 0.016

    def shape(angle: Array, z: Array) -> Array:
        def bump(centre: float, wide: float, height: float, tall: float, size: float) -> Array:
            return size * np.exp(-(((np.abs(angle) - centre) / wide) ** 2) - (((z - height) / tall) ** 2))

        face = (
            bump(0.0, 0.17, 1.603, 0.020, 0.020)
            + bump(0.0, 0.14, 1.630, 0.022, 0.009)
            + bump(0.0, 0.30, 1.536, 0.016, 0.006)
        )
        face += bump(0.36, 0.16, 1.638, 0.014, -0.007) + bump(0.30, 0.3, 1.662, 0.012, 0.003)
        ears = bump(1.68, 0.14, 1.622, 0.026, 0.017) * (look.hair not in ("scarf",))
        line = (
            anatomy.hairline(angle)
            if look.hair != "scarf"
            else np.interp(np.abs(angle), (0.0, 0.8, 1.0, np.pi), (1.70, 1.66, 1.5, 1.4))
        )
        if look.hat == "beanie":
            line = np.maximum(line, np.interp(np.abs(angle), (0, 1.2, np.pi), (1.680, 1.640, 1.615)))
        return face + ears + thick * smoothstep(-0.006, 0.010, z - line)

    mesh = tube(anatomy.HEAD, rings=22, segments=26, rect=ATLAS["head"], weigh="head", shape=shape, exponent=2.1)
    mesh.open_air[:] = 1 - 0.30 * smoothstep(1.58, 1.53, mesh.vertices[:, 2])
    return mesh


def rest_joints(look: Look) -> Array:
    """float64 (17, 3): the person's joints at rest, metres."""
    joints = JOINTS.copy()
    sign = np.sign(joints[:, 1])
    outwards = anatomy.arm_shift(look)
    joints[4:10, 1] += sign[4:10] * outwards
    joints[16, 1] += outwards
    joints[10:16, 1] += sign[10:16] * (look.hips - 1) * 0.05
    return joints * (look.height_m / REST_HEIGHT_M)


def build_body(look: Look) -> Mesh:
    """The dressed body of a person at rest, metres, standing on ``z = 0`` and looking along x."""
    torso = _torso(look)
    parts = [
        torso,
        _head(look),
        *belongings.hair(look),
        *belongings.hat_and_hood(look),
        *belongings.bags(look),
        *belongings.shell(look, torso),
    ]
    for side in "lr":
        parts += [_arm(look, side), _hand(look, side), _leg(look, side), *_shoe(look, side)]
    mesh = join(parts)
    scale = look.height_m / REST_HEIGHT_M
    vertices = mesh.vertices * scale
    if look.height_m < 1.5:
        # A child's head is larger against the body.
        neck = np.array([0.0, 0.0, 1.53 * scale])
        on_head = mesh.weights[:, BONES.index("head"), None]
        vertices = vertices + on_head * (vertices - neck) * (0.25 * (1.5 - look.height_m) / 0.3)
    return Mesh(vertices, mesh.normals, mesh.faces, mesh.texels, mesh.weights, mesh.open_air)
