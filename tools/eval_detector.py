"""Compare person detectors: AP on the ``det`` validation list, public sequences, our samples; milliseconds in pairs.

``python tools/eval_detector.py weights/person_n.onnx yolov5n yolov8n --size 416 640``. AP at IoU 0.50 and 50:95, COCO's
way (``reidpipe.evaluate.detection``). In the sequences people with visibility below 0.3, ignored and distractor rows
count neither way. ``--parts none --rounds 20`` times one forward pass at batch 1, the models taking turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reidpipe.evaluate.detection import People, score_detection  # noqa: E402
from reidpipe.types import Detections  # noqa: E402
from tools.detector import exam  # noqa: E402
from tools.detector.runners import OnnxRunner, Runner, TeacherRunner, build  # noqa: E402

Found = dict[tuple[str, int], list[Detections]]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="ONNX files, or yolov5n, yolov8n (the public ones)")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--samples", type=Path, default=ROOT / "samples")
    parser.add_argument("--size", type=int, nargs="+", default=[416])
    parser.add_argument("--parts", nargs="+", default=["det", "sequences", "samples"])
    parser.add_argument("--stride", type=int, default=5, help="every k-th frame of the sequences")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=0, help="rounds of the timing; 0 skips it")
    parser.add_argument("--json", type=Path, help="write the table there, too")
    return parser.parse_args()


def pictures(options: argparse.Namespace) -> Any:
    """All pictures of the chosen parts."""
    if "det" in options.parts:
        yield from exam.validation(options.data)
    if "sequences" in options.parts:
        yield from exam.sequences(options.data, options.stride)
    if "samples" in options.parts:
        yield from exam.samples(options.samples)


def look(options: argparse.Namespace, runners: list[Runner]) -> tuple[Found, list[str], list[People]]:
    """Run every model at every size over every picture."""
    found: Found = defaultdict(list)
    parts, people = [], []
    for picture in pictures(options):
        parts.append(picture.part)
        people.append(picture.people)
        for runner in runners:
            for size in options.size:
                found[runner.name, size].append(runner.find(picture.image, size))
    return found, parts, people


def table(found: Found, parts: list[str], people: list[People]) -> list[dict[str, Any]]:
    """AP50 and AP50:95 of each model and size on each part, on ``det`` as a whole, and the mean over the sequences."""
    groups = {part: [i for i, name in enumerate(parts) if name == part] for part in dict.fromkeys(parts)}
    whole = [i for i, name in enumerate(parts) if name.startswith("det:")]
    if whole:
        groups["det"] = whole
    rows = []
    for (model, size), detections in found.items():
        scores = {part: score_detection([detections[i] for i in rows_], [people[i] for i in rows_])
                  for part, rows_ in groups.items()}  # fmt: skip
        row: dict[str, Any] = {"model": model, "size": size}
        row["ap50"] = {part: round(100 * score.ap50, 1) for part, score in scores.items()}
        row["ap"] = {part: round(100 * score.mean_ap, 1) for part, score in scores.items()}
        for kind in ("ap50", "ap"):
            known = [row[kind][name] for name in exam.SEQUENCES if name in row[kind]]
            if known:
                row[kind]["mean of sequences"] = round(float(np.mean(known)), 1)
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The table as Markdown, one line for each part: AP50 / AP50:95."""
    names = [f"{row['model']} {row['size']}" for row in rows]
    print("| AP50 / AP50:95, percent | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for part in rows[0]["ap50"]:
        print(f"| {part} | " + " | ".join(f"{row['ap50'][part]:.1f} / {row['ap'][part]:.1f}" for row in rows) + " |")


def timing(runners: list[Runner], sizes: list[int], rounds: int) -> None:
    """Milliseconds of one forward pass, the models taking turns; fixed networks run at 640 only.

    CPU time (all threads together) next to wall time: on a busy machine only the first can be compared.
    """
    random = np.random.default_rng(0)
    jobs = []
    for size in sizes:
        blob = random.random((1, 3, size, size), dtype=np.float32)
        for runner in runners:
            if isinstance(runner, OnnxRunner):
                jobs.append((f"{runner.name} {size}x{size} onnxruntime", runner.raw, blob))
            elif isinstance(runner, TeacherRunner) and size == 640:
                jobs.append((f"{runner.name} {size}x{size} OpenVINO", runner.teacher.raw, blob))
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(rounds + 2):
        for name, call, blob in jobs:
            start = time.process_time(), time.perf_counter()
            call(blob)
            if number >= 2:
                spent[name].append((time.process_time() - start[0], time.perf_counter() - start[1]))
    for name, seconds in spent.items():
        cpu, wall = 1e3 * np.median(np.asarray(seconds), axis=0)
        print(f"{name}: median {cpu:.1f} ms of CPU, {wall:.1f} ms of wall time")


def main() -> None:
    """Score, print, and time."""
    options = parse()
    runners = build(options.models, options.data / "weights", threads=options.threads)
    if options.parts != ["none"]:
        rows = table(*look(options, runners))
        show(rows)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.rounds:
        timing(runners, options.size, options.rounds)


if __name__ == "__main__":
    main()
