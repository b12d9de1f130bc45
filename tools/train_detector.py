"""Train reidpipe's own person detector: teach (teachers' boxes), synth, prepare, train, resume, export.

Runs in an environment with ultralytics, openvino and onnx (extra ``ultralytics``); data in ``--data`` (the ``det``
set), work in ``runs/detector`` (git-ignored). See ``weights/person_n.md`` for the commands that made the shipped file.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def setting(text: str) -> tuple[str, Any]:
    """``name=value`` of an ultralytics setting; the value is read as a Python literal where it is one."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data/det")
    parser.add_argument("--work", type=Path, default=ROOT / "runs/detector")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (one is fastest on a busy machine)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("teach", help="run both teachers over the unlabelled CCTV pictures (resumable)")
    synth = commands.add_parser("synth", help="draw training frames of the synthetic world")
    synth.add_argument("--worlds", type=int, default=50)
    commands.add_parser("paste", help="set cut-out people of CUHK01 into CCTV places without people")
    prepare = commands.add_parser("prepare", help="build the training set from labels, teachers and synthetic frames")
    prepare.add_argument("--synthetic", type=Path, help="folder with images/*.jpg and labels/*.txt")
    prepare.add_argument("--pasted", type=Path, help="the same, of `paste`")
    train = commands.add_parser("train", help="train one stage")
    train.add_argument("name")
    train.add_argument("settings", nargs="*", type=setting, help="ultralytics settings: time=1.0 imgsz=320 epochs=30")
    train.add_argument("--start", type=Path, help="checkpoint (.pt) or kept state dict (.pth) to start from")
    train.add_argument("--network", help="architecture file of another size; ultralytics' own by name, yolo11n.yaml")
    resume = commands.add_parser("resume", help="go on with an interrupted stage")
    resume.add_argument("checkpoint", type=Path)
    export = commands.add_parser("export", help="write the ONNX file of a checkpoint (its EMA weights)")
    export.add_argument("checkpoint", type=Path)
    export.add_argument("output", type=Path)
    export.add_argument("--input", type=int, nargs=2, default=(416, 416), metavar=("HEIGHT", "WIDTH"))
    keep = commands.add_parser("keep", help="save a checkpoint's weights as a state dict to start from later")
    keep.add_argument("checkpoint", type=Path)
    keep.add_argument("output", type=Path)
    average = commands.add_parser("average", help="mean of the weights of several stages")
    average.add_argument("checkpoints", type=Path, nargs="+")
    average.add_argument("--output", type=Path, required=True)
    quantize = commands.add_parser("quantize", help="write the INT8 twin of an ONNX file")
    quantize.add_argument("model", type=Path)
    quantize.add_argument("output", type=Path)
    golden = commands.add_parser("golden", help="store the known answers of an ONNX file for the tests")
    golden.add_argument("model", type=Path)
    return parser.parse_args()


def main() -> None:
    """Run one command."""
    options = parse()
    data, work = options.data.resolve(), options.work.resolve()
    if options.command == "teach":
        from tools.detector.teachers import label_images

        images = [path.relative_to(data) for path in sorted((data / "unlabelled").iterdir())]
        work.mkdir(parents=True, exist_ok=True)
        label_images(data, images, work / "teachers.jsonl", weights=data.parent / "weights")
    elif options.command == "synth":
        from tools.detector.synthetic import generate

        print(generate(work / "synth", options.worlds), "pictures in", work / "synth")
    elif options.command == "paste":
        from tools.detector.pasting import generate as paste

        places = [data / name for name in (data / "train.txt").read_text().split() if "hdk_background__" in name]
        crops = sorted((data.parent / "reid" / "cuhk01").rglob("*.webp"))
        print(paste(crops, places, work / "pasted"), "pictures in", work / "pasted")
    elif options.command == "prepare":
        from tools.detector.dataset import prepare

        for name, number in prepare(data, work, synthetic=options.synthetic, pasted=options.pasted).items():
            print(f"{name}: {number}")
    elif options.command == "train":
        from tools.detector.training import train

        settings = dict(options.settings) | ({"model": options.network} if options.network else {})
        print(train(work, options.name, start=options.start, threads=options.threads, **settings))
    elif options.command == "resume":
        from tools.detector.training import resume

        print(resume(options.checkpoint, threads=options.threads))
    elif options.command == "keep":
        from tools.detector.training import keep

        print(keep(options.checkpoint, options.output))
    elif options.command == "average":
        from tools.detector.training import average

        print(average(options.checkpoints, options.output))
    elif options.command == "quantize":
        from tools.detector.quantizing import quantize

        print(quantize(options.model, options.output, work / "data" / "train.txt"))
    elif options.command == "golden":
        from tools.detector.golden import write_golden

        print(write_golden(options.model, ROOT / "tests" / "detect" / "shipped"), "people")
    else:
        from tools.detector.exporting import export

        print(export(options.checkpoint, options.output, size=tuple(options.input)))


if __name__ == "__main__":
    main()
