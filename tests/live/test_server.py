"""The status page, metrics and health of a live run: what they say, and to whom."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError, SinkError
from reidpipe.live.board import Board
from reidpipe.live.control import AskedCamera
from reidpipe.live.desk import BusyError
from reidpipe.live.server import StatusServer, parse_address
from reidpipe.live.snapshot import CameraSnapshot, Snapshot, to_prometheus
from reidpipe.types import Frame, FrameResult, Image, Tracks

CAMERA = CameraSnapshot("gate", "up", 15.0, 100, 80, 40, 20, 1, 2, 3, 4, 0.125)
SNAPSHOT = Snapshot((CAMERA,), 2, 0.5, 0.1, 0.9, 7, {"detect": 1.5}, 5, 6, 0.1, 60.0)

Start = Callable[..., StatusServer]


class Now:
    """A snapshot that the test changes."""

    value = SNAPSHOT


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def start(now: Now) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(
            board: Board | None = None,
            token: str | None = None,
            address: str = "127.0.0.1:0",
            people: Somebody | None = None,
            cameras: Cameras | None = None,
        ) -> StatusServer:
            parts: dict[str, Any] = {"board": board or Board(), "token": token, "people": people, "cameras": cameras}
            server = StatusServer(address, snapshot=lambda: now.value, **parts)
            stack.callback(server.close)
            return server

        yield begin


def get(server: StatusServer, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def result(index: int, global_ids: list[int], *, camera: str = "gate", time_s: float | None = None) -> FrameResult:
    n = len(global_ids)
    boxes = np.array([[10 + 20 * i, 10, 26 + 20 * i, 60] for i in range(n)], np.float32).reshape(-1, 4)
    ids = np.arange(1, n + 1)
    tracks = Tracks(ids, boxes, np.ones(n, np.float32), np.arange(n))
    image = np.full((90, 160, 3), (50 + index) % 200, np.uint8)
    at = float(index) if time_s is None else time_s
    return FrameResult(Frame(camera, index, at, image), tracks, np.array(global_ids, np.int64))


def test_metrics_are_prometheus_text() -> None:
    lines = to_prometheus(replace(SNAPSHOT, cameras=(CAMERA, replace(CAMERA, camera='a"b\\c\nd')))).splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['reidpipe_frames_received_total{camera="gate"}'] == "100"
    assert values['reidpipe_frames_dropped_total{camera="a\\"b\\\\c\\nd"}'] == "20"
    assert values['reidpipe_age_seconds{quantile="0.99"}'] == "0.9"
    assert values['reidpipe_stage_seconds_total{stage="detect"}'] == "1.5"
    assert values["reidpipe_load_level"] == "2"
    assert float(values["process_resident_memory_bytes"]) > 1e6
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}
    assert all((kind == "counter") == name.endswith("_total") for name, kind in kinds.items())
    assert {name.split("{")[0] for name in values} == set(kinds)


def test_server_health_and_readiness(start: Start, now: Now) -> None:
    server = start()
    assert get(server, "/healthz")[0] == 200
    assert get(server, "/readyz")[0] == 200
    now.value = replace(SNAPSHOT, beat_s=60.0, cameras=(replace(CAMERA, state="down"),))
    assert get(server, "/healthz")[0] == 503
    status, body, _ = get(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {"ok": False, "cameras": {"gate": "down"}}


def test_server_page_needs_nothing_from_elsewhere(start: Start) -> None:
    server = start()
    for path, kind in (("/", "text/html"), ("/status.css", "text/css"), ("/status.js", "text/javascript")):
        status, body, headers = get(server, path)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert b"http://" not in body
        assert b"https://" not in body
    assert get(server, "/", "HEAD")[1] == b""


def test_server_gives_pictures_and_people(start: Start) -> None:
    board = Board()
    server = start(board)
    assert get(server, "/camera/gate.jpg")[0] == 404
    board.see(result(0, [3, -1]))
    board.see(result(1, [3], camera="back door"))
    status, body, _ = get(server, "/camera/back%20door.jpg")
    assert status == 200
    picture: Any = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (90, 160, 3)
    assert get(server, "/person/3.jpg")[0] == 200
    state = json.loads(get(server, "/api/state")[1])
    assert [person["global_id"] for person in state["people"]] == [3]
    assert [visit["camera"] for visit in state["people"][0]["visits"]] == ["back door", "gate"]
    assert state["people"][0]["now"]
    for path in ("/person/4.jpg", "/person/-1.jpg", f"/person/{'9' * 40}.jpg", "/person/%D9%A3.jpg", "/camera/x.jpg"):
        assert get(server, path)[0] == 404


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/api/state", "/camera/gate.jpg", "/nothing"])
def test_server_wrong_token_gets_401_and_nothing_else(start: Start, path: str) -> None:
    server = start(token="s3cret")
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic s3cret"}, {"Cookie": "a=b; ;;="}):
        for method in ("GET", "POST", "DELETE"):
            status, body, answered = get(server, path, method, **headers)
            assert (status, body) == (401, b"unauthorized\n")
            assert "set-cookie" not in answered
    assert get(server, f"{path}?token=no")[0] == 401


def test_server_token_by_header_or_once_by_address(start: Start) -> None:
    server = start(token="s3cr&t 1")
    assert get(server, "/metrics", Authorization="Bearer s3cr&t 1")[0] == 200
    status, body, headers = get(server, "//evil.example/?token=s3cr%26t%201")
    assert (status, body) == (303, b"")
    assert headers["location"] == "/evil.example/"  # here, never there
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    assert get(server, "/metrics", Cookie=headers["set-cookie"].split(";")[0])[0] == 200


class Somebody:
    """Finds person 3 on every photo, and knows nobody else."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], int | None]] = []
        self.forgotten: list[int] = []
        self.busy = False

    def find(self, image: Image, *, person: int | None = None) -> dict[str, Any]:
        if self.busy:
            raise BusyError("the run is busy: try again")
        self.asked.append((image.shape, person))
        return {"people": 1, "person": 1, "boxes": [], "matches": []}

    def forget(self, global_id: int) -> int:
        if global_id != 3:
            raise ConfigError(f"nobody has the number {global_id}")
        self.forgotten.append(global_id)
        return 5


class Cameras:
    """Takes everything but a second gate."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, AskedCamera]] = []

    forgotten: str | None = None

    def change(self, verb: str, asked: AskedCamera) -> str | None:
        if verb == "add" and asked.name == "gate":
            raise ConfigError("there is a camera called 'gate' already")
        self.asked.append((verb, asked))
        return self.forgotten


PHOTO = bytes(cv2.imencode(".jpg", np.zeros((50, 40, 3), np.uint8))[1])
OURS = {"X-Reidpipe": "1"}


def post(server: StatusServer, path: str, body: bytes | str, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    try:
        connection.request("POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        is_json = answer.getheader("Content-Type") == "application/json"
        return answer.status, json.loads(text) if is_json else text
    finally:
        connection.close()


def test_server_finds_and_forgets(start: Start) -> None:
    somebody = Somebody()
    server = start(people=somebody)
    assert post(server, "/api/find", PHOTO, **OURS)[0] == 200
    assert post(server, "/api/find?person=2", PHOTO, **OURS)[1]["people"] == 1
    assert somebody.asked == [((50, 40, 3), None), ((50, 40, 3), 2)]
    assert post(server, "/api/forget", '{"global_id": 3}', **OURS) == (200, {"forgotten": 5})
    assert post(server, "/api/forget", '{"global_id": 4}', **OURS) == (400, {"error": "nobody has the number 4"})
    somebody.busy = True
    assert post(server, "/api/find", PHOTO, **OURS)[0] == 503
    assert somebody.forgotten == [3]


def test_server_changes_cameras(start: Start) -> None:
    cameras = Cameras()
    server = start(cameras=cameras)
    yard = '{"camera": "yard", "uri": "rtsp://me:hunter2@h/s", "priority": 2}'
    assert post(server, "/api/cameras/add", yard, **OURS) == (200, {"camera": "yard", "done": "add", "kept": True})
    for verb in ("pause", "resume", "remove"):
        assert post(server, f"/api/cameras/{verb}", '{"camera": "yard"}', **OURS)[0] == 200
    named = AskedCamera("yard")
    wanted = [("add", AskedCamera("yard", "rtsp://me:hunter2@h/s", 2.0))]
    assert cameras.asked == [*wanted, ("pause", named), ("resume", named), ("remove", named)]
    again = post(server, "/api/cameras/add", '{"camera": "gate", "uri": "rtsp://h"}', **OURS)
    assert again == (400, {"error": "there is a camera called 'gate' already"})
    rng = random.Random(0)
    for _ in range(50):
        for verb in ("add", "pause"):
            assert post(server, f"/api/cameras/{verb}", rng.randbytes(rng.randrange(60)), **OURS)[0] == 400
    assert post(server, "/api/cameras/add", "x" * 5000, **OURS) == (413, b"too large\n")
    assert post(server, "/api/cameras/explode", "{}", **OURS) == (405, b"read only\n")
    assert get(server, "/api/cameras/add")[0] == 404
    assert len(cameras.asked) == 4
    assert post(start(), "/api/cameras/pause", '{"camera": "gate"}', **OURS)[0] == 404  # nobody there who does it


def test_server_changes_cameras_for_nobody_without_the_token_and_for_no_other_site(start: Start) -> None:
    cameras = Cameras()
    server = start(token="s3cret", cameras=cameras)
    for verb in ("add", "pause", "resume", "remove"):
        path, body = f"/api/cameras/{verb}", '{"camera": "gate", "uri": "rtsp://h"}'
        assert post(server, path, body, **OURS) == (401, b"unauthorized\n")
        assert post(server, path, body, Authorization="Bearer wrong", **OURS) == (401, b"unauthorized\n")
        assert post(server, path, body, Authorization="Bearer s3cret") == (403, b"not from another site\n")
        foreign = {"Authorization": "Bearer s3cret", "Origin": "https://evil.example", **OURS}
        assert post(server, path, body, **foreign)[0] == 403
    assert cameras.asked == []
    assert post(server, "/api/cameras/pause", '{"camera": "gate"}', Authorization="Bearer s3cret", **OURS)[0] == 200


def test_server_takes_no_writes_from_other_sites(start: Start) -> None:
    somebody = Somebody()
    server = start(people=somebody)
    place = urlsplit(server.url).netloc
    forget = '{"global_id": 3}'
    foreign: list[dict[str, str]] = [
        {},  # a form of another site can send no header of its own
        {"X-Reidpipe": "1", "Origin": "https://evil.example"},
        {"X-Reidpipe": "1", "Origin": "null"},
        {"X-Reidpipe": "1", "Sec-Fetch-Site": "cross-site"},
        {"X-Reidpipe": "1", "Sec-Fetch-Site": "same-site"},
    ]
    for headers in foreign:
        assert post(server, "/api/forget", forget, **headers) == (403, b"not from another site\n")
    assert post(server, "/api/forget", forget, Host="evil.example", **OURS)[0] == 421
    status, _, headers = get(server, "/api/forget", "OPTIONS", Origin="https://evil.example")
    assert status == 405
    assert not any(name.startswith("access-control") for name in headers)
    assert somebody.forgotten == []
    own = {"Origin": f"http://{place}", "Sec-Fetch-Site": "same-origin", **OURS}
    assert post(server, "/api/forget", forget, **own)[0] == 200


def test_server_writes_need_the_token(start: Start) -> None:
    somebody = Somebody()
    server = start(token="s3cret", people=somebody)
    forget = '{"global_id": 3}'
    assert post(server, "/api/forget", forget, **OURS) == (401, b"unauthorized\n")
    assert post(server, "/api/forget?token=s3cret", forget, **OURS)[0] == 401  # never by address
    assert post(server, "/api/forget", forget, Authorization="Bearer s3cret", **OURS)[0] == 200


def test_server_refuses_control_calls_that_make_no_sense(start: Start) -> None:
    somebody = Somebody()
    server = start(people=somebody)
    deep = "[" * 400
    for body in ("", "{", "[]", "3", "null", '{"global_id": true}', '{"global_id": "3"}', '{"global_id": 3.0}', deep):
        assert post(server, "/api/forget", body, **OURS)[0] == 400
    for body in (
        '{"global_id": -1}',
        '{"global_id": 0}',
        '{"global_id": 1e99}',
        '{"global_id": 3, "x": 1}',
        "\xff",
    ):
        assert post(server, "/api/forget", body, **OURS)[0] == 400
    assert post(server, "/api/forget", "x" * 2000, **OURS) == (413, b"too large\n")
    for person in ("", "0x1", "-1", "1000", "%D9%A3", "1;2"):
        assert post(server, f"/api/find?person={person or '+'}", PHOTO, **OURS)[0] == 400
    rng = random.Random(0)
    for _ in range(100):
        assert post(server, "/api/forget", rng.randbytes(rng.randrange(60)), **OURS)[0] == 400
        assert post(server, "/api/find", rng.randbytes(rng.randrange(2000)), **OURS)[0] == 400
    assert somebody.forgotten == []
    assert somebody.asked == []
    assert get(server, "/healthz")[0] == 200


def test_server_refuses_uploads_before_it_reads_them(start: Start) -> None:
    server = start(people=Somebody())
    place = urlsplit(server.url)
    heads = {
        b"Content-Length: 99999999999": b"413",
        b"Content-Length: 20000001": b"413",
        b"Content-Length: -5": b"411",
        b"Transfer-Encoding: chunked": b"411",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked": b"411",
        b"Content-Length: " + b"9" * 5000: b"413",
    }
    for head, status in heads.items():
        with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
            request = b"POST /api/find HTTP/1.1\r\nHost: localhost\r\nX-Reidpipe: 1\r\n" + head + b"\r\n\r\n"
            connection.sendall(request)
            assert connection.recv(4096).split()[1] == status


def test_server_upload_that_stops_half_way_ends(start: Start) -> None:
    server = start(people=Somebody())
    place = urlsplit(server.url)
    for _ in range(5):  # more than may upload at once
        with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
            head = b"POST /api/find HTTP/1.1\r\nHost: localhost\r\nX-Reidpipe: 1\r\nContent-Length: 1000\r\n\r\nabc"
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(4096).split()[1] == b"408"
    assert post(server, "/api/find", PHOTO, **OURS)[0] == 200


def test_server_without_people_to_ask_changes_nothing(start: Start) -> None:
    server = start()
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert get(server, "/api/state", method)[:2] == (405, b"read only\n")
    assert post(server, "/api/state", "{}", **OURS)[0] == 405
    assert post(server, "/api/forget", '{"global_id": 3}', **OURS)[0] == 404


def test_server_on_loopback_answers_to_loopback_names_only(start: Start) -> None:
    server = start()
    assert get(server, "/metrics", Host="attacker.example:8000")[0] == 421
    for host in ("localhost:1", "127.0.0.1", "[::1]:8000"):
        assert get(server, "/metrics", Host=host)[0] == 200


def test_server_elsewhere_needs_a_token_and_a_free_port(start: Start) -> None:
    with pytest.raises(ConfigError, match="REIDPIPE_TOKEN"):
        start(address="0.0.0.0:0")
    port = urlsplit(start().url).port
    with pytest.raises(SinkError, match="cannot serve"):
        start(address=f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:80", ("::1", 80)), (":8000", ("127.0.0.1", 8000))],
)
def test_server_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["8000", "host", "host:", "host:99999", "host:-1", ""])
def test_server_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_address(text)


def test_server_survives_garbage(start: Start) -> None:
    server = start()
    rng = random.Random(0)
    place = urlsplit(server.url)
    lines = [b"GET / HTTP/9\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01" * 50, b"GET /%00%ff/../../x.jpg HTTP/1.1\r\n\r\n"]
    lines += [rng.randbytes(200) + b"\r\n\r\n" for _ in range(10)]
    for line in lines:
        with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert get(server, "/healthz")[0] == 200
