"""The small parts of a live camera: waits, clocks, credentials, the mailbox."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.source.backoff import Backoff
from reidpipe.source.credentials import read_credentials, scrub, with_credentials
from reidpipe.source.mailbox import Mailbox, State
from reidpipe.source.names import redact
from reidpipe.source.wallclock import FrameClock, RunClock
from reidpipe.types import Image


class Time:
    """A wall clock and a monotonic one, both set by hand."""

    def __init__(self) -> None:
        self.mono = 100.0
        self.wall_ahead = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.mono

    def wall(self) -> float:
        return self.mono + self.wall_ahead

    def run(self) -> RunClock:
        return RunClock(self.wall, self.monotonic)


def test_backoff_doubles_up_to_the_limit_and_begins_anew() -> None:
    backoff = Backoff(first_s=0.5, longest_s=10, jitter=0)
    assert [backoff.next_s() for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    for _ in range(2000):  # weeks: no overflow
        assert backoff.next_s() == 10
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_backoff_jitter_stays_in_its_range_and_differs() -> None:
    one, other = (Backoff(first_s=1, longest_s=8, jitter=0.5, rng=random.Random(seed)) for seed in (1, 2))
    waits = [(one.next_s(), other.next_s()) for _ in range(20)]
    assert all(a != b for a, b in waits)
    for number, pair in enumerate(waits):
        full = min(2.0**number, 8)
        assert all(0.5 * full <= wait <= full for wait in pair)


@pytest.mark.parametrize("bad", [{"first_s": 0}, {"first_s": 20}, {"jitter": 2}, {"longest_s": float("inf")}])
def test_backoff_refuses_numbers_out_of_range(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Backoff(**bad)


def test_run_clock_does_not_leap_when_the_wall_clock_is_set() -> None:
    time = Time()
    clock = time.run()
    shown = [clock.now()]
    time.wall_ahead += 3600
    for _ in range(100):
        time.mono += 1
        clock.follow()
        shown.append(clock.now())
    steps = np.diff(shown)
    assert steps.min() > 0.98
    assert steps.max() < 1.02
    assert clock.offset_s == pytest.approx(3600 - 1, abs=0.01)  # 1 s in 100 s


def test_run_clock_catches_up_with_a_small_difference() -> None:
    time = Time()
    clock = time.run()
    time.wall_ahead -= 0.5
    for _ in range(60):
        time.mono += 1
        clock.follow()
    assert abs(clock.now() - time.wall()) <= 0.06


def test_frame_clock_takes_jitter_out() -> None:
    time, rng = Time(), random.Random(0)
    run = time.run()
    clock = FrameClock(run)
    times = []
    for number in range(600):
        time.mono = 100 + number / 15 + 0.02 + rng.expovariate(1 / 0.03)  # at least 20 ms, now and then much more
        times.append(clock.seconds(9.5 + number / 15, time.mono))
    gaps = np.diff(times[100:])
    assert np.abs(gaps - 1 / 15).max() < 0.01  # arrivals jitter by 30 ms and more, here a third at most
    truth = run.at(100.02) + np.arange(600) / 15
    assert np.abs(np.array(times[100:]) - truth[100:]).max() < 0.012


@pytest.mark.parametrize("rate", [1.0005, 0.9995])
def test_frame_clock_follows_a_drifting_camera(rate: float) -> None:
    time, rng = Time(), random.Random(1)
    run = time.run()
    clock = FrameClock(run)
    for number in range(0, 3600 * 5):  # an hour at 5 fps: 1.8 s of drift
        true_s = number / 5
        time.mono = 100 + true_s + 0.02 + rng.expovariate(1 / 0.01)
        shown = clock.seconds(true_s * rate, time.mono)
        if number > 50:
            assert abs(shown - run.at(100 + true_s + 0.02)) < 0.06


def test_frame_clock_survives_a_camera_whose_clock_is_set_by_an_hour() -> None:
    time = Time()
    run = time.run()
    clock = FrameClock(run)
    times = []
    for number in range(300):
        time.mono = 100 + number / 10
        shift = 3600 if 100 <= number < 200 else -3600 if number >= 200 else 0
        times.append(clock.seconds(50 + number / 10 + shift, time.mono))
    assert np.diff(times).min() > 0
    assert np.abs(np.array(times) - run.at(100) - np.arange(300) / 10).max() < 0.01
    assert clock.leaps == 2


def test_frame_clock_grows_after_a_restart_and_without_stamps() -> None:
    time = Time()
    clock = FrameClock(time.run())
    first = clock.seconds(1000.0, time.mono)
    clock.restart()
    second = clock.seconds(0.0, time.mono)  # the same moment, stamps begin anew
    third = clock.seconds(None, time.mono)
    assert first < second < third < first + 0.01


CASES = [
    ("rtsp://h/1", "rtsp://h/1"),
    ("rtsp://u:p@h:554/1", "rtsp://u:p@h:554/1"),
    ("rtsp://u:p@ss@h/1", "rtsp://u:p%40ss@h/1"),
    ("rtsp://u:p/w@h/1", "rtsp://u:p%2Fw@h/1"),
    ("rtsp://u:p%40@h/1", "rtsp://u:p%40@h/1"),
    ("rtsp://u:a$b@h/1", "rtsp://u:a%24b@h/1"),
    ("rtsp://${WHO}:${PASS}@h:1/x", "rtsp://me:p%3A%2F%40%2541@h:1/x"),
    ("http://h/x?to=a@b.c", "http://h/x?to=a@b.c"),
    ("0", "0"),
]


@pytest.mark.parametrize(("uri", "expected"), CASES)
def test_credentials_in_an_address(uri: str, expected: str) -> None:
    environment = {"WHO": "me", "PASS": "p:/@%41"}
    address, secrets = with_credentials(uri, camera="gate", environment=environment)
    assert address == expected
    assert not any(secret in redact(uri) for secret in secrets if len(secret) > 1)


def test_credentials_from_environment_then_file_by_camera_or_host(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text("gate 1: ann:one\n10.0.0.7: bob:t:wo\n")
    environment = {"REIDPIPE_CREDENTIALS_GATE_1": "eve:three"}

    def filled(camera: str, uri: str, env: dict[str, str]) -> str:
        return with_credentials(uri, camera=camera, environment=env, file=file)[0]

    assert filled("gate 1", "rtsp://10.0.0.7/s", environment) == "rtsp://eve:three@10.0.0.7/s"
    assert filled("gate 1", "rtsp://10.0.0.7/s", {}) == "rtsp://ann:one@10.0.0.7/s"
    assert filled("lobby", "rtsp://10.0.0.7:554/s", {}) == "rtsp://bob:t%3Awo@10.0.0.7:554/s"
    assert filled("lobby", "rtsp://10.0.0.8/s", {}) == "rtsp://10.0.0.8/s"
    assert filled("gate 1", "rtsp://x:y@10.0.0.7/s", environment) == "rtsp://x:y@10.0.0.7/s"


@pytest.mark.parametrize("text", ["a: hunter2", "- a", "a: [1, hunter2]", "a: {x: hunter2", "a: :hunter2"])
def test_credentials_file_that_is_wrong_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_credentials(file)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_of_a_name_go_to_no_address_that_somebody_else_gave(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text("gate: me:named\n10.0.0.7: me:hosted\n")
    environment = {"REIDPIPE_CREDENTIALS_GATE": "me:environment"}

    def address(uri: str) -> str:
        return with_credentials(uri, camera="gate", environment=environment, file=file, by_name=False)[0]

    assert address("rtsp://evil/1") == "rtsp://evil/1"
    assert address("rtsp://10.0.0.7/1") == "rtsp://me:hosted@10.0.0.7/1"
    assert address("rtsp://you:own@evil/1") == "rtsp://you:own@evil/1"


def test_credentials_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"gate: .*NOT_THERE"):
        with_credentials("rtsp://me:${NOT_THERE}@h/1", camera="gate", environment={})


def test_scrub_takes_addresses_and_secrets_out_of_foreign_texts() -> None:
    text = "Error at 'rtsp://me:hunter2@h/1'\n hunter2 and hunter%2F2 http://h/?token=abc"
    assert scrub(text, ("hunter%2F2", "hunter2")) == "Error at 'rtsp://h/1' *** and *** http://h/?token=***"


def image() -> Image:
    return np.zeros((4, 4, 3), np.uint8)


def test_mailbox_newest_wins_and_every_drop_is_counted() -> None:
    box = Mailbox("a")
    made: list[int] = []

    def make(number: int) -> Image:
        made.append(number)
        return image()

    for number in range(5):
        box.put(float(number), partial(make, number))
    frame = box.take()
    assert frame is not None
    assert (frame.index, frame.time_s, made) == (4, 4.0, [4])  # what nobody takes is not converted
    assert box.take() is None
    box.skip()
    box.skip(damaged=True)
    box.put(9.0, image)
    assert box.drop()
    assert not box.drop()
    assert (box.counts.received, box.counts.dropped, box.counts.damaged) == (8, 7, 1)


def test_mailbox_a_picture_that_cannot_be_converted_is_dropped() -> None:
    box = Mailbox("a")

    def broken() -> Image:
        raise ValueError("swscale")

    box.put(0.0, broken)
    assert box.take() is None
    assert (box.counts.dropped, box.counts.damaged) == (1, 1)


def test_mailbox_changes_come_once_in_order_and_end_is_final() -> None:
    box, woken = Mailbox("a"), []
    box.listen(lambda: woken.append(1))
    states: tuple[State, ...] = ("up", "up", "down", "up", "ended", "up")
    for state in states:
        box.change(state, 1.0)
    assert [change.state for change in box.changes()] == ["up", "down", "up", "ended"]
    assert box.changes() == []
    assert box.state == "ended"
    assert len(woken) == 4


def test_mailbox_nobody_listens_and_memory_stays_bounded() -> None:
    box = Mailbox("a")
    for number in range(10_000):
        box.change("up" if number % 2 else "down", float(number))
    assert len(box.changes()) == 256
