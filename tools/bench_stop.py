"""How long a live run takes from SIGTERM to the end of its process, on a machine that is busy with other things.

    python -m tools.bench_stop samples/cam1.mp4 samples/cam2.mp4 --cameras 4 --busy 4

Starts ``reidpipe run --serve`` on cameras of a real RTSP server that play the clips. Once they are up and the run has
worked for a while, processes are begun that do nothing but count (``--busy``, ``--nice``), and two seconds later comes
SIGTERM.
Prints the seconds until the run said that it is over and until its process was gone, what run.json says and leaves out,
and the load of the machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from reidpipe.live.rtsp import RtspServer, clip, free_port, why_not
from tests.live.watch import until
from tools.soak_rtsp import lengthened

COUNTING = "import os, sys; os.nice(int(sys.argv[1]))\nwhile True: pass"
WARM_S = 2.0


def bench(clips: list[Path], folder: Path, *, cameras: int, busy: int, nice: int, settle_s: float) -> dict[str, Any]:
    """Run it once."""
    chosen = itertools.islice(itertools.cycle(clips), cameras)
    mounts: dict[str, dict[str, Any]] = {
        f"/cam{n}": {"launch": clip(lengthened(path, folder / f"{n}.mp4", settle_s + 300))}
        for n, path in enumerate(chosen)
    }
    others: list[subprocess.Popen[bytes]] = []
    with RtspServer(mounts) as server:
        sources = [f"{path[1:]}={server.url(path)}" for path in mounts]
        options = ["-o", str(folder / "out"), "--serve", f"127.0.0.1:{free_port()}", "--log", "json"]
        log = folder / "log"
        with log.open("w") as file:
            run = subprocess.Popen([sys.executable, "-m", "reidpipe", "run", *sources, *options], stderr=file)
        try:
            until(lambda: all(f"cam{n}: up" in log.read_text() for n in range(cameras)), patience_s=240)
            time.sleep(settle_s)
            others += [subprocess.Popen([sys.executable, "-c", COUNTING, str(nice)]) for _ in range(busy)]
            time.sleep(WARM_S)
            load, asked, begun = os.getloadavg()[0], time.time(), time.monotonic()
            run.send_signal(signal.SIGTERM)
            code = run.wait(60)
            gone_s = time.monotonic() - begun
        finally:
            for process in (run, *others):
                process.kill()
                process.wait()
    info = json.loads((folder / "out" / "run.json").read_text())
    last = datetime.fromisoformat(json.loads(log.read_text().splitlines()[-1])["time"])
    return {
        "said_s": round(last.timestamp() - asked, 2),
        "gone_s": round(gone_s, 2),
        "code": code,
        "status": info["status"],
        "left_out": [line for line in info["warnings"] if line.startswith("left out")],
        "report": (folder / "out" / "report.html").exists(),
        "pictures": info["counts"]["frames"],
        "load": load,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="H.264 MP4 files")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--busy", type=int, default=4, help="processes that do nothing but count")
    parser.add_argument("--nice", type=int, default=0, help="of these")
    parser.add_argument("--settle", type=float, default=15.0, help="seconds before")
    arguments = parser.parse_args()
    reason = why_not()
    if reason is not None:
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = bench(
            arguments.clips,
            Path(folder),
            cameras=arguments.cameras,
            busy=arguments.busy,
            nice=arguments.nice,
            settle_s=arguments.settle,
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
