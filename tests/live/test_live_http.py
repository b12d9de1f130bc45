"""HTTP cameras: motion JPEG as thousands of them send it, without time stamps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from reidpipe.source.backoff import Backoff
from reidpipe.source.live import LiveSource
from tests.live.watch import Watch, growing, until

FPS = 12.5


class Camera(ThreadingHTTPServer):
    """Sends JPEG after JPEG until it is told to stop."""

    daemon_threads = True

    def __init__(self) -> None:
        self.go = threading.Event()
        self.cut = threading.Event()
        self.go.set()
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Camera

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization", ""))
        if self.server.asked[-1] != "Basic bWU6aHVudGVyMg==":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        self.server.cut.clear()
        number = 0
        while not self.server.cut.is_set():
            self.server.go.wait(30)
            image = np.full((48, 64, 3), number % 200, np.uint8)
            jpeg = bytes(cv2.imencode(".jpg", image)[1])
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return
            number += 1
            time.sleep(1 / FPS)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def http_camera() -> Iterator[Camera]:
    server = Camera()
    yield server
    server.cut.set()
    server.go.set()
    server.shutdown()
    server.server_close()


def test_live_http_motion_jpeg_with_password_cut_and_frozen(http_camera: Camera) -> None:
    backoff = Backoff(first_s=0.1, longest_s=0.5)
    url = f"http://me:hunter2@{http_camera.place}/video?x=1"
    source = LiveSource(url, camera="a", backoff=backoff, open_timeout_s=5)
    with Watch(source) as watch:
        watch.pictures("a", 10)
        assert watch.sizes["a"] == [(48, 64, 3)]
        http_camera.cut.set()
        until(lambda: watch.states("a") == ["up", "down", "up"])
        watch.pictures("a", 5)
        http_camera.go.clear()
        until(lambda: watch.states("a")[-1] == "down")
        http_camera.go.set()
        watch.pictures("a", 5)
        assert source.stalls == 1
        assert growing(watch.times["a"])
        # Without stamps of its own: the time of arrival, whatever rate FFmpeg guesses.
        assert abs(watch.times["a"][-1] - time.time()) < 5
    assert source.info.uri == f"http://{http_camera.place}/video?x=1"


def test_live_http_wrong_password_is_told(http_camera: Camera) -> None:
    source = LiveSource(f"http://me:wrong@{http_camera.place}/", camera="a", max_retries=0)
    with Watch(source) as watch:
        until(lambda: watch.states("a") == ["down", "ended"])
    assert watch.changes["a"][0].reason == "the camera refuses user name or password (401)"


def test_live_http_what_is_no_video_is_told(http_camera: Camera) -> None:
    class Text(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<html>no camera here</html>" * 50
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Text)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://me:hunter2@127.0.0.1:{server.server_address[1]}/"
    with Watch(LiveSource(url, camera="a", max_retries=0, open_timeout_s=5)) as watch:
        until(lambda: watch.states("a") == ["down", "ended"])
    server.shutdown()
    server.server_close()
    assert watch.changes["a"][0].reason == "what comes is not a video stream"
