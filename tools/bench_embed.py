"""What detection and embedding cost around the net itself, on one picture, in one interleaved run.

    python tools/bench_embed.py --embedder MODEL.onnx --detector MODEL.onnx [--boxes 10] [--threads 2]
    python tools/bench_embed.py --embedder net.onnx --also net_int8.xml net.tflite --openvino \
        --architecture osnet_x0_25 --checkpoint net.pth

Rows of one table are measured in turn (a, b, c, a, b, c, ...), so that a busy machine slows all of them alike. The
table gives the median of the fastest quarter, wall time and CPU time (all threads), and the ratios to the first row. On
a machine that others use as well, believe the CPU time.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reidpipe.boxes import letterbox
from reidpipe.detect.yolo import YoloDetector
from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.runtime import Session, open_session
from reidpipe.types import Boxes, Image
from reidpipe.weights import resolve

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def main() -> None:
    options = _parser().parse_args()
    width, height = options.size
    image, boxes = scene(width, height, options.boxes)
    cv2.setNumThreads(options.threads)
    if options.embedder:
        bench_embedder(options, image, boxes)
    if options.detector:
        bench_detector(options, image)


def scene(width: int, height: int, count: int) -> tuple[Image, Boxes]:
    """A smooth random picture with people-shaped boxes, the tallest a third of its height."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8), (width, height))
    tall = rng.uniform(0.15, 0.35, count) * height
    x, y = rng.uniform(0, width - 0.45 * tall), rng.uniform(0, height - tall)
    boxes = np.stack([x, y, x + 0.42 * tall, y + tall], axis=1).astype(np.float32)
    return np.asarray(image, dtype=np.uint8), boxes


def bench_embedder(options: argparse.Namespace, image: Image, boxes: Boxes) -> None:
    embedder = OSNetEmbedder(options.embedder, threads=options.threads, backend=options.backend)
    file = resolve(options.embedder).path
    session = open_session(file, threads=options.threads, backend=options.backend, split=True)
    size = embedder.facts.input_size[::-1]
    batch = by_hand(image, boxes, size)
    prepare = np.empty_like(batch)
    rows = {
        "net alone": lambda: session.run(batch),
        "crops and normalise alone": lambda: fill(embedder, image, boxes, prepare),
        "reidpipe: picture to vectors": lambda: embedder.embed(image, boxes),
        "by hand: cv2, numpy, onnxruntime": lambda: plain(session, image, boxes, size),
    }
    show(f"embedder, {len(boxes)} boxes of a {image.shape[1]}x{image.shape[0]} picture", rows, options.rounds)
    whole = open_session(file, threads=options.threads, backend=options.backend)
    engines = other_engines(options, {session.backend: session, f"{session.backend}, batch whole": whole})
    for count in options.batches:
        crops = np.repeat(batch[:1], count, axis=0)
        show(
            f"net at batch {count}",
            {name: partial(net.run, crops) for name, net in engines.items()},
            options.rounds,
            count,
        )


def other_engines(options: argparse.Namespace, engines: dict[str, Session]) -> dict[str, Session]:
    """Torch eager first (the ratios are to it), the file itself, the same file in OpenVINO, and other files."""
    if options.architecture:
        from reidpipe.reid.checkpoint import load_weights
        from reidpipe.reid.models import build_osnet
        from reidpipe.runtime.torch_ import TorchSession

        net = build_osnet(options.architecture)
        if options.checkpoint:
            load_weights(net, options.checkpoint)
        engines = {"torch eager": TorchSession(net, threads=options.threads), **engines}
    if options.openvino:
        for precision in ("f32", "bf16"):
            for split, words in ((True, ""), (False, ", batch whole")):
                engines[f"openvino {precision}{words}"] = open_session(
                    resolve(options.embedder).path,
                    threads=options.threads,
                    backend="openvino",
                    precision=precision,
                    split=split,
                )
    for file in options.also:
        engines[file.name] = open_session(file, threads=options.threads, split=True)
    return engines


def fill(embedder: OSNetEmbedder, image: Image, boxes: Boxes, out: NDArray[Any]) -> None:
    from reidpipe.embed.crops import crops

    height, width = embedder.facts.input_size
    embedder.facts.normalize.fill(crops([image], [boxes], width=width, height=height), out)


def by_hand(image: Image, boxes: Boxes, size: tuple[int, int]) -> NDArray[np.float32]:
    """The usual way, crop by crop."""
    rows = []
    for x1, y1, x2, y2 in boxes.astype(int):
        crop = cv2.cvtColor(cv2.resize(image[y1:y2, x1:x2], size), cv2.COLOR_BGR2RGB)
        rows.append(((crop.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(rows), dtype=np.float32)


def plain(session: Session, image: Image, boxes: Boxes, size: tuple[int, int]) -> NDArray[Any]:
    raw = session.run(by_hand(image, boxes, size))[0]
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def bench_detector(options: argparse.Namespace, image: Image) -> None:
    detector = YoloDetector(options.detector, threads=options.threads, backend=options.backend)
    session = open_session(resolve(options.detector).path, threads=options.threads, backend=options.backend)
    facts = detector.facts
    height, width = facts.input_for(*image.shape[:2])
    fitted, _ = letterbox(image, width=width, height=height)
    batch = np.empty((facts.batch or 1, 3, height, width), session.inputs[0].dtype)
    facts.normalize.fill([fitted], batch)
    rows = {
        "net alone": lambda: session.run(batch),
        "letterbox alone": lambda: letterbox(image, width=width, height=height),
        "normalise alone": lambda: facts.normalize.fill([fitted], batch),
        "reidpipe: picture to boxes": lambda: detector.detect([image]),
    }
    show(f"detector {facts.head}, {image.shape[1]}x{image.shape[0]} to {width}x{height}", rows, options.rounds)


def show(title: str, rows: Mapping[str, Callable[[], object]], rounds: int, count: int = 1) -> None:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, work in rows.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times[name].append(((time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000))
    print(f"\n{title:46s} wall ms   ratio    CPU ms   ratio")
    fast = {name: [_fast(column) for column in zip(*values, strict=True)] for name, values in times.items()}
    first = next(iter(fast.values()))
    for name, (wall, cpu) in fast.items():
        rate = f"  {count / wall * 1000:7.0f} crops/s" if count > 1 else ""
        print(f"  {name:42s} {wall:8.2f} {wall / first[0]:7.2f} {cpu:9.2f} {cpu / first[1]:7.2f}{rate}")


def _fast(values: Sequence[float]) -> float:
    """Median of the fastest quarter."""
    return statistics.median(sorted(values)[: max(1, len(values) // 4)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedder", help="name or file")
    parser.add_argument("--detector", help="name or file")
    parser.add_argument("--architecture", help="OSNet to run in torch eager beside it, for instance osnet_x0_25")
    parser.add_argument("--checkpoint", type=Path, help="its weights; random ones without")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="other files of the same net")
    parser.add_argument("--openvino", action="store_true", help="OpenVINO beside it, in f32 and bf16")
    parser.add_argument("--size", type=int, nargs=2, default=(1920, 1080), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--backend", default="auto")
    return parser


if __name__ == "__main__":
    main()
