"""The parts of the report: times, movements, doubts, certainty, pictures, presence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reidpipe.associate.decide import Rules, decide
from reidpipe.associate.scene import see
from reidpipe.associate.transit import Transit
from reidpipe.report.certainty import Rule, judge, probability, rule_of
from reidpipe.report.clock import Clock, duration
from reidpipe.report.doubts import find_doubts
from reidpipe.report.movements import find_movements
from reidpipe.report.pictures import load_pictures
from reidpipe.report.presence import read_presence
from reidpipe.report.results import read_results
from reidpipe.types import TrackKey, Tracklet
from tests.report.runs import looks, write_run
from tests.report.test_counts import person


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0 s"), (2.0, "2 s"), (2.34, "2.3 s"), (9.96, "10 s"), (59.6, "1 min"), (190, "3 min 10 s"),
     (7200, "2 h"), (7500, "2 h 5 min"), (3 * 86400 + 4 * 3600, "3 d 4 h")],
)  # fmt: skip
def test_clock_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("span", "time_s", "text"),
    [((0, 50), 7.25, "0:07.2"), ((0, 50), 59.99, "1:00.0"), ((0, 5000), 3723.4, "1:02:03"), ((-5, 500), -3.0, "-0:03")],
)
def test_clock_of_files_counts_from_their_beginning(span: tuple[float, float], time_s: float, text: str) -> None:
    assert Clock.of(*span).time(time_s) == text


def test_clock_of_live_cameras_shows_the_time_of_day() -> None:
    clock = Clock(3600, False, False)
    assert clock.time(1767312000.0) == "01:00:00"
    assert clock.zone == "UTC+01:00"
    dated = Clock(0, False, True)
    assert dated.time(1767312000.0) == "2 Jan 00:00:00"
    assert dated.span(1767312000.0, 1767312060.0) == "2 Jan 00:00:00 – 00:01:00"
    assert dated.span(1767311990.0, 1767312060.0) == "1 Jan 23:59:50 – 2 Jan 00:01:00"
    assert Clock.of(1767312000.0, 1767312000.0 + 200_000).dated


def test_movements_are_counted_with_their_times() -> None:
    people = [
        person(1, ("a", 0, 10), ("b", 25, 30), ("a", 50, 60)),
        person(2, ("a", 5, 15), ("a", 20, 22), ("b", 24, 40)),
        person(3, ("b", 0, 100), ("a", 90, 110)),
    ]
    moves = {(move.origin, move.target): move for move in find_movements(people)}
    assert set(moves) == {("a", "b"), ("b", "a")}
    assert moves["a", "b"].times == (2.0, 15.0)
    assert moves["a", "b"].people == (1, 2)
    assert moves["b", "a"].times == (-10.0, 20.0)
    assert moves["b", "a"].together == 1
    assert moves["b", "a"].quantile(0.5) == 10.0
    assert moves["b", "a"].sample(60) == [0.0, 20.0]
    assert find_movements([person(1, ("a", 0, 1))]) == ()


def test_certainty_tells_good_links_from_bad_ones(tmp_path: Path) -> None:
    stays = [(who, camera, 100.0 * who + offset, 100.0 * who + offset + 20)
             for who in range(1, 11) for camera, offset in (("gate", 0.0), ("lobby", 40.0))]  # fmt: skip
    vectors = looks(11)[[who for who, *_ in stays]] + 0.3 * looks(len(stays), seed=5)
    vectors[1] = looks(1, seed=99)[0]  # the second stay of person 1 is somebody else
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    results = read_results(write_run(tmp_path, stays, vectors=vectors))
    assert results.vectors is not None
    known = judge(results.people, results.vectors)
    chances = probability(known.links)
    assert chances[:2].max() < 0.5
    assert chances[2:].min() > 0.8
    doubts = find_doubts(results.people, known)
    assert [doubt.one.global_id for doubt in doubts.made] == [1]
    assert doubts.made_count == 1


def test_certainty_finds_the_two_who_may_be_one(tmp_path: Path) -> None:
    stays = [(who, "gate", 100.0 * who, 100.0 * who + 20) for who in range(1, 11)]
    vectors = looks(11)[1:].copy()
    vectors[9] = vectors[0] + 0.2 * vectors[5]
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    results = read_results(write_run(tmp_path, stays, vectors=vectors))
    assert results.vectors is not None
    known = judge(results.people, results.vectors)
    assert (known.rivals[0].a, known.rivals[0].b) == (0, 9)
    assert np.isnan(known.links).all()
    (doubt, *_) = find_doubts(results.people, known).open
    assert (doubt.one.global_id, doubt.other.global_id) == (1, 10)


def test_certainty_never_doubts_that_people_seen_together_are_two(tmp_path: Path) -> None:
    stays = [(who, "gate", 0.0, 20.0) for who in range(1, 6)]
    vectors = np.repeat(looks(1), 5, axis=0)  # all in the same clothes
    results = read_results(write_run(tmp_path, stays, vectors=vectors))
    assert results.vectors is not None
    known = judge(results.people, results.vectors)
    assert known.rivals == ()
    assert len(known.apart) == 10


def test_certainty_takes_a_given_limit_as_exact(tmp_path: Path) -> None:
    results = read_results(write_run(tmp_path, [(1, "a", 0, 1), (2, "b", 5, 6), (1, "b", 9, 10)]))
    assert results.vectors is not None
    known = judge(results.people, results.vectors, rule=Rule(threshold=0.3))
    assert known.limit == pytest.approx(0.3)
    assert known.limit_std == known.shift_std == 0


def test_certainty_weighs_as_the_run_did() -> None:
    calibration = {"source": "net", "cosine": [13, 0.4], "shared": [[18, 0.3], [19, 0.3]], "photo": [12, 0.3]}
    run = {
        "config": {"associate": {"threshold": None, "overlap": False, "offsets": {"lobby": 1.8}, "planes": None,
                                 "transits": {"gate -> lobby": "5-40 s"}}},
        "association": {"prior_log_odds": -3.5, "calibration": calibration | {"spread": 0.11, "steadiness": 0.7},
                        "scale": {"mean": 0, "spread": 0.1, "ease": 0.6},
                        "transit_times_s": [["lobby", "gate", 2.0, 9.5, 7]]},
    }  # fmt: skip
    rule = rule_of(run)
    assert (rule.threshold, rule.prior, rule.overlap, rule.offsets) == (None, -3.5, False, {"lobby": 1.8})
    assert rule.likeness.facts() == calibration | {"spread": 0.11, "steadiness": 0.7}
    assert rule.ease == 0.6
    assert rule.transits[("gate", "lobby")] == Transit(5.0, 40.0)
    assert rule.transits[("lobby", "gate")] == Transit(2.0, 9.5, 7)


def test_certainty_weighs_links_as_the_run_did_with_the_transit_times_that_it_learned() -> None:
    rng = np.random.default_rng(3)
    faces = rng.normal(size=(12, 48))
    tracklets, people = [], []
    for number, face in enumerate(faces):
        start = 20.0 * number
        visits = (("lobby", start, start + 4), ("gate", start + 10 + rng.uniform(0, 2), start + 15))
        people.append(person(number + 1, *visits))
        for visit in people[-1].visits:
            rows = face + 0.5 * rng.normal(size=48)
            vector = (rows / np.linalg.norm(rows)).astype(np.float32)
            tracklets.append(Tracklet(visit.key, vector, 1, visit.quality, visit.first_s, visit.last_s, closed=True))
    scene = see(tracklets)
    decision = decide(scene, rules=Rules(), views=None)
    assert {tuple(way[:2]) for way in decision.report["transit_times_s"]} == {("lobby", "gate")}
    assert len(set(decision.labels.tolist())) == 12
    run = {"config": {"associate": {"overlap": False}}, "association": decision.report}
    vectors = np.stack([t.vector for t in tracklets])
    expected = dict(zip([t.key for t in scene.tracklets], decision.links.tolist(), strict=True))
    known = judge(people, vectors, rule=rule_of(run))
    assert known.links.tolist() == pytest.approx([expected[t.key] for t in tracklets], abs=0.05)
    blind = judge(people, vectors, rule=replace(rule_of(run), transits={}))
    assert (known.links - blind.links).mean() > 0.5


def test_certainty_of_a_link_is_what_the_run_said(tmp_path: Path) -> None:
    results = read_results(write_run(tmp_path, [(1, "a", 0, 1), (2, "b", 5, 6), (1, "b", 9, 10)]))
    assert results.vectors is not None
    one, two = results.people
    said = replace(one, visits=tuple(replace(visit, probability=0.75) for visit in one.visits))
    known = judge((said, two), results.vectors)
    assert probability(known.links)[:2].tolist() == pytest.approx([0.75, 0.75])
    assert np.isnan(known.links[2])


def test_pictures_stay_inside_their_budget(tmp_path: Path) -> None:
    results = read_results(write_run(tmp_path, [(who, "a", 10.0 * who, 10.0 * who + 1) for who in range(1, 21)]))
    whole, missing = load_pictures(tmp_path, results.people)
    small, _ = load_pictures(tmp_path, results.people, budget=10_000)
    assert missing == 0
    assert set(whole) == set(small)
    assert len(whole) == 20
    assert sum(map(len, small.values())) < 0.8 * sum(map(len, whole.values()))


def test_presence_reads_what_was_rotated_out_first(tmp_path: Path) -> None:
    def line(time_s: float, track_id: int, global_id: int | None) -> str:
        someone = {"track_id": track_id, "global_id": global_id, "box": [0, 0, 9, 20], "score": 0.9}
        record = {"schema": "reidpipe.frame/1", "camera": "a", "frame": 0, "time_s": time_s, "people": [someone]}
        return json.dumps(record) + "\n"

    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "000001.jsonl").write_text(line(1.0, 1, None) + line(2.5, 7, None))
    (tmp_path / "frames.jsonl").write_text(line(3.0, 1, 4) + line(9.0, 7, None))
    presence = read_presence(tmp_path / "frames.jsonl", [TrackKey("a", 1)])
    assert (presence.watches["a"].first_s, presence.watches["a"].last_s) == (1.0, 9.0)
    assert presence.nameless == {TrackKey("a", 7): (2.5, 9.0)}
    assert presence.paths[TrackKey("a", 1)][:, 0].tolist() == [1.0, 3.0]
    assert presence.watches["a"].most(0, 2) == 1
    assert presence.watches["a"].most(4, 8) == 0
