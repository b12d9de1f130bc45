"""What appearance is worth inside one camera, on real frames: none, on demand, every crop.

    python -m tools.bench_appearance                                  # our detector, our OSNet x0.25
    python -m tools.bench_appearance --detector ../shared/data/weights/yolov5n_coco_fp16.onnx \\
        --embedder ../shared/data/weights/osnet_x0_25_msmt17_combineall.onnx
    python -m tools.bench_appearance --fps 2                          # every n-th picture, about two a second

``bytetrack`` stands beside it, motion only. Detections and embeddings of the five sequences of ../shared/data/mot are
made once and kept in runs/track/.
"""

from __future__ import annotations

import argparse
import configparser
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reidpipe.evaluate.mot import count_sequence
from reidpipe.evaluate.mot_text import MotRows, read_mot
from reidpipe.evaluate.paired import PairedSequence
from reidpipe.stages import Tracker
from reidpipe.track.bytetrack import ByteTrack
from reidpipe.track.steady import Steady
from reidpipe.types import Detections
from reidpipe.weights import file_sha256, resolve

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "mot"
SEQUENCES = ("TUD-Campus", "TUD-Stadtmitte", "KITTI-17", "PETS09-S2L1", "MOT17-13")
Arrays = dict[str, NDArray[Any]]


def look(folder: Path, detector: str, embedder: str) -> Arrays:
    """Detections and embeddings of all frames, from the cache or made now."""
    cache = ROOT / "runs" / "track" / f"{folder.name}-{_label(detector)}-{_label(embedder)}.npz"
    if cache.is_file():
        return dict(np.load(cache))
    import cv2

    from reidpipe.detect.yolo import YoloDetector
    from reidpipe.embed.osnet import OSNetEmbedder

    finder, looker = YoloDetector(detector, threads=1), OSNetEmbedder(embedder, threads=1)
    video, found, vectors = cv2.VideoCapture(str(folder / f"{folder.name}.mp4")), [], []
    while (picture := video.read())[0]:
        image = np.asarray(picture[1], dtype=np.uint8)
        found.append(finder.detect([image])[0])
        vectors.append(looker.embed([image], [found[-1].boxes])[0])
    arrays: Arrays = {
        "frames": np.repeat(np.arange(1, len(found) + 1), [len(d) for d in found]),
        "boxes": np.concatenate([d.boxes for d in found]),
        "scores": np.concatenate([d.scores for d in found]),
        "vectors": np.concatenate(vectors),
    }
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, allow_pickle=False, **arrays)
    return arrays


def _label(model: str) -> str:
    """A model by name and content: another state of a net under the same name is not the same model."""
    path = resolve(model).path
    return f"{path.stem}-{file_sha256(path)[:8]}"


def score(
    folder: Path, seen: Arrays, mode: str, options: dict[str, Any], at_fps: float | None = None
) -> tuple[dict[str, float], int]:
    """Scores of one sequence, and how many crops were embedded."""
    ini = configparser.ConfigParser()
    ini.read(folder / "seqinfo.ini")
    fps, count = float(ini["Sequence"]["frameRate"]), int(ini["Sequence"]["seqLength"])
    step = 1 if at_fps is None else max(1, round(fps / at_fps))
    tracker: Tracker = (ByteTrack if mode == "bytetrack" else Steady)(**options)
    rows, crops = [np.zeros((0, 7))], 0
    edges = np.searchsorted(seen["frames"], np.arange(1, count + 2))
    for frame in range(1, count + 1, step):
        part = slice(edges[frame - 1], edges[frame])
        found, time_s = Detections(seen["boxes"][part], seen["scores"][part]), frame / fps
        wanted = tracker.wants(found, time_s) if mode == "on demand" else np.arange(len(found) if mode == "all" else 0)
        crops += len(wanted)
        if len(wanted):
            found = found.with_embeddings(wanted, seen["vectors"][part][wanted])
        tracks = tracker.update(found, time_s)
        corner, size = tracks.boxes[:, :2], tracks.boxes[:, 2:] - tracks.boxes[:, :2]
        rows.append(np.column_stack((np.full(len(tracks), frame), tracks.track_ids, corner, size, tracks.scores)))
    truth = read_mot(folder / "gt" / "gt.txt")
    truth = truth[(truth.frames - 1) % step == 0]
    pairs = PairedSequence.of(truth, MotRows.from_table(np.concatenate(rows)))
    return count_sequence(pairs).scores(), crops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="person_n")
    parser.add_argument("--embedder", default="osnet_x0_25")
    parser.add_argument("--high", type=float, default=0.55, help="high_score, as in a run; new_score is 0.1 above it")
    parser.add_argument("--fps", type=float, help="every n-th picture")
    args = parser.parse_args()
    options = {"high_score": args.high, "new_score": args.high + 0.1}
    seen = {name: look(DATA / name, args.detector, args.embedder) for name in SEQUENCES}
    table = Table(
        title=f"{args.detector}, {args.embedder}: mean of {len(SEQUENCES)} sequences, {args.fps or 'all'} fps",
        title_justify="left",
    )
    for heading in ("appearance", "HOTA", "MOTA", "IDF1", "switches", "crops embedded", *SEQUENCES):
        table.add_column(heading, justify="right")
    for mode in ("bytetrack", "none", "on demand", "all"):
        results = [score(DATA / name, seen[name], mode, options, args.fps) for name in SEQUENCES]
        means = [f"{np.mean([r[0][metric] for r in results]):.1f}" for metric in ("HOTA", "MOTA", "IDF1")]
        crops = f"{sum(r[1] for r in results)} of {sum(len(s['frames']) for s in seen.values())}"
        switches = f"{sum(int(r[0]['IDSW']) for r in results)}"
        table.add_row(mode, *means, switches, crops, *(f"{r[0]['IDF1']:.1f}" for r in results))
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
