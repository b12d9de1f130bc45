"""Run a tracker over MOT detection files and print its scores.

    python tools/bench_trackers.py steady                            # MOT17 validation half, YOLOX detections
    python tools/bench_trackers.py bytetrack --detections FRCNN
    python tools/bench_trackers.py steady --fps 5                    # every n-th picture, about five a second
    python tools/bench_trackers.py steady --refine                   # after the end of a file
    python tools/bench_trackers.py steady --set max_age_s=2 --against bytetrack
    python -m tools.bench_trackers ultralytics --fps 5               # of others, where installed: see tools/peers.py

Needs the sequences of ../shared/data (or ``--data``): ``<sequence>/{seqinfo.ini,gt/gt.txt,det/det_<name>.txt.gz}``.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from reidpipe.evaluate.mot import MotReport, count_sequence, report_on
from reidpipe.evaluate.mot_text import MotRows, read_mot
from reidpipe.evaluate.paired import PairedSequence
from reidpipe.evaluate.tables import mot_table
from reidpipe.track.history import Times
from reidpipe.track.refine import History, refine
from reidpipe.types import Detections

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mot17_val_half"
CLASSES = {
    "botsort": "BoTSort",
    "bytetrack": "ByteTrack",
    "deepsort": "DeepSORT",
    "ocsort": "OCSort",
    "sort": "Sort",
    "steady": "Steady",
}
IN_FRAMES = {"bytetrack-in-frames": "InFrames", "ultralytics": "UltralyticsByteTrack", "roboflow": "RoboflowByteTrack"}


@dataclass(frozen=True)
class Sequence:
    """One sequence in memory, perhaps only every ``step``-th picture of it."""

    name: str
    fps: float
    frames: range
    truth: MotRows
    found: MotRows

    @classmethod
    def load(cls, folder: Path, *, detections: str, fps: float | None) -> Sequence:
        ini = configparser.ConfigParser()
        ini.read(folder / "seqinfo.ini")
        info = ini["Sequence"]
        rate = float(info["frameRate"])
        step = 1 if fps is None else max(1, round(rate / fps))
        frames = range(1, int(info["seqLength"]) + 1, step)
        truth, found = read_mot(folder / "gt" / "gt.txt"), read_mot(folder / "det" / f"det_{detections}.txt.gz")
        return cls(
            folder.name,
            rate,
            frames,
            truth[(truth.frames - 1) % step == 0],
            found[(found.frames - 1) % step == 0],
        )

    def pictures(self) -> Iterator[tuple[int, float, Detections]]:
        starts = np.searchsorted(self.found.frames, np.array(self.frames), side="left")
        ends = np.searchsorted(self.found.frames, np.array(self.frames), side="right")
        boxes, scores = self.found.boxes.astype(np.float32), self.found.scores.astype(np.float32)
        for frame, start, end in zip(self.frames, starts.tolist(), ends.tolist(), strict=True):
            yield frame, frame / self.fps, Detections(boxes[start:end], scores[start:end])


def load(data: Path, *, detections: str, fps: float | None = None) -> list[Sequence]:
    folders = sorted(path.parent for path in data.glob("*/seqinfo.ini"))
    return [Sequence.load(folder, detections=detections, fps=fps) for folder in folders]


def track(tracker: Any, sequence: Sequence) -> MotRows:
    """The online output of a tracker as the rows of a result file."""
    return MotRows.of_tracks((frame, tracker.update(found, time_s)) for frame, time_s, found in sequence.pictures())


def track_and_refine(tracker: Any, sequence: Sequence) -> MotRows:
    """What ``run`` writes for a file: the tracks refined after the end."""
    pictures = [(time_s, found, tracker.update(found, time_s)) for _, time_s, found in sequence.pictures()]
    times_s = np.array([picture[0] for picture in pictures])
    return rows_of(refine(History.collect(pictures), times_s).history, times_s, sequence.frames)


def rows_of(history: History, times_s: Times, frames: range) -> MotRows:
    """Refined rows as those of a result file; ``times_s`` of the frames."""
    at = np.array(frames)[np.searchsorted(times_s, history.times_s)]
    return MotRows.of(at, history.track_ids, history.boxes, history.scores)


def make(name: str, **options: Any) -> Any:
    """A tracker of ours; or, run with ``python -m``, one of those that count pictures (``tools/peers.py``)."""
    if name in IN_FRAMES:
        return getattr(importlib.import_module("tools.peers"), IN_FRAMES[name])(**options)
    return getattr(importlib.import_module(f"reidpipe.track.{name}"), CLASSES[name])(**options)


def evaluate(name: str, sequences: list[Sequence], options: dict[str, Any], *, refined: bool = False) -> MotReport:
    counted = {}
    for sequence in sequences:
        result = (track_and_refine if refined else track)(make(name, **options), sequence)
        counted[sequence.name] = count_sequence(PairedSequence.of(sequence.truth, result))
    return report_on(counted)


def options_of(settings: list[str]) -> dict[str, Any]:
    pairs = (text.partition("=")[::2] for text in settings)
    return {key: ast.literal_eval(value) for key, value in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracker", choices=sorted({**CLASSES, **IN_FRAMES}))
    parser.add_argument(
        "--against", choices=sorted({**CLASSES, **IN_FRAMES}), help="another tracker with its defaults, side by side"
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--detections", default="YOLOX_ablation")
    parser.add_argument("--fps", type=float)
    parser.add_argument("--refine", action="store_true", help="offline refinement of both")
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", dest="settings")
    args = parser.parse_args()
    sequences = load(args.data, detections=args.detections, fps=args.fps)
    report = evaluate(args.tracker, sequences, options_of(args.settings), refined=args.refine)
    against = evaluate(args.against, sequences, {}, refined=args.refine) if args.against else None
    title = f"{args.tracker}{' refined' * args.refine}, {args.detections}" + (f", {args.fps:g} fps" if args.fps else "")
    Console(width=200).print(mot_table(report, against=against, title=title))


if __name__ == "__main__":
    main()
