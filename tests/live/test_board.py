"""What the status page shows: bounded, drawn once, gone when it is forgotten."""

from __future__ import annotations

from reidpipe.live.board import Board
from reidpipe.types import Link, TrackKey
from tests.live.test_server import SNAPSHOT, result


def test_board_is_bounded_and_keeps_those_seen_last() -> None:
    board = Board()
    for number in range(1, 1001):
        board.see(result(number, [number], camera="gate" if number % 2 else "yard"))
    people = board.state(SNAPSHOT)["people"]
    assert [person["global_id"] for person in people] == list(range(1000, 800, -1))
    assert [person["now"] for person in people[:7]] == [True] * 6 + [False]
    for number in range(200):  # one person who comes and goes
        board.see(result(2000 + number, [5000], time_s=2000.0 + 100 * number))
    visits = board.state(SNAPSHOT)["people"][0]["visits"]
    assert len(visits) == 30


def test_board_identity_that_nobody_has_any_more_goes() -> None:
    board = Board()
    board.see(result(0, [1, 2]))
    board.see(result(1, [1, 1]))
    board.corrected([Link(TrackKey("gate", 2), 1, 0.9, 1.0, previous=2)])
    assert [person["global_id"] for person in board.state(SNAPSHOT)["people"]] == [1]


def test_board_picture_is_drawn_once_for_all_who_look() -> None:
    board = Board()
    board.see(result(0, [1]))
    first = board.picture("gate")
    assert board.picture("gate") is first
    board.see(result(1, [1]))
    assert board.picture("gate") != first
    assert board.picture("other") is None


def test_board_without_crops_keeps_no_picture_of_anybody() -> None:
    board = Board(crops=False)
    for number in range(5):
        board.see(result(number, [1]))
    assert board.person(1) is None
    assert [person["global_id"] for person in board.state(SNAPSHOT)["people"]] == [1]
    board.forget(1)
    assert board.state(SNAPSHOT)["people"] == []


def test_board_camera_that_is_taken_out_is_shown_no_more() -> None:
    board = Board()
    board.see(result(0, [1]))
    board.see(result(0, [2], camera="yard"))
    board.remove("gate")
    board.remove("nobody")
    assert board.picture("gate") is None
    assert board.picture("yard") is not None
    board.see(result(1, [1]))
    assert board.picture("gate") is not None
