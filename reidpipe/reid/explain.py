"""What a trained OSNet looks at: gate statistics per stream, clusters of gate vectors, activation maps.

The figures are those of arXiv 1905.00953 (section 4.3) and 1910.06827.

Pictures are uint8 BGR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reidpipe.errors import ConfigError
from reidpipe.reid.blocks import ChannelGate, OSBlock
from reidpipe.reid.cache import read_image
from reidpipe.reid.datasets import IMAGE_SUFFIXES
from reidpipe.reid.embed import to_input
from reidpipe.reid.figures import bar_chart, contact_sheet, overlay, write_png
from reidpipe.reid.models import OSNet
from reidpipe.types import Ids, Image

Table = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Files written by :func:`explain`, and the numbers behind them.

    Attributes:
        files: PNG files.
        blocks: Names of the blocks with a gate.
        stream_means: Mean gate value by block and stream, float32 `(blocks, T)`.
        clusters: int64 `(N,)`, cluster of each image.
    """

    files: tuple[Path, ...]
    blocks: tuple[str, ...]
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
    if len(paths) < clusters:
        raise ConfigError(f"{clusters} clusters need as many images, got {len(paths)}: lower the number of clusters")
    images = _read(paths, height=height, width=width)
    gates = gate_vectors(model, images)
    if block not in gates:
        raise ConfigError(f"no block '{block}' with a gate: use one of {', '.join(gates)}")
    labels, centres = k_means(gates[block].reshape(len(images), -1), clusters, seed=seed)
    output.mkdir(parents=True, exist_ok=True)
    files = _cluster_sheets(images, gates[block], labels, centres, output, per_sheet=per_sheet)
    files.append(_map_sheet(model, images[:maps], output))
    files += _statistics(gates, output)
    means = np.stack([values.mean(axis=(0, 2)) for values in gates.values()])
    return Explanation(tuple(files), tuple(gates), means, labels)


def choose_images(folder: Path, *, count: int, seed: int = 0) -> list[Path]:
    """Some of the image files of a folder, of any depth, in random order.

    Raises:
        ConfigError: The folder is not there or holds no image.
    """
    if not folder.is_dir():
        raise ConfigError(f"image folder {folder} is not there")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise ConfigError(f"no images in {folder}")
    return [files[place] for place in np.random.default_rng(seed).permutation(len(files))[:count].tolist()]


def _read(paths: Sequence[Path], *, height: int, width: int) -> Image:
    import cv2

    pictures = [cv2.resize(read_image(path), (width, height)) for path in paths]
    return np.asarray(np.stack(pictures), dtype=np.uint8)


def _cluster_sheets(
    images: Image, gates: Table, labels: Ids, centres: Table, output: Path, *, per_sheet: int
) -> list[Path]:
    """A contact sheet per cluster, the images nearest to its centre first, and one chart of what the clusters gate."""
    flat = gates.reshape(len(images), -1)
    files = []
    for cluster, centre in enumerate(centres):
        distance = np.linalg.norm(flat - centre, axis=1)
        members = np.flatnonzero(labels == cluster)
        if not len(members):  # fewer different images than clusters
            continue
        nearest = members[np.argsort(distance[members])][:per_sheet]
        files.append(write_png(output / f"cluster_{cluster:02d}.png", contact_sheet(images[nearest])))
    streams = centres.reshape(len(centres), *gates.shape[1:]).mean(axis=2)
    names = [f"{cluster} ({(labels == cluster).sum()})" for cluster in range(len(centres))]
    chart = bar_chart(streams, groups=names, title="mean gate of each stream by cluster (images)")
    return [*files, write_png(output / "cluster_gates.png", chart)]


def _map_sheet(model: OSNet, images: Image, output: Path) -> Path:
    """Each image beside its activation map."""
    maps = activation_maps(model, images)
    pairs = [picture for image, found in zip(images, maps, strict=True) for picture in (image, overlay(image, found))]
    return write_png(output / "activation_maps.png", contact_sheet(np.stack(pairs), columns=8))


def _statistics(gates: Mapping[str, Table], output: Path) -> list[Path]:
    """Charts over all images: the gates of each stream, and how often each stream has the largest one."""
    means = np.stack([values.mean(axis=(0, 2)) for values in gates.values()])
    spread = np.stack([values.std(axis=(0, 2)) for values in gates.values()])
    wins = np.stack([(values == values.max(axis=1, keepdims=True)).mean(axis=(0, 2)) for values in gates.values()])
    charts = {
        "gate_means.png": bar_chart(means, spread=spread, groups=tuple(gates), title="gates: mean and deviation"),
        "gate_wins.png": bar_chart(wins, groups=tuple(gates), title="part of the channels that a stream leads"),
    }
    return [write_png(output / name, chart) for name, chart in charts.items()]


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
