"""Scores over several cameras with one space of ids: is a person the same everywhere?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reidpipe.errors import ConfigError
from reidpipe.evaluate.clear import Clear
from reidpipe.evaluate.hota import Hota
from reidpipe.evaluate.identity import Identity
from reidpipe.evaluate.mot import Counted, MotReport, count_sequence
from reidpipe.evaluate.mot_text import read_mot
from reidpipe.evaluate.paired import PairedSequence

__all__ = ["camera_files", "evaluate_mtmc"]


def evaluate_mtmc(
    truth: Mapping[str, Path], result: Mapping[str, Path], *, min_visibility: float = 0.0, crowded: bool = False
) -> MotReport:
    """Score all cameras jointly: an id of the truth, and of the result, means the same person in every camera.

    IDF1 and HOTA's association pair the ids once for all cameras, so that a person with another id in the second
    camera costs about as much as one lost half-way. Misses, false alarms and switches (CLEAR) happen inside a camera;
    they are added up.

    Args:
        truth: camera -> MOTChallenge file with global ids.
        result: the same cameras -> MOTChallenge file with global ids.
        min_visibility: see ``evaluate_mot``.
        crowded: see ``evaluate_mot``.

    Returns:
        ``sequences``: each camera alone; ``combined``: the joint scores.

    Raises:
        ConfigError: cameras differ, a file is missing or is no MOTChallenge table, an id appears twice in a picture.
    """
    if not truth:
        raise ConfigError("no camera to evaluate")
    if set(truth) != set(result):
        missing = ", ".join(sorted(set(truth) ^ set(result)))
        raise ConfigError(f"truth and result must have the same cameras, but only one of them has: {missing}")
    pairs = {}
    for camera, path in truth.items():
        rows = read_mot(path), read_mot(result[camera])
        try:
            pairs[camera] = PairedSequence.of(*rows, min_visibility=min_visibility, crowded=crowded)
        except ConfigError as error:
            raise ConfigError(f"{camera}: {error}") from error
    alone = {camera: count_sequence(pair) for camera, pair in pairs.items()}
    whole = PairedSequence.joined(list(pairs.values()))
    sizes = (whole.result_count, whole.truth_count, len(whole.result_ids), len(whole.truth_ids))
    clear = Clear.combined([counted.clear for counted in alone.values()])
    joint = Counted(Hota.of(whole), clear, Identity.of(whole), sizes)
    return MotReport({camera: counted.scores() for camera, counted in alone.items()}, joint.scores())


def camera_files(folder: Path) -> dict[str, Path]:
    """Camera -> file, for a folder of ``<camera>.txt`` (or ``.txt.gz``), in the order of the names.

    Raises:
        ConfigError: there is none.
    """
    found = {
        path.name.split(".txt")[0]: path for path in sorted(folder.glob("*")) if path.name.endswith((".txt", ".txt.gz"))
    }
    if not found:
        raise ConfigError(f"{folder}: holds no <camera>.txt")
    return found
