"""Everything that goes wrong with real cameras, one fault after the other, against a real RTSP server: what it cost.

    python -m tools.faults_live                 # about seven minutes, most of it waiting for servers that are away
    python -m tools.faults_live killed:1 garbage udp

Two cameras at 10 pictures a second, each of its own server. The first one suffers; for it the table says how long
after the fault was over it was up again (and how long it may take: the longest wait between two attempts and two
seconds), and how far the times of ``down`` and ``up`` are from the truth; for the second one the largest gap between
two pictures while this went on, beside that while nothing did.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from reidpipe.live.rtsp import RtspServer, pattern, why_not
from reidpipe.source.backoff import Backoff
from reidpipe.source.live import LiveSource
from reidpipe.source.wallclock import RunClock
from tests.live.server import Proxy
from tests.live.watch import Watch, until

LONGEST_S = 10.0
PATIENCE_S = 120.0


class Row(NamedTuple):
    """What a fault cost; seconds."""

    up_after: float
    down_error: float
    up_error: float
    other_gap: float
    quiet_gap: float


class Trial:
    """Two cameras, one of which will suffer."""

    def __init__(self, stack: ExitStack, *, proxy: bool = False, launch: str | None = None, **options: object) -> None:
        self.server = stack.enter_context(RtspServer({"/a": {"launch": launch or pattern()}}))
        other = stack.enter_context(RtspServer({"/b": {"launch": pattern()}}))
        url = self.server.url("/a")
        self.proxy = stack.enter_context(Proxy(self.server.port)) if proxy else None
        if self.proxy is not None:
            url = url.replace(str(self.server.port), str(self.proxy.port))
        self.shift_s = 0.0
        self.clock = RunClock(wall=lambda: time.time() + self.shift_s)
        self.a = self._camera("a", url, **options)
        self.watch = stack.enter_context(Watch(self.a, self._camera("b", other.url("/b"))))

    def _camera(self, name: str, url: str, **options: object) -> LiveSource:
        backoff = Backoff(longest_s=LONGEST_S)
        return LiveSource(url, camera=name, clock=self.clock, backoff=backoff, **options)  # type: ignore[arg-type]

    def measure(self, begin: Callable[[], None], end: Callable[[], None], hold_s: float = 0.0) -> Row:
        """Quiet for five seconds, the fault, and until the camera is up again."""
        watch = self.watch
        until(lambda: watch.states("a")[-1:] == watch.states("b")[-1:] == ["up"], patience_s=PATIENCE_S)
        watch.pictures("b", 50)
        first = len(watch.times["b"])
        quiet = gap(watch.times["b"][10:])
        seen = len(watch.changes["a"])
        begun_s = time.time()
        begin()
        time.sleep(hold_s)
        until(lambda: "down" in [c.state for c in watch.changes["a"][seen:]], patience_s=PATIENCE_S)
        ended_s = time.time()
        end()
        until(lambda: watch.states("a")[-1] == "up", patience_s=PATIENCE_S)
        back_s = time.time()
        watch.pictures("a", 5)
        watch.pictures("b", 5)
        down = next(c for c in watch.changes["a"][seen:] if c.state == "down")
        up = watch.changes["a"][-1]
        others = gap(watch.times["b"][first:])
        return Row(back_s - ended_s, down.time_s - begun_s, up.time_s - back_s, others, quiet)


def gap(times: list[float]) -> float:
    return max(later - sooner for sooner, later in itertools.pairwise(times))


def nothing() -> None: ...


def killed(stack: ExitStack, away_s: float) -> Row:
    trial = Trial(stack)
    return trial.measure(trial.server.kill, trial.server.start, away_s)


def frozen(stack: ExitStack) -> Row:
    trial = Trial(stack)
    return trial.measure(trial.server.freeze, trial.server.thaw)


def cut(stack: ExitStack) -> Row:
    trial = Trial(stack, proxy=True)
    return trial.measure(trial.proxy.cut if trial.proxy else nothing, nothing)


def garbage(stack: ExitStack) -> Row:
    trial = Trial(stack, proxy=True)
    proxy = trial.proxy

    def spoil(wanted: bool) -> None:
        if proxy is not None:
            proxy.garbage = wanted
            if not wanted:
                proxy.cut()

    return trial.measure(lambda: spoil(True), lambda: spoil(False))


def changed(stack: ExitStack) -> Row:
    """Another size, rate and codec after a restart."""
    trial = Trial(stack)

    def start() -> None:
        trial.server.mounts["/a"]["launch"] = pattern(width=96, height=64, fps=5, codec="jpeg")
        trial.server.start()

    row = trial.measure(trial.server.kill, start)
    sizes = trial.watch.sizes["a"]
    if sizes != [(120, 160, 3), (64, 96, 3)]:
        raise RuntimeError(f"the pictures were {sizes}")
    return row


def password(stack: ExitStack) -> Row:
    """Wrong, then right."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    file = folder / "cameras.yaml"
    server = stack.enter_context(RtspServer({"/a": {"launch": pattern(), "user": "me", "password": "right"}}))
    other = stack.enter_context(RtspServer({"/b": {"launch": pattern()}}))
    file.write_text("a: me:wrong\n")
    sources = [
        LiveSource(server.url("/a"), camera="a", credentials=file, backoff=Backoff(longest_s=LONGEST_S)),
        LiveSource(other.url("/b"), camera="b"),
    ]
    begun_s = time.time()
    watch = stack.enter_context(Watch(*sources))
    until(lambda: watch.states("a") == ["down"], patience_s=PATIENCE_S)
    watch.pictures("b", 50)
    first, quiet = len(watch.times["b"]), gap(watch.times["b"][10:])
    file.write_text("a: me:right\n")
    right_s = time.time()
    until(lambda: watch.states("a") == ["down", "up"], patience_s=PATIENCE_S)
    back_s = time.time()
    watch.pictures("b", 5)
    down, up = watch.changes["a"]
    return Row(back_s - right_s, down.time_s - begun_s, up.time_s - back_s, gap(watch.times["b"][first:]), quiet)


def through(trial: Trial, begin: Callable[[], None], seconds: float) -> Row:
    """A fault that no camera should go down by."""
    watch = trial.watch
    until(lambda: watch.states("a")[-1:] == watch.states("b")[-1:] == ["up"], patience_s=PATIENCE_S)
    watch.pictures("b", 50)
    first, quiet = len(watch.times["b"]), gap(watch.times["b"][10:])
    begin()
    for _ in range(int(10 * seconds)):
        time.sleep(0.1)
        trial.clock.follow()
    watch.pictures("a", 5)
    if watch.states("a") != ["up"]:
        raise RuntimeError(f"the camera went {watch.states('a')}")
    return Row(0.0, 0.0, 0.0, gap(watch.times["b"][first:]), quiet)


def udp(stack: ExitStack) -> Row:
    """One packet in twenty is lost."""
    trial = Trial(stack, launch=pattern(width=320, height=240, loss=0.05), transport="udp")
    return through(trial, nothing, 20.0)


def clock(stack: ExitStack) -> Row:
    """The system's clock is set by an hour."""
    trial = Trial(stack)

    def leap() -> None:
        trial.shift_s = 3600.0

    return through(trial, leap, 10.0)


FAULTS: dict[str, Callable[[ExitStack], Row]] = {
    "killed:1": lambda stack: killed(stack, 1.0),
    "killed:10": lambda stack: killed(stack, 10.0),
    "killed:60": lambda stack: killed(stack, 60.0),
    "frozen": frozen,
    "cut": cut,
    "garbage": garbage,
    "password": password,
    "changed": changed,
    "udp": udp,
    "clock": clock,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", choices=[*FAULTS, []], help="default: all")
    names = parser.parse_args().faults or list(FAULTS)
    reason = why_not()
    if reason is not None:
        raise SystemExit(reason)
    print(
        f"{'fault':<11}{'up after':>9}{'allowed':>9}{'down off':>9}{'up off':>8}{'gap of other':>14}{'quiet':>8}   (s)"
    )
    for name in names:
        with ExitStack() as stack:
            row = FAULTS[name](stack)
        print(
            f"{name:<11}{row.up_after:9.2f}{LONGEST_S + 2:9.1f}{row.down_error:9.2f}{row.up_error:8.2f}"
            f"{row.other_gap:14.3f}{row.quiet_gap:8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
