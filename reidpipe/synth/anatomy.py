"""Cross-sections of the human body, the places of clothes on it, and the layout of a person's texture.

All measures are of a person of 1.75 m; the proportions follow the usual 7.7 head heights.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from reidpipe.synth.mesh import Rect
from reidpipe.synth.wardrobe import Look

__all__ = [
    "ARM", "ARM_Z", "ATLAS", "ATLAS_SIZE", "EASE", "HAND", "HEAD", "HEAD_Z", "LEG", "LEG_Z", "SHELL_TOP_M", "SHOE",
    "TORSO", "TORSO_Z", "arm_shift", "hairline", "hem_height", "shell_bottom", "sleeve_end",
]  # fmt: skip

Array: TypeAlias = NDArray[np.float64]

ATLAS_SIZE = 512
ATLAS: dict[str, Rect] = {
    "torso": (0, 0, 256, 200),
    "shell": (256, 0, 256, 160),
    "head": (0, 200, 192, 192),
    "arm": (192, 200, 128, 192),
    "leg": (320, 160, 128, 256),
    "bag": (0, 392, 128, 120),
    "shoe": (128, 392, 64, 64),
    "hand": (128, 456, 64, 56),
    "hair": (192, 392, 128, 64),
    "hat": (192, 456, 128, 56),
}
"""Where each part's picture lies in the atlas, texels."""


def _table(text: str) -> Array:
    """Control rings, one a line; columns as ``mesh.tube`` takes them."""
    return np.array([[float(word) for word in line.split()] for line in text.strip().splitlines()])


# Columns: height (shoe: length), forward centre, sideways centre, side radius, front radius, back radius; metres.
TORSO = _table(
    """
     1.575   -0.004    0        0.052    0.05     0.056
     1.52    -0.008    0        0.056    0.056    0.06
     1.49    -0.012    0        0.068    0.06     0.066
     1.468   -0.015    0        0.104    0.066    0.078
     1.445   -0.015    0        0.146    0.078    0.092
     1.41    -0.012    0        0.176    0.092    0.106
     1.37    -0.01     0        0.18     0.108    0.114
     1.31    -0.005    0        0.171    0.118    0.11
     1.24     0        0        0.158    0.115    0.1
     1.16     0        0        0.146    0.106    0.092
     1.09     0        0        0.145    0.105    0.09
     1.02     0        0        0.157    0.108    0.102
     0.96    -0.005    0        0.166    0.108    0.12
     0.9     -0.005    0        0.168    0.104    0.126
     0.84     0        0        0.15     0.098    0.112
     0.8      0        0        0.11     0.08     0.09
    """
)

ARM = _table(
    """
     1.445   -0.012    0.15     0.01     0.014    0.014
     1.438   -0.012    0.156    0.03     0.038    0.04
     1.415   -0.012    0.172    0.046    0.052    0.055
     1.37    -0.012    0.187    0.053    0.056    0.06
     1.32    -0.008    0.198    0.049    0.053    0.056
     1.24    -0.004    0.206    0.044    0.047    0.049
     1.16     0        0.214    0.041    0.042    0.046
     1.12     0        0.218    0.039    0.04     0.044
     1.06     0        0.222    0.039    0.042    0.042
     0.98     0        0.229    0.034    0.037    0.038
     0.9      0        0.235    0.027    0.03     0.03
     0.865    0        0.237    0.024    0.028    0.028
     0.855    0        0.237    0.01     0.012    0.012
    """
)

HAND = _table(
    """
     0.88     0        0.237    0.015    0.024    0.024
     0.86     0        0.238    0.018    0.03     0.028
     0.825    0.004    0.239    0.02     0.042    0.036
     0.79     0.008    0.238    0.019    0.042    0.036
     0.745    0.014    0.235    0.017    0.034    0.032
     0.705    0.018    0.23     0.013    0.024    0.024
     0.69     0.018    0.228    0.004    0.008    0.008
    """
)

LEG = _table(
    """
     0.96    -0.004    0.08     0.07     0.088    0.1
     0.9     -0.004    0.087    0.085    0.096    0.11
     0.84    -0.002    0.09     0.088    0.095    0.102
     0.76     0.003    0.091    0.082    0.088    0.088
     0.66     0.006    0.091    0.072    0.079    0.076
     0.56     0.007    0.092    0.062    0.067    0.064
     0.5      0.008    0.093    0.057    0.064    0.057
     0.45     0.004    0.094    0.055    0.059    0.058
     0.38    -0.003    0.095    0.056    0.052    0.068
     0.3     -0.006    0.096    0.05     0.046    0.062
     0.2     -0.006    0.097    0.04     0.038    0.046
     0.12    -0.004    0.098    0.035    0.037    0.038
     0.06    -0.002    0.098    0.035    0.04     0.04
    """
)

SHOE = _table(
    """
    -0.08     0.032    0        0.01     0.016    0.014
    -0.072    0.034    0        0.03     0.048    0.032
    -0.04     0.034    0        0.036    0.064    0.034
     0.01     0.034    0        0.038    0.06     0.034
     0.06     0.034    0        0.043    0.034    0.034
     0.12     0.034    0        0.047    0.02     0.032
     0.165    0.034    0        0.038    0.012    0.027
     0.19     0.034    0        0.012    0.004    0.014
    """
)

HEAD = _table(
    """
     1.752    0.004    0        0.004    0.006    0.006
     1.746    0.004    0        0.028    0.034    0.042
     1.73     0.004    0        0.052    0.06     0.072
     1.705    0.006    0        0.068    0.08     0.092
     1.675    0.006    0        0.0745   0.091    0.099
     1.645    0.006    0        0.0735   0.093    0.098
     1.615    0.006    0        0.07     0.094    0.089
     1.585    0.008    0        0.064    0.091    0.076
     1.56     0.01     0        0.057    0.086    0.062
     1.54     0.012    0        0.046    0.078    0.048
     1.525    0.012    0        0.028    0.06     0.034
     1.52     0.012    0        0.008    0.02     0.01
    """
)

TORSO_Z = (1.575, 0.80)
ARM_Z = (1.445, 0.855)
LEG_Z = (0.96, 0.06)
HEAD_Z = (1.752, 1.52)
SHELL_TOP_M = 1.08
EASE = {
    "tshirt": 0.010, "shirt": 0.012, "sweater": 0.014, "hoodie": 0.022, "jacket": 0.024, "open_jacket": 0.022,
    "blazer": 0.016, "coat": 0.028, "dress": 0.006, "summer_dress": 0.006, "vest": 0.026,
}  # fmt: skip
"""How far each upper garment stands off the body, metres."""
HEM = {
    "tshirt": 0.92, "shirt": 0.90, "sweater": 0.91, "hoodie": 0.91, "jacket": 0.93, "open_jacket": 0.90, "blazer": 0.86,
    "coat": 0.86, "dress": 0.86, "summer_dress": 0.86, "vest": 0.94,
}  # fmt: skip


def hem_height(look: Look) -> float:
    """Height at which the upper garment ends over the hips, metres of the 1.75 m body."""
    return HEM[look.top] + 0.03 * ((look.seed % 7) / 6.0 - 0.5)


def sleeve_end(look: Look) -> float:
    """Height at which the sleeves end, metres of the 1.75 m body."""
    if look.long_sleeves:
        return 0.88
    return 1.36 if look.top == "vest" else 1.20


def arm_shift(look: Look) -> float:
    """How much further out than on the 1.75 m body the arms hang, metres."""
    return (look.shoulders * (0.6 + 0.4 * look.girth) - 1) * 0.17 + 0.3 * EASE[look.top]


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
    height = np.interp(
        np.abs(angle),
        (0.0, 0.6, 0.95, 1.3, 1.55, 1.8, 2.2, np.pi),
        (1.704, 1.700, 1.672, 1.632, 1.600, 1.598, 1.565, 1.548),
    )
    return np.asarray(height)
