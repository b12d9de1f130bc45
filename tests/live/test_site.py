"""Motion JPEG of the status page: picture after picture, for a few."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from reidpipe.live.board import Board
from tests.live.test_server import Start, get, now, result, start

__all__ = ["now", "start"]  # fixtures


def test_site_gives_picture_after_picture_for_a_few_who_watch(start: Start) -> None:
    board = Board()
    server = start(board)
    assert get(server, "/camera/gate.mjpg")[:2] == (404, b"not found\n")
    board.see(result(0, [3]))
    place = urlsplit(server.url)
    with ExitStack() as stack:
        watchers = [stack.enter_context(socket.create_connection((place.hostname, place.port), 20)) for _ in range(8)]
        for watcher in watchers:
            watcher.sendall(b"GET /camera/gate.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        streams = [stack.enter_context(watcher.makefile("rb")) for watcher in watchers]
        first = [picture(stream) for stream in streams]
        assert get(server, "/camera/gate.mjpg")[0] == 503
        assert get(server, "/healthz")[0] == 200
        board.see(result(1, [3]))
        second = [picture(stream) for stream in streams]
        assert len(set(first)) == len(set(second)) == 1
        assert first[0] != second[0] == board.picture("gate")
        server.close()
        assert all(stream.read() == b"\r\n" for stream in streams)  # none hangs
    assert get(start(board), "/camera/gate.mjpg", "HEAD")[2]["content-type"].startswith("multipart/x-mixed-replace")
    assert get(start(board, token="s3cret"), "/camera/gate.mjpg")[:2] == (401, b"unauthorized\n")


def picture(stream: Any) -> bytes:
    """The next part of a motion JPEG."""
    while not bytes(stream.readline()).startswith(b"--"):
        continue  # the head of the answer, or the end of the part before
    lines = iter(stream.readline, b"\r\n")
    (length,) = (int(line.split()[1]) for line in lines if line.startswith(b"Content-Length:"))
    return bytes(stream.read(length))
