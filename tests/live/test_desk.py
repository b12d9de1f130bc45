"""Errands for the run: done in its thread, never many, never waited for without end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reidpipe.live.desk import BusyError, Desk
from tests.live.watch import until


def test_desk_does_errands_in_the_thread_that_serves() -> None:
    desk, over = Desk(), threading.Event()

    def serve() -> None:
        while not over.wait(0.001):
            desk.serve()

    server = threading.Thread(target=serve)
    server.start()
    with ThreadPoolExecutor(4) as others:
        asked = [others.submit(desk.ask, threading.current_thread) for _ in range(4)]
        assert {one.result() for one in asked} == {server}
    with pytest.raises(ZeroDivisionError):
        desk.ask(lambda: 1 / 0)
    assert desk.ask(lambda: 7) == 7  # it belongs to who asked, not to the run
    over.set()
    server.join()


def test_desk_that_nobody_serves_refuses_in_time_and_when_full() -> None:
    desk = Desk()
    did: list[int] = []
    with pytest.raises(BusyError, match="in time"):
        desk.ask(lambda: did.append(1), timeout_s=0.01)
    desk.serve()
    assert did == []  # nobody waited for it any more
    with ThreadPoolExecutor(4) as others:
        waiting = [others.submit(desk.ask, lambda: 1) for _ in range(4)]
        until(lambda: vars(desk)["_waiting"].full())
        with pytest.raises(BusyError, match="busy"):
            desk.ask(lambda: 1)
        desk.close()
        for one in waiting:
            with pytest.raises(BusyError, match="ended"):
                one.result()
    with pytest.raises(BusyError):
        desk.ask(lambda: 1)
