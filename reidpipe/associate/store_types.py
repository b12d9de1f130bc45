"""What a store holds and tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from reidpipe.types import Tracklet

__all__ = ["Act", "Kept", "Person", "Picture", "Run"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known.

    Attributes:
        global_id: number of the identity.
        name: given by a user, or None.
        tracklets: how many are kept.
        cameras: where seen, sorted.
        seen_s: when last written, seconds since 1970.
        since_s: when the oldest of the tracklets was written.
    """

    global_id: int
    name: str | None
    tracklets: int
    cameras: tuple[str, ...]
    seen_s: float
    since_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A tracklet of an earlier run.

    Attributes:
        run: number of the run.
        global_id: whose it is.
        tracklet: as it was, without path, with few prototypes; times by the clock of its run.
        kept_s: when it was written, seconds since 1970.
    """

    run: int
    global_id: int
    tracklet: Tracklet
    kept_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """A run that wrote.

    Attributes:
        number: of the run, from 1.
        started_s: when it was begun, seconds since 1970.
        note: what its user would know it by: the names of its cameras.
        live: its times are seconds since 1970; else they count from the beginning of the files.
    """

    number: int
    started_s: float
    note: str
    live: bool


class Picture(NamedTuple):
    """The best picture of a track.

    Attributes:
        score: how good it is, 0..1.
        jpeg: the file's bytes.
    """

    score: float
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the audit; it says nothing about who somebody was.

    Attributes:
        at_s: when, seconds since 1970.
        action: ``forget``; ``expire``: forgotten by age; ``trim``: only the old tracklets of some people; ``merge``,
            ``split``; ``strip``: pictures deleted.
        person: the identity it was done to; 0: several.
        other: of a merge, the identity it became; of a split, the new one.
        tracklets: how many tracklets were deleted or moved (``strip``: pictures).
    """

    at_s: float
    action: str
    person: int
    other: int | None
    tracklets: int
