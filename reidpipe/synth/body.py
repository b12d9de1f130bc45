"""The body of a synthetic person: tubes after anatomical cross-sections, dressed by widening them and by shells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.mesh import Mesh, Rect, join, smoothstep, tube
from reidpipe.synth.skeleton import BONES, JOINTS, REST_HEIGHT_M
from reidpipe.synth.wardrobe import Look

__all__ = ["ATLAS", "ATLAS_SIZE", "LEG_Z", "SHELL_TOP_M", "TORSO_Z", "build_body", "hairline", "hem_height", "rest_joints", "shell_bottom"]

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = list[list[float]]

ATLAS_SIZE = 512
ATLAS: dict[str, Rect] = {
    "torso": (0, 0, 256, 200), "shell": (256, 0, 256, 160), "head": (0, 200, 192, 192), "arm": (192, 200, 128, 192),
    "leg": (320, 160, 128, 256), "bag": (0, 392, 128, 120), "shoe": (128, 392, 64, 64), "hand": (128, 456, 64, 56),
    "hair": (192, 392, 128, 64), "hat": (192, 456, 128, 56),
}  # fmt: skip
"""Where each part's picture lies in the atlas."""

# Rows: height, forward centre, sideways centre, side radius, front radius, back radius (metres, 1.75 m person).
TORSO: Rows = [
    [1.575, -0.004, 0, 0.052, 0.050, 0.056], [1.52, -0.008, 0, 0.056, 0.056, 0.060], [1.49, -0.012, 0, 0.068, 0.060, 0.066],
    [1.468, -0.015, 0, 0.104, 0.066, 0.078], [1.445, -0.015, 0, 0.146, 0.078, 0.092], [1.41, -0.012, 0, 0.176, 0.092, 0.106],
    [1.37, -0.010, 0, 0.180, 0.108, 0.114], [1.31, -0.005, 0, 0.171, 0.118, 0.110], [1.24, 0.0, 0, 0.158, 0.115, 0.100],
    [1.16, 0.0, 0, 0.146, 0.106, 0.092], [1.09, 0.0, 0, 0.145, 0.105, 0.090], [1.02, 0.0, 0, 0.157, 0.108, 0.102],
    [0.96, -0.005, 0, 0.166, 0.108, 0.120], [0.90, -0.005, 0, 0.168, 0.104, 0.126], [0.84, 0.0, 0, 0.150, 0.098, 0.112],
    [0.80, 0.0, 0, 0.110, 0.080, 0.090],
]  # fmt: skip
ARM: Rows = [
    [1.445, -0.012, 0.150, 0.010, 0.014, 0.014], [1.438, -0.012, 0.156, 0.030, 0.038, 0.040],
    [1.415, -0.012, 0.172, 0.046, 0.052, 0.055],
    [1.37, -0.012, 0.187, 0.053, 0.056, 0.060], [1.32, -0.008, 0.198, 0.049, 0.053, 0.056], [1.24, -0.004, 0.206, 0.044, 0.047, 0.049],
    [1.16, 0.0, 0.214, 0.041, 0.042, 0.046], [1.12, 0.0, 0.218, 0.039, 0.040, 0.044], [1.06, 0.0, 0.222, 0.039, 0.042, 0.042],
    [0.98, 0.0, 0.229, 0.034, 0.037, 0.038], [0.90, 0.0, 0.235, 0.027, 0.030, 0.030], [0.865, 0.0, 0.237, 0.024, 0.028, 0.028],
    [0.855, 0.0, 0.237, 0.010, 0.012, 0.012],
]  # fmt: skip
HAND: Rows = [
    [0.88, 0.0, 0.237, 0.015, 0.024, 0.024], [0.86, 0.0, 0.238, 0.018, 0.030, 0.028], [0.825, 0.004, 0.239, 0.020, 0.042, 0.036],
    [0.79, 0.008, 0.238, 0.019, 0.042, 0.036], [0.745, 0.014, 0.235, 0.017, 0.034, 0.032], [0.705, 0.018, 0.230, 0.013, 0.024, 0.024],
    [0.69, 0.018, 0.228, 0.004, 0.008, 0.008],
]  # fmt: skip
LEG: Rows = [
    [0.96, -0.004, 0.080, 0.070, 0.088, 0.100], [0.90, -0.004, 0.087, 0.085, 0.096, 0.110], [0.84, -0.002, 0.090, 0.088, 0.095, 0.102],
    [0.76, 0.003, 0.091, 0.082, 0.088, 0.088], [0.66, 0.006, 0.091, 0.072, 0.079, 0.076], [0.56, 0.007, 0.092, 0.062, 0.067, 0.064],
    [0.50, 0.008, 0.093, 0.057, 0.064, 0.057], [0.45, 0.004, 0.094, 0.055, 0.059, 0.058], [0.38, -0.003, 0.095, 0.056, 0.052, 0.068],
    [0.30, -0.006, 0.096, 0.050, 0.046, 0.062], [0.20, -0.006, 0.097, 0.040, 0.038, 0.046], [0.12, -0.004, 0.098, 0.035, 0.037, 0.038],
    [0.06, -0.002, 0.098, 0.035, 0.040, 0.040],
]  # fmt: skip
SHOE: Rows = [
    [-0.080, 0.032, 0.0, 0.010, 0.016, 0.014], [-0.072, 0.034, 0.0, 0.030, 0.048, 0.032], [-0.040, 0.034, 0.0, 0.036, 0.064, 0.034],
    [0.010, 0.034, 0.0, 0.038, 0.060, 0.034], [0.060, 0.034, 0.0, 0.043, 0.034, 0.034], [0.120, 0.034, 0.0, 0.047, 0.020, 0.032],
    [0.165, 0.034, 0.0, 0.038, 0.012, 0.027], [0.190, 0.034, 0.0, 0.012, 0.004, 0.014],
]  # fmt: skip
HEAD: Rows = [
    [1.752, 0.004, 0, 0.004, 0.006, 0.006], [1.746, 0.004, 0, 0.028, 0.034, 0.042], [1.730, 0.004, 0, 0.052, 0.060, 0.072],
    [1.705, 0.006, 0, 0.068, 0.080, 0.092], [1.675, 0.006, 0, 0.0745, 0.091, 0.099], [1.645, 0.006, 0, 0.0735, 0.093, 0.098],
    [1.615, 0.006, 0, 0.070, 0.094, 0.089], [1.585, 0.008, 0, 0.064, 0.091, 0.076], [1.560, 0.010, 0, 0.057, 0.086, 0.062],
    [1.540, 0.012, 0, 0.046, 0.078, 0.048], [1.525, 0.012, 0, 0.028, 0.060, 0.034], [1.520, 0.012, 0, 0.008, 0.020, 0.010],
]  # fmt: skip
TORSO_Z = (1.575, 0.80)
LEG_Z = (0.96, 0.06)
ARM_Z = (1.445, 0.855)
HEAD_Z = (1.752, 1.52)
SHELL_TOP_M = 1.08
EASE = {
    "tshirt": 0.010, "shirt": 0.012, "sweater": 0.014, "hoodie": 0.022, "jacket": 0.024, "open_jacket": 0.022, "blazer": 0.016,
    "coat": 0.028, "dress": 0.006, "summer_dress": 0.006, "vest": 0.026,
}  # fmt: skip
HEM = {
    "tshirt": 0.92, "shirt": 0.90, "sweater": 0.91, "hoodie": 0.91, "jacket": 0.93, "open_jacket": 0.90, "blazer": 0.86,
    "coat": 0.86, "dress": 0.86, "summer_dress": 0.86, "vest": 0.94,
}  # fmt: skip


def hem_height(look: Look) -> float:
    """Height at which the upper garment ends over the hips, metres of the 1.75 m body."""
    return HEM[look.top] + 0.03 * ((look.seed % 7) / 6.0 - 0.5)


def shell_bottom(look: Look) -> float | None:
    """Height of the lower edge of a coat's or skirt's shell, metres of the 1.75 m body; None = no shell."""
    vary = (look.seed // 7 % 11) / 10.0
    if look.top == "coat":
        return 0.78 - 0.36 * vary
    if look.bottom == "skirt":
        return 0.60 - 0.36 * vary
    return None


def hairline(angle: Array) -> Array:
    """Height above which the head carries hair, metres; ``angle`` 0 = face, +-pi = back of the head."""
    return np.interp(
        np.abs(angle), (0.0, 0.6, 0.95, 1.3, 1.55, 1.8, 2.2, np.pi), (1.704, 1.700, 1.672, 1.632, 1.600, 1.598, 1.565, 1.548)
    )


def _columns(**shares: Array) -> Array:
    first = next(iter(shares.values()))
    weights = np.zeros((len(first), len(BONES)))
    for bone, share in shares.items():
        weights[:, BONES.index(bone)] = share
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)


def _torso_weights(points: Array) -> Array:
    z, y = points[:, 2], points[:, 1]
    spine = smoothstep(0.98, 1.12, z)
    chest = smoothstep(1.14, 1.30, z)
    head = smoothstep(1.50, 1.57, z)
    thigh = 0.55 * smoothstep(0.97, 0.83, z)
    left = smoothstep(-0.05, 0.05, y)
    return _columns(
        pelvis=(1 - spine) * (1 - thigh), thigh_l=(1 - spine) * thigh * left, thigh_r=(1 - spine) * thigh * (1 - left),
        spine=spine * (1 - chest), chest=chest * (1 - head), head=head,
    )  # fmt: skip


def _shell_weights(points: Array) -> Array:
    z, y = points[:, 2], points[:, 1]
    thigh = 0.80 * smoothstep(1.00, 0.62, z)
    spine = smoothstep(0.98, 1.12, z)
    left = smoothstep(-0.13, 0.13, y)
    shin = 0.35 * smoothstep(0.55, 0.30, z)
    keep = (1 - spine) * thigh
    return _columns(
        pelvis=(1 - spine) * (1 - thigh), spine=spine, thigh_l=keep * left * (1 - shin), shin_l=keep * left * shin,
        thigh_r=keep * (1 - left) * (1 - shin), shin_r=keep * (1 - left) * shin,
    )  # fmt: skip


def _limb_weights(side: str, upper: str, lower: str, trunk: str, joint_z: float, trunk_z: tuple[float, float], soft: float) -> object:
    def weigh(points: Array) -> Array:
        z = points[:, 2]
        low = smoothstep(joint_z + soft, joint_z - soft, z)
        fixed = smoothstep(trunk_z[0], trunk_z[1], z)
        return _columns(**{f"{upper}_{side}": (1 - low) * (1 - fixed), f"{lower}_{side}": low, trunk: (1 - low) * fixed})

    return weigh


def _scaled(rows: Rows, side: float = 1.0, depth: float = 1.0) -> Array:
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
    rows = _scaled(TORSO, look.girth, look.girth)
    z = rows[:, 0]
    neck = smoothstep(1.44, 1.50, z)
    rows[:, 3:] = rows[:, 3:] * (1 - neck[:, None]) + np.array(TORSO)[:, 3:] * neck[:, None] * (0.9 + 0.1 * look.girth)
    rows[:, 3] *= 1 + (look.shoulders - 1) * smoothstep(1.15, 1.38, z) * (1 - neck) + (look.hips - 1) * smoothstep(1.08, 0.96, z)
    rows[:, 4] += look.bust * np.exp(-(((z - 1.285) / 0.055) ** 2)) + look.belly * np.exp(-(((z - 1.06) / 0.10) ** 2))
    rows[:, 3] += 0.5 * look.belly * np.exp(-(((z - 1.05) / 0.10) ** 2))
    hem = hem_height(look)
    rows = _insert(rows, (hem + 0.05, hem + 0.002, hem - 0.004, 1.480))
    z = rows[:, 0]
    top_ease = EASE[look.top] * smoothstep(1.50, 1.44, z)
    waist = rows[:, 3:].copy()
    ease = np.where(z > hem, top_ease, 0.004)
    rows = _widen(rows, ease)
    # Loose clothes do not follow the waist: they hang between chest and hips.
    slack = min(1.0, EASE[look.top] / 0.024)
    hang = np.stack([np.interp(z, (hem, 1.30), (np.interp(hem, z[::-1], waist[::-1, k]), np.interp(1.30, z[::-1], waist[::-1, k]))) for k in range(3)], 1)
    inside = (z > hem) & (z < 1.30)
    rows[inside, 3:] = np.maximum(rows[inside, 3:], slack * (hang + 0.8 * ease[:, None])[inside] + (1 - slack) * rows[inside, 3:])
    mesh = tube(rows, rings=22, segments=22, rect=ATLAS["torso"], weigh=_torso_weights, exponent=2.25)
    low = smoothstep(0.80, 0.92, mesh.vertices[:, 2])
    under_chin = 1 - 0.45 * smoothstep(1.49, 1.54, mesh.vertices[:, 2])
    mesh.open_air[:] = (0.55 + 0.45 * low) * under_chin
    return mesh


def _arm(look: Look, side: str) -> Mesh:
    sign = 1.0 if side == "l" else -1.0
    rows = _scaled(ARM, look.girth, look.girth)
    outwards = (look.shoulders * (0.6 + 0.4 * look.girth) - 1) * 0.17 + 0.3 * EASE[look.top]
    z = rows[:, 0]
    end = 0.885 if look.long_sleeves else (1.20 if look.top != "vest" else 1.36)
    rows = _insert(rows, (end + 0.004, end - 0.004))
    z = rows[:, 0]
    sleeve = np.where(z > end, EASE[look.top] * (0.75 if look.long_sleeves else 1.1), 0.0) * smoothstep(1.445, 1.36, z)
    if look.top == "vest":
        sleeve = np.where(z > end, 0.006, 0.004)
    rows = _widen(rows, sleeve)
    rows[:, 2] = sign * (rows[:, 2] + outwards)
    weigh = _limb_weights(side, "arm", "forearm", "chest", 1.125, (1.40, 1.47), 0.05)
    mesh = tube(rows, rings=16, segments=12, rect=ATLAS["arm"], weigh=weigh)  # type: ignore[arg-type]
    inner = smoothstep(0.05, -0.05, sign * (mesh.vertices[:, 1] - np.interp(mesh.vertices[:, 2], rows[::-1, 0], rows[::-1, 2])))
    mesh.open_air[:] = 1 - 0.35 * inner * smoothstep(1.0, 1.3, mesh.vertices[:, 2])
    return mesh


def _hand(look: Look, side: str) -> Mesh:
    sign = 1.0 if side == "l" else -1.0
    rows = np.array(HAND)
    rows[:, 2] = sign * (rows[:, 2] + (look.shoulders * (0.6 + 0.4 * look.girth) - 1) * 0.17 + 0.3 * EASE[look.top])
    return tube(rows, rings=7, segments=8, rect=ATLAS["hand"], weigh=f"hand_{side}")


def _leg(look: Look, side: str) -> Mesh:
    sign = 1.0 if side == "l" else -1.0
    rows = _scaled(LEG, look.girth**0.8, look.girth**0.8)
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

    mesh = tube(rows, rings=18, segments=12, rect=ATLAS["leg"], weigh=weigh, shape=creases)  # type: ignore[arg-type]
    inner = smoothstep(0.03, -0.06, sign * (mesh.vertices[:, 1] - sign * 0.095))
    mesh.open_air[:] = 1 - 0.45 * inner * smoothstep(0.35, 0.8, mesh.vertices[:, 2])
    return mesh


def _shoe(look: Look, side: str) -> list[Mesh]:
    sign = 1.0 if side == "l" else -1.0
    mesh = tube(SHOE, rings=8, segments=10, rect=ATLAS["shoe"], weigh=f"foot_{side}", exponent=2.8, along="x")
    turn = 0.13 * sign
    x, y = mesh.vertices[:, 0].copy(), mesh.vertices[:, 1].copy()
    mesh.vertices[:, 0] = np.cos(turn) * x - np.sin(turn) * y
    mesh.vertices[:, 1] = np.sin(turn) * x + np.cos(turn) * y + sign * (0.098 + (look.hips - 1) * 0.05)
    mesh.open_air[:] = 0.8
    if look.shoe != "boot" or look.bottom in ("straight", "wide"):
        return [mesh]
    leather = (ATLAS["shoe"][0] + 22, ATLAS["shoe"][1], 20, 64)
    rows = [[z, 0.0, sign * (0.098 + (look.hips - 1) * 0.05), r + 0.014, r + 0.016, r + 0.016] for z, r in ((0.30, 0.048), (0.2, 0.043), (0.12, 0.040), (0.06, 0.042))]
    return [mesh, tube(rows, rings=5, segments=12, rect=leather, weigh=f"shin_{side}")]


def _head(look: Look) -> Mesh:
    thick = {"buzz": 0.004, "bald": 0.0, "short": 0.013, "medium": 0.024, "afro": 0.050, "long": 0.018, "ponytail": 0.010,
             "bob": 0.020, "bun": 0.011, "scarf": 0.014}[look.hair]  # fmt: skip
    if look.hat == "beanie":
        thick = 0.020
    elif look.hat == "cap":
        thick = 0.016

    def shape(angle: Array, z: Array) -> Array:
        def bump(centre: float, wide: float, height: float, tall: float, size: float) -> Array:
            return size * np.exp(-(((np.abs(angle) - centre) / wide) ** 2) - (((z - height) / tall) ** 2))

        face = bump(0.0, 0.17, 1.603, 0.020, 0.020) + bump(0.0, 0.14, 1.630, 0.022, 0.009) + bump(0.0, 0.30, 1.536, 0.016, 0.006)
        face += bump(0.36, 0.16, 1.638, 0.014, -0.007) + bump(0.30, 0.3, 1.662, 0.012, 0.003)
        ears = bump(1.68, 0.14, 1.622, 0.026, 0.017) * (look.hair not in ("scarf",))
        line = hairline(angle) if look.hair != "scarf" else np.interp(np.abs(angle), (0.0, 0.8, 1.0, np.pi), (1.70, 1.66, 1.5, 1.4))
        if look.hat == "beanie":
            line = np.maximum(line, np.interp(np.abs(angle), (0, 1.2, np.pi), (1.680, 1.640, 1.615)))
        return face + ears + thick * smoothstep(-0.006, 0.010, z - line)

    mesh = tube(HEAD, rings=22, segments=26, rect=ATLAS["head"], weigh="head", shape=shape, exponent=2.1)
    mesh.open_air[:] = 1 - 0.30 * smoothstep(1.58, 1.53, mesh.vertices[:, 2])
    return mesh


def _hair(look: Look) -> list[Mesh]:
    def piece(rows: Rows, weigh: object = "head", exponent: float = 2.0) -> Mesh:
        return tube(rows, rings=10, segments=14, rect=ATLAS["hair"], weigh=weigh, exponent=exponent)  # type: ignore[arg-type]

    def falling(points: Array) -> Array:
        head = smoothstep(1.42, 1.54, points[:, 2])
        return _columns(head=head, chest=1 - head)

    end = 1.44 - 0.16 * (look.seed % 9) / 8
    if look.hair == "long":
        return [piece([[1.71, -0.040, 0, 0.030, 0.02, 0.03], [1.69, -0.030, 0, 0.080, 0.05, 0.078], [1.62, -0.028, 0, 0.092, 0.052, 0.090],
                       [1.54, -0.040, 0, 0.098, 0.050, 0.080], [1.46, -0.068, 0, 0.105, 0.045, 0.075], [end, -0.095, 0, 0.092, 0.02, 0.045],
                       [end - 0.03, -0.10, 0, 0.05, 0.008, 0.02]], falling)]  # fmt: skip
    if look.hair in ("bob", "scarf"):
        low = 1.52 if look.hair == "bob" else 1.45
        wide = 0.0 if look.hair == "bob" else 0.008
        return [piece([[1.72, -0.030, 0, 0.030, 0.02, 0.03], [1.69, -0.022, 0, 0.082 + wide, 0.055, 0.085], [1.62, -0.020, 0, 0.096 + wide, 0.062, 0.095],
                       [1.56, -0.022, 0, 0.096 + wide, 0.060, 0.088], [low, -0.025, 0, 0.080 + 2 * wide, 0.045, 0.065],
                       [low - 0.012, -0.025, 0, 0.04, 0.02, 0.03]], falling)]  # fmt: skip
    if look.hair == "ponytail":
        return [piece([[1.69, -0.115, 0, 0.012, 0.015, 0.015], [1.66, -0.132, 0, 0.028, 0.025, 0.030], [1.58, -0.140, 0, 0.034, 0.022, 0.034],
                       [1.48, -0.138, 0, 0.028, 0.016, 0.028], [1.42, -0.132, 0, 0.008, 0.006, 0.01]], falling)]  # fmt: skip
    if look.hair == "bun":
        return [piece([[1.745, -0.085, 0, 0.008, 0.01, 0.01], [1.735, -0.088, 0, 0.034, 0.034, 0.034], [1.70, -0.098, 0, 0.045, 0.04, 0.044],
                       [1.665, -0.095, 0, 0.03, 0.03, 0.03], [1.655, -0.095, 0, 0.005, 0.01, 0.01]])]  # fmt: skip
    return []


def _extras(look: Look) -> list[Mesh]:
    parts: list[Mesh] = []
    if look.hat == "cap":
        rows = [[0.085, 1.688, 0, 0.072, 0.006, 0.010], [0.13, 1.686, 0, 0.070, 0.005, 0.008], [0.165, 1.680, 0, 0.050, 0.004, 0.006], [0.178, 1.677, 0, 0.014, 0.003, 0.003]]
        parts.append(tube(rows, rings=5, segments=12, rect=ATLAS["hat"], weigh="head", along="x"))
    depth = 0.5 * EASE[look.top] + 0.11 * (look.girth - 1)
    if look.top == "hoodie":
        rows = [[1.545, -0.06, 0, 0.05, 0.03, 0.03], [1.53, -0.065, 0, 0.098, 0.045, 0.058], [1.48, -0.085, 0, 0.120, 0.05, 0.068], [1.42, -0.10, 0, 0.10, 0.03, 0.045], [1.39, -0.10, 0, 0.04, 0.01, 0.02]]
        parts.append(tube(rows, rings=7, segments=14, rect=(ATLAS["shell"][0] + 190, 120, 60, 36), weigh="chest", open_air=0.85))
    if look.bag == "backpack":
        rows = [[1.43, -0.175 - depth, 0, 0.04, 0.03, 0.03], [1.42, -0.180 - depth, 0, 0.11, 0.065, 0.055], [1.34, -0.190 - depth, 0, 0.142, 0.075, 0.075], [1.15, -0.195 - depth, 0, 0.150, 0.085, 0.095], [1.02, -0.190 - depth, 0, 0.145, 0.085, 0.085], [0.99, -0.185 - depth, 0, 0.09, 0.06, 0.05]]
        parts.append(tube(rows, rings=9, segments=18, rect=ATLAS["bag"], weigh="chest", exponent=4.0))
    if look.bag == "shoulder":
        y = -(0.215 + 0.15 * (look.girth * look.hips - 1) + 0.4 * EASE[look.top])
        rows = [[1.00, -0.05, y, 0.03, 0.10, 0.10], [0.99, -0.05, y, 0.045, 0.13, 0.13], [0.86, -0.05, y, 0.058, 0.15, 0.15], [0.76, -0.05, y, 0.058, 0.15, 0.15], [0.745, -0.05, y, 0.04, 0.12, 0.12]]
        parts.append(tube(rows, rings=6, segments=16, rect=ATLAS["bag"], weigh="pelvis", exponent=4.5))
    if look.bag == "hand":
        y = 0.245 + (look.shoulders * (0.6 + 0.4 * look.girth) - 1) * 0.17 + 0.3 * EASE[look.top]
        rows = [[0.70, 0.015, y, 0.012, 0.05, 0.05], [0.64, 0.015, y, 0.014, 0.11, 0.11], [0.63, 0.015, y, 0.045, 0.15, 0.15], [0.50, 0.015, y, 0.055, 0.17, 0.17], [0.40, 0.015, y, 0.055, 0.165, 0.165], [0.385, 0.015, y, 0.04, 0.14, 0.14]]
        parts.append(tube(rows, rings=8, segments=16, rect=ATLAS["bag"], weigh="forearm_l", exponent=4.5))
    return parts


def _shell(look: Look, torso: Mesh) -> list[Mesh]:
    bottom = shell_bottom(look)
    if bottom is None:
        return []
    z = torso.vertices[:, 2]
    ring = torso.vertices[np.abs(z - z[np.argmin(np.abs(z - 0.93))]) < 1e-6]
    side, front, back = ring[:, 1].max() + 0.010, ring[:, 0].max() + 0.010, -ring[:, 0].min() + 0.010
    flare = (0.05 if look.top == "coat" else 0.04 + 0.05 * (look.seed % 5) / 4) * (0.93 - bottom) / 0.4
    knee = 0.5 * flare
    rows = [
        [SHELL_TOP_M, 0, 0, side * 0.90, front * 0.94, back * 0.84], [0.93, 0, 0, side, front, back],
        [0.5 * (0.93 + bottom), 0, 0, side + knee, front + knee, back + knee],
        [bottom + 0.01, 0, 0, side + flare, front + flare, back + flare], [bottom, 0, 0, side + flare - 0.012, front + flare - 0.012, back + flare - 0.012],
    ]  # fmt: skip

    def pleats(angle: Array, height: Array) -> Array:
        return 0.010 * np.sin(angle * (5 + look.seed % 4)) * smoothstep(0.9, bottom, height)

    mesh = tube(rows, rings=10, segments=26, rect=ATLAS["shell"], weigh=_shell_weights, shape=pleats, exponent=2.3)
    return [mesh]


def rest_joints(look: Look) -> Array:
    """float64 (16, 3): the person's joints at rest, metres."""
    joints = JOINTS.copy()
    sign = np.sign(joints[:, 1])
    outwards = (look.shoulders * (0.6 + 0.4 * look.girth) - 1) * 0.17 + 0.3 * EASE[look.top]
    joints[4:10, 1] += sign[4:10] * outwards
    joints[10:, 1] += sign[10:] * (look.hips - 1) * 0.05
    return joints * (look.height_m / REST_HEIGHT_M)


def build_body(look: Look) -> Mesh:
    """The dressed body of a person at rest, metres, standing on ``z = 0`` and looking along x."""
    torso = _torso(look)
    parts = [torso, _head(look), *_hair(look), *_extras(look), *_shell(look, torso)]
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
