"""What a trained OSNet looks at: gate statistics per stream, clusters of gate vectors, activation maps.

The figures are those of arXiv 1905.00953 (section 4.3) and 1910.06827.

Pictures are uint8 BGR. Nothing is drawn with a plotting library: the figures are images that OpenCV writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.reid.blocks import ChannelGate, OSBlock
from reidpipe.reid.cache import read_image
from reidpipe.reid.embed import to_input
from reidpipe.reid.models import OSNet
from reidpipe.types import Ids, Image

Table = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Files written by :func:`explain`, and the numbers behind them.

    Attributes:
        files: PNG files.
        stream_means: Mean gate value by block and stream, float32 `(blocks, T)`.
        clusters: int64 `(N,)`, cluster of each image.
    """

    files: tuple[Path, ...]
    stream_means: Table
    clusters: Ids


def explain(
    model: OSNet,
    paths: Sequence[Path],
    output: Path,
    *,
    block: str = "conv4.1",
    clusters: int = 15,
    height: int = 256,
    width: int = 128,
    per_sheet: int = 30,
    maps: int = 16,
    seed: int = 0,
) -> Explanation:
    """Write the paper's figures for one model and some images.

    Args:
        model: A trained OSNet with unified gates.
        paths: Image files of people.
        output: Folder for the PNG files.
        block: Block whose gate vectors are clustered.
        clusters: Number of clusters.
        height: Rows of the model's input.
        width: Columns of the model's input.
        per_sheet: Images shown per cluster, those nearest to its centre.
        maps: Images shown with their activation map.
        seed: Of k-means.

    Raises:
        ConfigError: The model has no shared gates, or there are fewer images than clusters.
    """
    import cv2

    if len(paths) < clusters:
        raise ConfigError(f"{clusters} clusters need as many images, got {len(paths)}: lower the number of clusters")
    images = np.stack([cv2.resize(read_image(path), (width, height)) for path in paths])
    gates = gate_vectors(model, images)
    if block not in gates:
        raise ConfigError(f"no block '{block}' with a gate: use one of {', '.join(gates)}")
    flat = gates[block].reshape(len(images), -1)
    labels, centres = k_means(flat, clusters, seed=seed)
    output.mkdir(parents=True, exist_ok=True)
    files = []
    for cluster in range(clusters):
        distance = np.linalg.norm(flat - centres[cluster], axis=1)
        members = np.flatnonzero(labels == cluster)
        nearest = members[np.argsort(distance[members])][:per_sheet]
        files.append(_write(output / f"cluster_{cluster:02d}.png", contact_sheet(images[nearest])))
    shown = images[:maps]
    pairs = [
        picture
        for image, activation in zip(shown, activation_maps(model, shown), strict=True)
        for picture in (image, overlay(image, activation))
    ]
    files.append(_write(output / "activation_maps.png", contact_sheet(np.stack(pairs), columns=8)))
    means = np.stack([values.mean(axis=(0, 2)) for values in gates.values()])
    files.append(_write(output / "gate_means.png", bar_chart(means)))
    return Explanation(tuple(files), means, labels)


@torch.no_grad()
def gate_vectors(model: OSNet, images: Image, *, batch: int = 32) -> dict[str, Table]:
    """Gate values of every block: name to float32 `(N, T, channels)`.

    Args:
        model: An OSNet with `unified` or `stream` fusion.
        images: uint8 `(N, H, W, 3)` BGR, of the model's input size.
        batch: Images in one run.

    Raises:
        ConfigError: The fusion has no gate that is shared by the streams.
    """
    blocks = {name: layer for name, layer in model.named_modules() if isinstance(layer, OSBlock)}
    gates = {name: layer.gate for name, layer in blocks.items() if isinstance(layer.gate, ChannelGate)}
    if not gates:
        raise ConfigError(f"fusion '{model.spec.fusion}' has no gate that sees the input: use unified or stream")
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in gates}
    hooks = [
        gate.register_forward_hook(lambda _layer, _inputs, out, name=name: seen[name].append(out.flatten(1)))
        for name, gate in gates.items()
    ]
    try:
        rows: dict[str, list[Table]] = {name: [] for name in gates}
        for start in range(0, len(images), batch):
            model.eval()(to_input(images[start : start + batch]))
            for name, found in seen.items():
                rows[name].append(torch.stack(found, dim=1).numpy())
                found.clear()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: np.concatenate(parts) for name, parts in rows.items()}


@torch.no_grad()
def activation_maps(model: OSNet, images: Image, *, batch: int = 32) -> Table:
    """Sum of squared activations of the last feature map, each scaled to 0..1: float32 `(N, H / 16, W / 16)`."""
    maps = []
    for start in range(0, len(images), batch):
        features = model.eval().feature_maps(to_input(images[start : start + batch]))
        maps.append(features.square().sum(dim=1).numpy())
    energy = np.concatenate(maps)
    low, high = energy.min(axis=(1, 2), keepdims=True), energy.max(axis=(1, 2), keepdims=True)
    return np.asarray((energy - low) / np.maximum(high - low, 1e-12), dtype=np.float32)


def k_means(points: Table, clusters: int, *, seed: int = 0, rounds: int = 100) -> tuple[Ids, Table]:
    """Lloyd's algorithm from k-means++ seeds; returns the labels `(N,)` and the centres `(clusters, D)`."""
    rng = np.random.default_rng(seed)
    centres = points[rng.integers(len(points))][None]
    for _ in range(clusters - 1):
        nearest = ((points[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
        total = nearest.sum()
        share = nearest / total if total > 0 else np.full(len(points), 1 / len(points))
        centres = np.concatenate([centres, points[rng.choice(len(points), p=share / share.sum())][None]])
    labels = np.zeros(len(points), dtype=np.int64)
    for number in range(rounds):
        found = ((points[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        if number and (found == labels).all():
            break
        labels = found.astype(np.int64)
        for cluster in np.unique(labels).tolist():
            centres[cluster] = points[labels == cluster].mean(axis=0)
    return labels, centres


def overlay(image: Image, activation: Table, *, strength: float = 0.5) -> Image:
    """An activation map `(h, w)` in 0..1 as colours over the image."""
    import cv2

    size = (image.shape[1], image.shape[0])
    levels = (255 * cv2.resize(activation, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_JET)
    return np.asarray(cv2.addWeighted(image, 1 - strength, colours, strength, 0), dtype=np.uint8)


def contact_sheet(images: Image, *, columns: int = 10, gap: int = 4) -> Image:
    """Images `(N, H, W, 3)` side by side in rows, white between; an empty sheet where there are none."""
    count, height, width = images.shape[:3]
    rows = max(-(-count // columns), 1)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for place, image in enumerate(images):
        top, left = gap + place // columns * (height + gap), gap + place % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def bar_chart(values: Table, *, height: int = 160, bar: int = 24) -> Image:
    """Groups of bars for values `(groups, bars)` in 0..1, each with a frame up to 1."""
    groups, bars = values.shape
    chart = np.full((height + 20, groups * (bars + 1) * bar + bar, 3), 255, dtype=np.uint8)
    shades = np.linspace(60, 200, bars).astype(np.uint8)
    for group, row in enumerate(values):
        for place, value in enumerate(row.clip(0, 1).tolist()):
            left = bar + (group * (bars + 1) + place) * bar
            chart[10 : 10 + height, left : left + bar - 4] = 240
            chart[10 + round(height * (1 - value)) : 10 + height, left : left + bar - 4] = (shades[place], 120, 60)
    return chart


def _write(path: Path, picture: Image) -> Path:
    import cv2

    _, data = cv2.imencode(".png", picture)
    path.write_bytes(data.tobytes())
    return path
