"""More cameras than the machine can do, seen as an operator sees it: how old, how even, how soon, how quickly over?

    python -m tools.bench_live_load samples/cam1.mp4 samples/cam2.mp4 --cameras 4 --minutes 4

Starts ``reidpipe run --serve`` on cameras of a real RTSP server that play the clips, lets it settle for a minute, then
reads its metrics every five seconds. A browser opens the page a few times while it runs; at the end comes SIGTERM.
Prints the age of results (p99 of the last minutes, as the metrics tell it, and the worst of these readings), the share
of its pictures that each camera's drops were, the slopes of memory, files and threads with 95 % limits, the time from
opening the page to its first picture (and to what that needs) and to those of all cameras, and from SIGTERM to the end
of the process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from reidpipe.live.rtsp import RtspServer, clip, free_port, why_not
from tests.live.browser import Page
from tests.live.watch import until
from tools.slopes import slope
from tools.soak_rtsp import lengthened

EVERY_S = 5.0
SHOWN = (
    "JSON.stringify(typeof tiles === 'undefined' ? [] : "
    "[...tiles.values()].map((tile) => tile.firstMs).filter((at) => at !== null))"
)
JOURNEYS = """JSON.stringify((() => {
  const came = performance.getEntriesByType("resource");
  const first = (part) => Math.min(...came.filter((one) => one.name.includes(part)).map((one) => one.responseEnd));
  return [performance.getEntriesByType("navigation")[0].responseEnd, first("/status.js"), first("/camera/")];
})())"""


def metrics(place: str) -> dict[str, float]:
    """``name{labels}`` -> value."""
    with urlopen(f"http://{place}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def reading(place: str, pid: int) -> dict[str, float]:
    """What is watched, at this moment."""
    found = metrics(place)
    row = {
        "s": time.monotonic(),
        "age_p50_s": found.get('reidpipe_age_seconds{quantile="0.5"}', float("nan")),
        "age_p99_s": found.get('reidpipe_age_seconds{quantile="0.99"}', float("nan")),
        "level": found["reidpipe_load_level"],
        "rss_mb": found["process_resident_memory_bytes"] / 1e6,
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }
    return row | {name: value for name, value in found.items() if name.startswith("reidpipe_frames_")}


def opened(place: str, folder: Path, cameras: int) -> list[float]:
    """Seconds from opening the page until it, its script, a picture have come; until one, one of each is drawn."""
    with Page(folder) as page:
        page.open(f"http://{place}/")
        until(lambda: len(json.loads(page.run(SHOWN))) >= cameras, patience_s=60)
        times = sorted(json.loads(page.run(SHOWN)))
        return [at / 1000 for at in (*json.loads(page.run(JOURNEYS)), times[0], times[-1])]


def watch(
    place: str, pid: int, minutes: float, cameras: int, folder: Path
) -> tuple[list[dict[str, float]], list[list[float]]]:
    """A reading every five seconds, and the page opened five times meanwhile."""
    rows, pages = [reading(place, pid)], list[list[float]]()
    end = time.monotonic() + 60 * minutes
    opens = [time.monotonic() + 60 * minutes * (n + 1) / 6 for n in range(5)]
    while time.monotonic() < end:
        time.sleep(EVERY_S)
        rows.append(reading(place, pid))
        if len(pages) < len(opens) and time.monotonic() >= opens[len(pages)]:
            pages.append(opened(place, folder / f"profile{len(pages)}", cameras))
    return rows, pages


def tell(rows: list[dict[str, float]], pages: list[list[float]], names: list[str]) -> None:
    """Print what came of it."""
    first, last = rows[0], rows[-1]

    def more(kind: str, name: str) -> float:
        key = f'reidpipe_frames_{kind}_total{{camera="{name}"}}'
        return last[key] - first[key]

    ages = [row["age_p99_s"] for row in rows]
    print(f"age: p50 {last['age_p50_s']:.3f} s, p99 {last['age_p99_s']:.3f} s, worst reading of p99 {max(ages):.3f} s")
    print(f"load level: {sorted({int(row['level']) for row in rows})}")
    shares = {name: more("dropped", name) / max(more("received", name), 1) for name in names}
    told = ", ".join(f"{name} {share:.3f} of {more('received', name):.0f}" for name, share in shares.items())
    print(f"dropped: {told}; largest to smallest {max(shares.values()) / max(min(shares.values()), 1e-9):.3f}")
    hours = [row["s"] / 3600 for row in rows]
    for name in ("rss_mb", "files", "threads"):
        print(f"{name}: {first[name]:.0f} to {last[name]:.0f}, an hour {slope(hours, [row[name] for row in rows])}")
    for number, (page, script, came, shown, all_of_them) in enumerate(pages):
        print(
            f"page {number + 1}: first picture after {shown:.2f} s, of all cameras after {all_of_them:.2f} s "
            f"(the page came after {page:.2f} s, its script {script:.2f} s, a picture {came:.2f} s)"
        )


def bench(
    clips: list[Path], folder: Path, *, cameras: int, minutes: float, settle_s: float, settings: list[str]
) -> None:
    """Run it once."""
    length_s = settle_s + 60 * minutes + 120
    chosen = list(itertools.islice(itertools.cycle(clips), cameras))
    names = [f"cam{number}" for number in range(cameras)]
    mounts = {
        f"/{name}": {"launch": clip(lengthened(path, folder / f"{name}.mp4", length_s))}
        for name, path in zip(names, chosen, strict=True)
    }
    place = f"127.0.0.1:{free_port()}"
    with RtspServer(mounts) as server:
        sources = [f"{name}={server.url(f'/{name}')}" for name in names]
        run = [
            sys.executable,
            "-m",
            "reidpipe",
            "run",
            *sources,
            "-o",
            str(folder / "out"),
            "--serve",
            place,
            *settings,
        ]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(run, stderr=log)
        try:
            until(lambda: "status page" in (folder / "log").read_text(), patience_s=120)
            until(lambda: all(metrics(place)[f'reidpipe_camera_up{{camera="{n}"}}'] for n in names), patience_s=120)
            time.sleep(settle_s)
            rows, pages = watch(place, process.pid, minutes, cameras, folder)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            stopped_s = time.monotonic() - begun
        finally:
            process.kill()
    tell(rows, pages, names)
    status = json.loads((folder / "out" / "run.json").read_text())["status"]
    print(f"SIGTERM: over after {stopped_s:.2f} s, exit code {code}, run.json says {status}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="H.264 MP4 files")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=4.0, help="two at least")
    parser.add_argument("--settle", type=float, default=60.0, help="seconds before it is measured")
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    reason = why_not()
    if reason is not None:
        raise SystemExit(reason)
    settings = [word for setting in arguments.set for word in ("--set", setting)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench(
            arguments.clips,
            Path(folder),
            cameras=arguments.cameras,
            minutes=arguments.minutes,
            settle_s=arguments.settle,
            settings=settings,
        )


if __name__ == "__main__":
    main()
