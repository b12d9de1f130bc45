"""Unique people per camera and time, and what the error band covers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reidpipe.report.certainty import Certainty, Rival
from reidpipe.report.counts import Bin, count_people, make_bins
from reidpipe.report.presence import Watch
from reidpipe.report.results import Person, Visit
from reidpipe.types import TrackKey

SURE, DOUBTFUL = 50.0, 0.0  # log-odds


def person(global_id: int, *stays: tuple[str, float, float]) -> Person:
    visits = tuple(Visit(TrackKey(c, 10 * global_id + i), a, b, 0.9, 0.8) for i, (c, a, b) in enumerate(stays))
    return Person(global_id, visits, None, {})


PEOPLE = (
    person(1, ("a", 0, 10), ("b", 100, 110)),
    person(2, ("a", 5, 15), ("a", 50, 60)),
    person(3, ("b", 20, 4000)),
)


def certainty(
    *links: float, rivals: tuple[Rival, ...] = (), apart: frozenset[tuple[int, int]] = frozenset()
) -> Certainty:
    return Certainty(np.array(links), np.full(len(links), -1), rivals, apart, 0.4, 0.0, 0.0)


@pytest.mark.parametrize(
    ("first_s", "last_s", "expected"),
    [
        (0.0, 16.0, [2.0 * i for i in range(8)]),
        (0.0, 0.0, [0.0]),
        (0.5, 100.0, [10.0 * i for i in range(10)]),
        (0.0, 7200.0, [0.0, 3600.0]),
        (3500.0, 10900.0, [0.0, 3600.0, 7200.0, 10800.0]),
        (1767312000.0 + 1800, 1767312000.0 + 9000, [1767312000.0, 1767315600.0, 1767319200.0]),
    ],
)
def test_counts_bins_are_hours_or_shorter(first_s: float, last_s: float, expected: list[float]) -> None:
    bins = make_bins(first_s, last_s)
    assert [one.first_s for one in bins] == expected
    assert all(one.last_s == following.first_s for one, following in itertools.pairwise(bins))
    assert bins[0].first_s <= first_s
    assert bins[-1].last_s >= last_s


def test_counts_are_of_people_and_not_of_stays() -> None:
    watch = Watch(0.0, 4000.0, {3: 2, 3700: 5})
    counts = count_people(PEOPLE, ["a", "b", "c"], {"a": watch}, None, (Bin(0, 3600), Bin(3600, 7200)))
    assert counts.total.count == 3
    assert {name: tally.count for name, tally in counts.cameras.items()} == {"a": 2, "b": 2, "c": 0}
    assert {name: [tally.count for tally in row] for name, row in counts.cells.items()} == {
        "a": [2, 0], "b": [2, 1], "c": [0, 0],
    }  # fmt: skip
    assert counts.most == {"a": (2, 5), "b": (0, 0), "c": (0, 0)}
    assert counts.total.low is None


def test_counts_that_are_sure_have_no_band() -> None:
    counts = count_people(PEOPLE, ["a", "b"], {}, certainty(SURE, SURE, SURE, SURE, np.nan), make_bins(0, 4000))
    assert (counts.total.low, counts.total.count, counts.total.high) == (3, 3, 3)


def test_counts_band_holds_the_person_who_may_be_two() -> None:
    # Half of the recounts split person 2, whose two visits hang on one link.
    counts = count_people(PEOPLE, ["a", "b"], {}, certainty(SURE, SURE, DOUBTFUL, DOUBTFUL, np.nan), make_bins(0, 4000))
    assert (counts.total.low, counts.total.count, counts.total.high) == (3, 3, 4)
    assert (counts.cameras["a"].low, counts.cameras["a"].high) == (2, 3)
    assert (counts.cameras["b"].low, counts.cameras["b"].high) == (2, 2)


def test_counts_know_that_a_wrong_visit_is_mostly_of_somebody_listed() -> None:
    # Both links of person 1 and 2 are surely wrong; where they belong to person 3, nobody new is there.
    wrong = Certainty(np.array([-SURE] * 4 + [np.nan]), np.full(5, 2), (), frozenset(), 0.4, 0.0, 0.0)
    total = count_people(PEOPLE, ["a", "b"], {}, wrong, make_bins(0, 4000)).total
    assert (total.low, total.high) == (3, 5)
    listed = [count_people(PEOPLE, ["a", "b"], {}, wrong, make_bins(0, 4000)).cameras["b"]]
    assert listed[0].low == 1


def test_counts_band_holds_the_two_who_may_be_one() -> None:
    rivals = (Rival(0, 2, DOUBTFUL),)
    counts = count_people(
        PEOPLE, ["a", "b"], {}, certainty(SURE, SURE, SURE, SURE, np.nan, rivals=rivals), make_bins(0, 4000)
    )
    assert (counts.total.low, counts.total.count, counts.total.high) == (2, 3, 3)
    assert (counts.cameras["a"].low, counts.cameras["a"].high) == (2, 2)
    assert (counts.cameras["b"].low, counts.cameras["b"].high) == (1, 2)


def test_counts_never_join_people_who_were_seen_together() -> None:
    # 1 may be 3 and 2 may be 3, but 1 and 2 were in one picture: all three can never be one.
    rivals = (Rival(0, 2, SURE), Rival(1, 2, SURE))
    known = certainty(SURE, SURE, SURE, SURE, np.nan, rivals=rivals, apart=frozenset({(0, 1)}))
    counts = count_people(PEOPLE, ["a", "b"], {}, known, make_bins(0, 4000))
    assert (counts.total.low, counts.total.high) == (2, 3)


def test_counts_band_grows_with_the_uncertainty_of_the_limit() -> None:
    links, rivals = [3.0, 3.0, 3.0, 3.0, np.nan], (Rival(0, 2, -3.0),)
    widths = []
    for shift_std in (0.0, 4.0):
        known = Certainty(np.array(links), np.full(5, -1), rivals, frozenset(), 0.4, 0.1, shift_std)
        total = count_people(PEOPLE, ["a", "b"], {}, known, make_bins(0, 4000)).total
        assert total.low is not None
        assert total.high is not None
        widths.append(total.high - total.low)
    assert widths[1] > widths[0]


def test_counts_of_nobody() -> None:
    counts = count_people([], ["a"], {}, None, make_bins(0, 0))
    assert counts.total.count == 0
    assert counts.cells["a"][0].count == 0
