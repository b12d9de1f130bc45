"""How much of a score is luck with the limits: leave one sequence out.

    python -m tools.leave_one_out             # the default tracker's limits, seven sequences of MOT17, motion only
    python -m tools.leave_one_out refine      # the refinement's limits, the same sequences
    python -m tools.leave_one_out looks       # what refinement makes of looks and second boxes: five real sequences,
                                              # our models, three scores from which detections are trusted

Every limit is moved up and down in turn. For each sequence the variant that is best on the *others* (HOTA + IDF1) is
chosen, and only its score on the left-out sequence counts. If that comes near the defaults' score, the limits were not
fitted to the sequences. Also prints how far each variant is from the defaults, and over how many sequences it is ahead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from reidpipe.evaluate.mot import Counted, combine, count_sequence
from reidpipe.evaluate.mot_text import MotRows
from reidpipe.evaluate.paired import PairedSequence
from reidpipe.track import mend, refine, steady
from reidpipe.track.history import Crops, History, Times, collect_crops
from tools.bench_trackers import DATA, Sequence, load, rows_of, track
from tools.real_frames import SEQUENCES, RealSequence

Variant = dict[str, Any]
Result = dict[str, Counted]
Table = dict[str, tuple[Any, ...]]

STEADY: Table = {
    "high_score": (0.55, 0.65),
    "new_score": (0.65, 0.75),
    "max_age_s": (1.0, 2.0),
    "low_limit": (0.4, 0.6),
    "surprise_limit": (11.0, 16.0),
    "SCORE_WEIGHT": (3.0, 7.0),
    "SLACK": (0.05, 0.07),
    "MEASURED_SHARE": (0.0, 0.6),
}
REFINE: Table = {
    "fill_gap_s": (0.6, 1.2),
    "join_gap_s": (1.0, 2.5),
    "join_limit": (2.0, 5.0),
    "min_length_s": (0.4, 0.8),
    "lead_in": (0, 4),
    "MEASURED_SHARE": (0.0, 0.4),
}
HIGH_SCORES = (0.35, 0.45, 0.55)
"""Around a run's 0.45."""
LOOKS: Table = {
    "looks": (None,),
    "split": (False,),
    "STRANGE": (0.15, 0.5),
    "ALIKE": (0.9, 0.98, 1.1),
    "LEAST_CROPS": (1, 3),
    "ONE_PLACE": (0.35, 0.55, 1.1),
}


@contextmanager
def moved(module: ModuleType, variant: Variant) -> Iterator[Variant]:
    """Constants (upper case) moved for a while; gives the options that are left."""
    before = {name: getattr(module, name) for name in variant if name.isupper()}
    for name in before:
        setattr(module, name, variant[name])
    try:
        yield {name: value for name, value in variant.items() if not name.isupper()}
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def counted(sequence: Sequence, rows: MotRows) -> Counted:
    return count_sequence(PairedSequence.of(sequence.truth, rows))


def steady_scores() -> Callable[[Variant], Result]:
    sequences = load(DATA, detections="YOLOX_ablation")

    def scores(variant: Variant) -> Result:
        with moved(steady, variant) as options:
            return {s.name: counted(s, track(steady.Steady(**options), s)) for s in sequences}

    return scores


def refine_scores() -> Callable[[Variant], Result]:
    """Online tracks are made once."""
    followed = []
    for sequence in load(DATA, detections="YOLOX_ablation"):
        tracker = steady.Steady()
        pictures = [(time_s, found, tracker.update(found, time_s)) for _, time_s, found in sequence.pictures()]
        times_s = np.array([time_s for time_s, _, _ in pictures])
        followed.append((sequence, times_s, History.collect(pictures)))

    def scores(variant: Variant) -> Result:
        with moved(refine, variant) as options:
            return {
                s.name: counted(s, rows_of(refine.refine(h, times_s, **options).history, times_s, s.frames))
                for s, times_s, h in followed
            }

    return scores


def looks_scores() -> Callable[[Variant], Result]:
    """Online tracks with looks on demand, the crops that were embedded are what is known of a track."""
    followed = {f"{name} {high}": _followed(name, high) for name in SEQUENCES for high in HIGH_SCORES}

    def scores(variant: Variant) -> Result:
        result = {}
        with moved(mend, variant) as options:
            for name, (truth, times_s, history, looks) in followed.items():
                refined = refine.refine(history, times_s, **{"looks": looks, **options}).history
                rows = rows_of(refined, times_s, range(1, len(times_s) + 1))
                result[name] = count_sequence(PairedSequence.of(truth, rows))
        return result

    return scores


def _followed(name: str, high: float) -> tuple[MotRows, Times, History, dict[int, Crops]]:
    sequence, tracker = RealSequence.load(name), steady.Steady(high_score=high, new_score=high + 0.1)
    followed = sequence.follow(tracker, "demand", range(1, sequence.count + 1))
    pictures = [(time_s, found, tracks) for _, time_s, found, tracks, _ in followed]
    times_s = np.array([time_s for time_s, _, _ in pictures])
    return sequence.truth, times_s, History.collect(pictures), collect_crops(pictures)


def mean(parts: list[Counted], *, together: bool) -> dict[str, float]:
    """All sequences as one, or the mean over them, where they differ too much in length."""
    if together:
        return combine(parts).scores()
    each = [part.scores() for part in parts]
    return {name: float(np.mean([one[name] for one in each])) for name in ("HOTA", "MOTA", "IDF1")}


def sequence_of(name: str) -> str:
    """A sequence can be there several times, under one first word."""
    return name.split()[0]


def chosen(result: Result, *, without: str) -> list[Counted]:
    return [counts for name, counts in result.items() if sequence_of(name) != without]


def figures(scores: dict[str, float]) -> str:
    return " / ".join(f"{scores[name]:.2f}" for name in ("HOTA", "MOTA", "IDF1"))


def worth(scores: dict[str, float]) -> float:
    return scores["HOTA"] + scores["IDF1"]


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else "steady"
    make, table = {
        "steady": (steady_scores, STEADY),
        "refine": (refine_scores, REFINE),
        "looks": (looks_scores, LOOKS),
    }[what]
    together, scores = what != "looks", make()
    variants: list[Variant] = [{}, *({name: value} for name, values in table.items() for value in values)]
    results = []
    for variant in variants:
        result = scores(variant)
        results.append((variant, result))
        ahead = sum(worth(c.scores()) > worth(results[0][1][name].scores()) for name, c in result.items())
        print(f"{variant or 'defaults'!s:28} {figures(mean(list(result.values()), together=together))}", end="")
        print(f"   ahead on {ahead} of {len(result)}" if variant else "", flush=True)
    held_out: list[Counted] = []
    for name in dict.fromkeys(map(sequence_of, results[0][1])):
        best = max(results, key=lambda one: worth(mean(chosen(one[1], without=name), together=together)))
        held_out += [c for other, c in best[1].items() if sequence_of(other) == name]
        print(f"without {name}: {best[0] or 'defaults'}")
    default = mean(list(results[0][1].values()), together=together)
    print(f"left out: {figures(mean(held_out, together=together))}   defaults: {figures(default)}")


if __name__ == "__main__":
    main()
