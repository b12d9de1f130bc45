"""How alike pictures of one person are in this footage: known without a label, since a track is one person.

Poor light, half-hidden people and cameras unlike those of the training lower the likeness of a person to himself, not
that of strangers, and a limit that was fitted elsewhere would then split everybody. Crops of one track that are some
time apart tell by how much: over six kinds of footage and two nets the mean cosine of one person's tracks in two
cameras was 0.77 to 0.94 times that of crops of one track (0.33 of 0.35 in a dim shop, 0.65 of 0.70 on Market-1501).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reidpipe.associate.calibrate import Scale
from reidpipe.associate.features import camera_means
from reidpipe.associate.scene import Scene
from reidpipe.types import Tracklet

__all__ = ["common_scale", "measure", "steadiness"]

Wide = NDArray[np.float64]

APART_S = 0.5
"""Crops closer in time are nearly the same picture."""

GOOD = 0.6
"""Quality of a track that is listened to."""

PULL = 3.0
"""As many tracks' worth is what the embedder is known for: few tracks change it little."""

EASE = (0.35, 1.6)
"""Bounds of ``Scale.ease``: beyond them tracks are mixed, or people stand like statues."""


def common_scale(scene: Scene) -> Scale:
    """How alike strangers are in this footage; of people themselves nothing is asked."""
    return Scale.of(scene.strangers(), usual=scene.likeness.spread)


def measure(scene: Scene) -> Scale:
    """The scale of this footage: how alike strangers are, and how alike one person is to himself."""
    scale = common_scale(scene)
    own = scene.likeness.steadiness
    found = steadiness(scene, scale)
    if not len(found):
        return scale
    pulled = (len(found) * float(np.median(found)) + PULL * own) / (len(found) + PULL)
    return replace(scale, ease=float(np.clip(pulled / own, *EASE)))


def steadiness(scene: Scene, scale: Scale) -> Wide:
    """Of each good track with crops that are apart in time their mean cosine, on the common scale, ``(T,)``."""
    rows = np.stack([t.vector for t in scene.tracklets])
    means = camera_means(rows, scene.cameras, scene.quality, centre=scene.likeness.centre)
    found = []
    for tracklet, camera, quality in zip(scene.tracklets, scene.cameras.tolist(), scene.quality.tolist(), strict=True):
        value = _likeness_to_itself(tracklet, means[camera]) if quality >= GOOD else None
        if value is not None:
            found.append(value)
    return scale.apply(np.asarray(found, dtype=np.float64))


def _likeness_to_itself(tracklet: Tracklet, mean: Wide) -> float | None:
    crops, times_s = tracklet.prototypes, tracklet.prototype_times_s
    if crops is None or times_s is None or len(crops) < 2:
        return None
    apart = np.abs(times_s[:, None] - times_s[None]) >= APART_S
    if not apart.any():
        return None
    clean = crops.astype(np.float64) - mean
    clean /= np.maximum(np.linalg.norm(clean, axis=1, keepdims=True), 1e-9)
    return float((clean @ clean.T)[apart].mean())
