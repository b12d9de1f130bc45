"""What refinement exchanges, cuts and joins, counted against the truth: one person or two?

    python -m tools.count_mends                    # many minutes of one core
    python -m tools.count_mends --scores 0.45      # real frames at a run's own limit only

Five real sequences with our models, all pictures and about ten and five a second, trusted from three scores; and the
detections of MOT17, motion only, at two scores and rates. A break is judged by whom the boxes of the second before and
the second after it mostly cover (IoU 0.4 and more); unclear where that is nobody.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from reidpipe.boxes import iou
from reidpipe.evaluate.mot_text import MotRows
from reidpipe.track.history import Crops, History, Times, collect_crops
from reidpipe.track.refine import Refined, refine
from reidpipe.track.steady import Steady
from tools.bench_trackers import DATA, load
from tools.leave_one_out import HIGH_SCORES
from tools.real_frames import SEQUENCES, RealSequence

SPAN_S, COVERS = 1.0, 0.4
EPS_S = 1e-6


@dataclass(frozen=True)
class Run:
    """One sequence, followed once."""

    truth: MotRows
    frames: range
    times_s: Times
    history: History
    crops: dict[int, Crops]

    def person(self, track_id: int, first_s: float, end_s: float) -> int | None:
        """Whom a track mostly covers from ``first_s`` on, before ``end_s``."""
        rows = self.history[
            (self.history.track_ids == track_id) & (self.history.times_s >= first_s) & (self.history.times_s < end_s)
        ]
        votes: Counter[int | None] = Counter()
        for time_s, box in zip(rows.times_s, rows.boxes, strict=True):
            people = self.truth[self.truth.frames == self.frames[int(np.searchsorted(self.times_s, time_s))]]
            shares = iou(box[None], people.boxes.astype(np.float32))[0]
            votes[int(people.ids[shares.argmax()]) if len(people) and shares.max() >= COVERS else None] += 1
        return votes.most_common(1)[0][0] if votes else None


def real_runs(scores: Sequence[float] = HIGH_SCORES) -> Iterator[Run]:
    for name in SEQUENCES:
        sequence = RealSequence.load(name)
        for high in scores:
            for step in sorted({sequence.step(fps) for fps in (None, 10, 5)}):
                for first in range(1, step + 1):
                    frames = range(first, sequence.count + 1, step)
                    followed = sequence.follow(Steady(high_score=high, new_score=high + 0.1), "demand", frames)
                    pictures = [(time_s, found, tracks) for _, time_s, found, tracks, _ in followed]
                    times_s = np.array([picture[0] for picture in pictures])
                    history, crops = History.collect(pictures), collect_crops(pictures)
                    yield Run(sequence.truth, frames, times_s, history, crops)


def mot17_runs() -> Iterator[Run]:
    for fps in (None, 10.0):
        for sequence in load(DATA, detections="YOLOX_ablation", fps=fps):
            for high in (0.4, 0.6):
                tracker = Steady(high_score=high, new_score=high + 0.1)
                pictures = [(time_s, found, tracker.update(found, time_s)) for _, time_s, found in sequence.pictures()]
                times_s = np.array([picture[0] for picture in pictures])
                yield Run(sequence.truth, sequence.frames, times_s, History.collect(pictures), {})


def breaks(run: Run, refined: Refined) -> Iterator[tuple[str, int | None, int | None]]:
    """What was done, and who was there before and after."""
    for track_id, times_s in refined.cut.items():
        for when_s in times_s:
            before = run.person(track_id, when_s - SPAN_S, when_s)
            yield "cut", before, run.person(track_id, when_s, when_s + SPAN_S)
    for turns in refined.exchanged.values():
        for here, there in itertools.pairwise(turns):
            before = run.person(here.source, there.start_s - SPAN_S, there.start_s)
            yield "exchange", before, run.person(there.source, there.start_s + EPS_S, there.start_s + SPAN_S)
    ends_s = {int(one): float(run.history.times_s[run.history.track_ids == one][-1]) for one in run.history.track_ids}
    for one, other in zip(refined.pieces, refined.pieces[1:], strict=False):
        starts_s = {turn.start_s for turn in refined.exchanged.get(one.became, ())}
        if one.became == other.became and one.track_id != other.track_id and other.first_s not in starts_s:
            what = "hand-over" if ends_s[one.track_id] >= other.first_s else "join"
            since_s = max(other.first_s, ends_s[one.track_id] + 1e-6)
            before = run.person(one.track_id, one.last_s - SPAN_S, one.last_s + 1e-6)
            yield what, before, run.person(other.track_id, since_s, since_s + SPAN_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=float, nargs="+", default=HIGH_SCORES, help="trusted from, real frames")
    args = parser.parse_args()
    table = Table(title="breaks between one person's boxes, or two people's", title_justify="left")
    for heading in ("input", "runs", "what", "right", "wrong", "unclear"):
        table.add_column(heading, justify="right")
    for name, runs in (("real frames", list(real_runs(args.scores))), ("MOT17", list(mot17_runs()))):
        counts: Counter[tuple[str, str]] = Counter()
        for run in runs:
            for what, before, after in breaks(run, refine(run.history, run.times_s, looks=run.crops)):
                right = (before == after) is (what != "cut")
                counts[what, "unclear" if None in (before, after) else "right" if right else "wrong"] += 1
        for what in ("exchange", "cut", "join", "hand-over"):
            verdicts = (str(counts[what, verdict]) for verdict in ("right", "wrong", "unclear"))
            table.add_row(name, str(len(runs)), what, *verdicts)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
