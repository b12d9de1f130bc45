r"""A real live run for as long as told: real clips over a real RTSP server, the shipped models; what grows?

    python tools/soak_rtsp.py --minutes 20 --out /tmp/soak a.mp4 b.mp4

Prints a line every half minute: memory, what the C allocator has in use, open files, threads, pictures, age. At the end
the share of pictures that each camera's drops were, and how steeply each of these grew after the warm-up (``--warm-up``
minutes, half of the time unless told), an hour, with the limits between which that lies with 95 %. What a run remembers
of people is bounded, but it may take hours until it is full; lower bounds show the rest of the memory:

    --set live.max_tracks=50 --set live.max_identities=50 \
    --set associate.name=online --set associate.review_tracklets=50
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import av

from reidpipe.config import Config
from reidpipe.live import run_live
from reidpipe.live.rtsp import RtspServer, clip, why_not
from reidpipe.live.trim import give_back_memory, settle_allocator
from tools.slopes import slope
from tools.soak_live import resources

EVERY_S = 5.0
TELL_EVERY = 6
_NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_size_t) for name in _NAMES)


def allocator() -> dict[str, float]:
    """What glibc's malloc holds, MB: ``heap`` from the system in arenas, ``used`` of it, ``mapped`` in large blocks."""
    try:
        mallinfo = ctypes.CDLL("libc.so.6").mallinfo2
    except (OSError, AttributeError):
        return {}
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    values = {"heap": info.arena, "used": info.uordblks, "mapped": info.hblkhd}
    return {f"{name}_mb": round(value / 1e6, 2) for name, value in values.items()}


def lengthened(path: Path, out: Path, seconds: float) -> Path:
    """The clip again and again without a new encoding, until it is so long."""
    with av.open(str(out), "w") as target:
        stream: Any = None
        shift = 0
        while stream is None or shift * stream.time_base < seconds:
            with av.open(str(path)) as source:
                film = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(film)
                    stream.time_base = film.time_base
                end = 0
                for packet in source.demux(film):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += shift
                    packet.dts += shift
                    end = max(end, packet.pts + int(packet.duration or 0))
                    packet.stream = stream
                    target.mux(packet)
                shift = end
    return out


def soak(clips: list[Path], out: Path, minutes: float, settings: list[str]) -> list[dict[str, Any]]:
    """Run; a row every five seconds."""
    out.mkdir(parents=True, exist_ok=True)
    long = [lengthened(path, out / f"{number}.mp4", 60 * minutes + 60) for number, path in enumerate(clips)]
    mounts: dict[str, dict[str, Any]] = {f"/{number}": {"launch": clip(path)} for number, path in enumerate(long)}
    samples = out / "samples.jsonl"  # not in memory: it is what is measured
    samples.unlink(missing_ok=True)
    stop = threading.Event()
    begun = time.monotonic()

    def watch() -> None:
        for number in itertools.count(1):
            if stop.wait(EVERY_S):
                return
            live = json.loads((out / "run" / "run.json").read_text()).get("live", {})
            seen = sum(camera["processed"] for camera in live.get("cameras", {}).values())
            give_back_memory()  # as the run does every half minute: what is free is nobody's growth
            row = {"s": round(time.monotonic() - begun), **resources(), **allocator(), "processed": seen}
            with samples.open("a") as file:
                file.write(json.dumps(row) + "\n")
            if number % TELL_EVERY == 0:
                print(json.dumps(row | {"age_p99_s": live.get("age_p99_s")}), flush=True)

    with RtspServer(mounts) as server:
        threading.Thread(target=watch, daemon=True).start()
        config = Config.load(overrides=settings, values={"source.duration_s": 60 * minutes})
        run_live([f"cam{n}={server.url(path)}" for n, path in enumerate(mounts)], out / "run", config=config)
        stop.set()
    cameras = json.loads((out / "run" / "run.json").read_text())["live"]["cameras"]
    shares = [camera["dropped"] / max(camera["received"], 1) for camera in cameras.values()]
    print(json.dumps({"dropped": [round(share, 3) for share in shares], "spread": round(max(shares) - min(shares), 3)}))
    return [json.loads(line) for line in samples.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+", help="H.264 MP4 files")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--warm-up", type=float, default=None, help="minutes that are not judged; half of all")
    arguments = parser.parse_args()
    settle_allocator()  # as the command does
    reason = why_not()
    if reason is not None:
        raise SystemExit(reason)
    rows = soak(arguments.clips, arguments.out, arguments.minutes, arguments.set)
    cut_s = 60 * (arguments.minutes / 2 if arguments.warm_up is None else arguments.warm_up)
    late = [row for row in rows if row["s"] >= cut_s]
    hours = [row["s"] / 3600 for row in late]
    for name in late[0] if len(late) > 20 else ():
        if name not in ("s", "processed"):
            values = [float(row[name]) for row in late]
            print(f"{name} an hour: {slope(hours, values)}, low water {slope(hours, values, level=0.1)}")


if __name__ == "__main__":
    main()
