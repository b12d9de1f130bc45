"""Put a model into weights/ and its facts into weights/manifest.yaml (a new entry, or the old one brought up to date).

    python tools/add_weights.py runs/reid/best.onnx --name osnet_x0_25 --kind embedder \\
        --file osnet_x0_25_reidpipe.onnx --licence Apache-2.0 --trained-on "Market-1501=research only" \\
        --made-by "reidpipe train configs/osnet.yaml" --measured viper_rank1=0.34

Size, sha256, input, output and what the file's metadata says are read from the model. What an entry already has and the
command line does not mention is kept. Preprocessing that neither the file nor the command line states is an error.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from reidpipe.detect.yolo import YoloDetector
from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.errors import ReidpipeError, WeightsError
from reidpipe.weights import MANIFEST_SCHEMA, ModelEntry, file_sha256, load_manifest

ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# Every model that reidpipe knows by name. One entry each, checked when it is read (reidpipe/weights.py: ModelEntry).
# Add or update an entry with: python tools/add_weights.py --help
"""
KEPT = ("licence", "trained_on", "made_by", "measured", "urls", "note")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        model = add(options)
    except ReidpipeError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{model.name}: {model.file}, {model.size} bytes, sha256 {model.sha256}")
    if model.kind == "embedder":
        print(f"now fit what its cosines mean: python tools/fit_calibration.py {model.name}")
    return 0


def add(options: argparse.Namespace) -> ModelEntry:
    """Copy the file, write its entry, and return it."""
    folder: Path = options.folder
    manifest_file = folder / "manifest.yaml"
    models = list(load_manifest(manifest_file).models)
    old = next((model for model in models if model.name == options.name), None)
    source = Path(options.model)
    facts = _detector_facts(source, options) if options.kind == "detector" else _embedder_facts(source, options)
    target = folder / (options.file or (old.file if old else source.name))
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)
    model = ModelEntry(
        name=options.name,
        file=target.name,
        kind=options.kind,
        sha256=file_sha256(target),
        size=target.stat().st_size,
        **facts,
        **_described(options, old),
    )
    models = [model if one is old else one for one in models] if old else [*models, model]
    write_manifest(manifest_file, models)
    return model


def write_manifest(path: Path, models: Sequence[ModelEntry]) -> None:
    """The whole table, atomically."""
    entries = [model.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for model in models]
    table = {"schema": MANIFEST_SCHEMA, "models": entries}
    text = yaml.dump(table, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
    fresh = path.with_suffix(".tmp")
    fresh.write_text(HEADER + text, encoding="utf-8")
    fresh.replace(path)


class _Dumper(yaml.SafeDumper):
    """Lists of plain values on one line, as people write them."""


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    flat = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flat)


_Dumper.add_representer(list, _list)


def _described(options: argparse.Namespace, old: ModelEntry | None) -> dict[str, Any]:
    """What people must know about the model: from the command line, else from the old entry."""
    before = {key: getattr(old, key) for key in KEPT} if old else {}
    given: dict[str, Any] = {
        "licence": options.licence,
        "trained_on": [{"name": name, "terms": terms} for name, terms in options.trained_on],
        "made_by": options.made_by,
        "measured": before.get("measured", {}) | {key: _number(value) for key, value in options.measured},
        "urls": options.url,
        "note": options.note,
    }
    described = before | {key: value for key, value in given.items() if value}
    if "licence" not in described:
        raise WeightsError(f"{options.name}: a model needs a licence line (--licence)")
    return described


def _embedder_facts(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    given = {key: getattr(options, key) for key in ("color_order", "scale", "mean", "std", "input_size")}
    facts = OSNetEmbedder(path, **{key: value for key, value in given.items() if value is not None}).facts
    if facts.assumed:
        raise WeightsError(f"{path}: does not say how pixels are prepared: give --color-order, --scale, --mean, --std")
    pixels = facts.normalize
    return {
        "input_size": facts.input_size,
        "color_order": pixels.color_order,
        "scale": pixels.scale,
        "mean": pixels.mean,
        "std": pixels.std,
        "dim": facts.dim,
    }


def _detector_facts(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    facts = YoloDetector(
        path, color_order=options.color_order, scale=options.scale, input_size=options.input_size
    ).facts
    return {
        "input_size": (facts.height or facts.side, facts.width or facts.side),
        "color_order": facts.normalize.color_order,
        "scale": facts.normalize.scale,
        "head": facts.head,
        "names": tuple(facts.names[number] for number in sorted(facts.names)) or None,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the .onnx file")
    parser.add_argument("--name", required=True, help="what users type")
    parser.add_argument("--kind", required=True, choices=["detector", "embedder"])
    parser.add_argument("--file", help="file name in weights/ (default: as it is now)")
    parser.add_argument("--licence", help="licence of the weights")
    parser.add_argument("--trained-on", type=_pair, action="append", default=[], metavar="SET=TERMS")
    parser.add_argument("--made-by", help="the command that made it")
    parser.add_argument("--measured", type=_pair, action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument(
        "--url", action="append", default=[], help="where it can be fetched; may be given several times"
    )
    parser.add_argument("--note", help="anything else worth knowing")
    parser.add_argument("--color-order", choices=["rgb", "bgr"])
    parser.add_argument("--scale", type=float, help="factor on the 0..255 pixel")
    parser.add_argument("--mean", type=float, nargs=3)
    parser.add_argument("--std", type=float, nargs=3)
    parser.add_argument("--input-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--folder", type=Path, default=ROOT / "weights", help=argparse.SUPPRESS)
    return parser


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"wants NAME=VALUE, got {text!r}")
    return key.strip(), value.strip()


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    raise SystemExit(main())
