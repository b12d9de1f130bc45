"""How much of the default tracker's score is luck with its limits: leave one sequence out.

    python -m tools.leave_one_out

Every limit is moved up and down in turn. For each sequence the variant that is best on the *other* six (HOTA + IDF1) is
chosen, and only its score on the left-out sequence counts. If that comes near the defaults' score, the limits were not
fitted to the sequences. Also prints how far each variant is from the defaults.
"""

from __future__ import annotations

from typing import Any

from reidpipe.evaluate.mot import Counted, combine, count_sequence
from reidpipe.evaluate.paired import PairedSequence
from reidpipe.track import steady
from tools.bench_trackers import DATA, load, track

OPTIONS: dict[str, tuple[float, ...]] = {
    "high_score": (0.55, 0.65),
    "new_score": (0.65, 0.75),
    "max_age_s": (0.75, 1.5),
    "high_limit": (0.75, 0.85),
    "low_limit": (0.4, 0.6),
    "surprise_limit": (5.0, 9.0),
}
CONSTANTS: dict[str, tuple[float, ...]] = {
    "SCORE_WEIGHT": (0.1, 0.3),
    "SURPRISE_WEIGHT": (0.2, 0.4),
    "SLACK": (0.04, 0.08),
    "MEASURED_SHARE": (0.0, 0.6),
}


def variants() -> list[dict[str, float]]:
    tables = {**OPTIONS, **CONSTANTS}
    return [{}, *({name: value} for name, values in tables.items() for value in values)]


def run(variant: dict[str, Any]) -> dict[str, Counted]:
    constants = {name: getattr(steady, name) for name in CONSTANTS}
    for name in CONSTANTS.keys() & variant.keys():
        setattr(steady, name, variant[name])
    options = {name: value for name, value in variant.items() if name in OPTIONS}
    try:
        return {
            s.name: count_sequence(PairedSequence.of(s.truth, track(steady.Steady(**options), s)))
            for s in load(DATA, detections="YOLOX_ablation")
        }
    finally:
        for name, value in constants.items():
            setattr(steady, name, value)


def figures(parts: list[Counted]) -> str:
    scores = combine(parts).scores()
    return " / ".join(f"{scores[name]:.2f}" for name in ("HOTA", "MOTA", "IDF1"))


def worth(parts: list[Counted]) -> float:
    scores = combine(parts).scores()
    return scores["HOTA"] + scores["IDF1"]


def main() -> None:
    results = []
    for variant in variants():
        results.append((variant, run(variant)))
        print(f"{variant or 'defaults'!s:28} {figures(list(results[-1][1].values()))}", flush=True)
    held_out = []
    for name in results[0][1]:
        best = max(results, key=lambda result: worth([c for other, c in result[1].items() if other != name]))
        held_out.append(best[1][name])
        print(f"without {name}: {best[0] or 'defaults'}")
    print(f"left out: {figures(held_out)}   defaults: {figures(list(results[0][1].values()))}")


if __name__ == "__main__":
    main()
