"""Training images per second: our trainer against the loop that everybody writes first, in one interleaved run.

    OMP_NUM_THREADS=1 python -m tools.bench_train [--rounds 6] [--steps 4] [--height 128] [--width 64]

The plain loop: files decoded, resized and mirrored one by one in the loop, fp32, two threads inside an operation, Adam.
Ours: the defaults of `configs/reid` (decoded once, batches made ahead, bf16, a copy of the model per thread), with the
same net, batch, losses and augmentation. Both see the same JPEG files of noise, each in a process of its own, in turn.
Median of the rounds. CPU time is that of all threads; on a busy machine its ratio says more than the one by the clock.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from reidpipe.reid.batches import BatchMaker
from reidpipe.reid.config import TrainConfig, parse_train_config
from reidpipe.reid.embed import MEAN_RGB, STD_RGB
from reidpipe.reid.models import build_osnet
from reidpipe.reid.prepare import prepare
from reidpipe.reid.trainer import Trainer

PERSONS, SHOTS = 32, 8
OFF: tuple[str, ...] = (
    "scale",
    "aspect",
    "shift",
    "rotate_degrees",
    "brightness",
    "contrast",
    "saturation",
    "hue_degrees",
)
OFF += ("channel_gain", "gamma", "p_grey_world", "p_grey", "p_blur", "p_low_resolution", "p_jpeg", "p_noise", "p_erase")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="osnet_x0_25")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=12, help="steps of each loop in a round")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder) / "people")
        loops = {"plain fp32 loop": Worker(plain, options, files), "reidpipe": Worker(ours, options, Path(folder))}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
        for number in range(options.rounds + 1):
            for name, loop in loops.items():
                spent = loop.run(options.steps)
                if number:  # the first round warms up
                    times[name].append(spent)
        for loop in loops.values():
            loop.close()
    images = options.steps * options.batch
    print(f"{options.model}, {options.height}x{options.width}, batch {options.batch}, {options.threads} threads")
    for place, kind in enumerate(("second", "second of CPU time")):
        speeds = {name: images / statistics.median(one[place] for one in spent) for name, spent in times.items()}
        for name, speed in speeds.items():
            print(f"  {name:18} {speed:7.1f} images per {kind}   {speed / speeds['plain fp32 loop']:.2f}")


class Worker:
    """A loop in a process of its own: what one sets for its process (memory, threads) is not the other's."""

    def __init__(self, loop: Callable[..., Iterator[None]], options: argparse.Namespace, source: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(loop, options, source, theirs), daemon=True)
        self._process.start()

    def run(self, steps: int) -> tuple[float, float]:
        """Seconds and seconds of CPU time, of all threads, that so many steps took."""
        self._pipe.send(steps)
        spent: tuple[float, float] = self._pipe.recv()
        return spent

    def close(self) -> None:
        """End the process."""
        self._pipe.send(0)
        self._process.join()


def _work(
    loop: Callable[..., Iterator[None]], options: argparse.Namespace, source: object, pipe: Connection[Any, Any]
) -> None:
    torch.set_num_threads(options.threads)
    with closing(loop(options, source)) as running:  # type: ignore[type-var]
        cpu = time.process_time()
        while steps := pipe.recv():
            started, before = time.perf_counter(), cpu
            for _ in range(steps):
                next(running)
            # since the last turn: the few batches that were made ahead after its end are paid for as well
            cpu = time.process_time()
            pipe.send((time.perf_counter() - started, cpu - before))


def write_files(folder: Path) -> list[Path]:
    """JPEG files of smooth noise with names of Market-1501, 128x64."""
    rng = np.random.default_rng(0)
    train = folder / "bounding_box_train"
    train.mkdir(parents=True)
    files = []
    for person in range(PERSONS):
        for shot in range(SHOTS):
            picture = cv2.resize(rng.integers(0, 256, (32, 16, 3), np.uint8), (64, 128))
            files.append(train / f"{person:04d}_c{shot % 2}s1_{shot:06d}_00.jpg")
            cv2.imwrite(str(files[-1]), picture)
    return files


def recipe(options: argparse.Namespace, folder: Path) -> TrainConfig:
    return parse_train_config(
        {
            "model": options.model,
            "output": str(folder / "out"),
            "data": {
                "root": str(folder),
                "cache": str(folder / "cache"),
                "sources": [{"name": "market1501", "path": "people"}],
            },
            "batch": {"identities": options.batch // 4, "images": 4},
            "augment": dict.fromkeys(OFF, 0.0),
            "softmax": {"scale": None},
            "optimiser": {"kind": "adam", "clip": None},
            "stages": [{"height": options.height, "width": options.width}],
            "budget": {"images": 10**9},
            "replicas": options.threads,
        }
    )


def ours(options: argparse.Namespace, folder: Path) -> Iterator[None]:
    """The trainer's own steps, batches made ahead."""
    config = recipe(options, folder)
    trainer = Trainer(config, prepare(config).train)
    maker = BatchMaker(trainer.data, trainer.sampler, config.augment, seed=0)
    stage = config.stages[0]
    with closing(maker.batches(height=stage.height, width=stage.width)) as batches:
        for batch in batches:
            trainer._train_step(batch)
            yield


def plain(options: argparse.Namespace, files: list[Path]) -> Iterator[None]:
    """Decode, resize, mirror, normalise, forward, backward, step: one after the other."""
    rng = np.random.default_rng(0)
    model = build_osnet(options.model, num_classes=PERSONS).train()
    head = torch.nn.Linear(model.spec.embedding, PERSONS)
    optimiser = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-3)
    mean, std = np.array(MEAN_RGB, np.float32), np.array(STD_RGB, np.float32)
    while True:
        chosen = rng.choice(len(files), options.batch, replace=False)
        images = []
        for place in chosen.tolist():
            picture = cv2.resize(
                cv2.cvtColor(cv2.imread(str(files[place])), cv2.COLOR_BGR2RGB), (options.width, options.height)
            )
            picture = picture[:, ::-1] if rng.random() < 0.5 else picture
            images.append(((picture.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1))
        persons = torch.from_numpy(chosen // SHOTS)
        loss = F.cross_entropy(head(model(torch.from_numpy(np.stack(images)))), persons, label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield


if __name__ == "__main__":
    main()
