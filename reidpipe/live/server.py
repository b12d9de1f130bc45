"""``--serve``: metrics, health and a status page of a live run, over HTTP.

    GET /              the status page: a tile for each camera, who is there now
    GET /metrics       Prometheus
    GET /healthz       200 while the loop goes round
    GET /readyz        200 when a camera gives pictures
    GET /api/state     what the page shows, as JSON
    GET /camera/NAME.jpg    the newest picture with boxes and ids
    GET /camera/NAME.mjpg   picture after picture (motion JPEG), for other pages and players
    GET /person/ID.jpg      the newest crop of somebody
    POST /api/find     a photo as body (JPEG, PNG, WebP; ``?person=2``: the second from the left): who is it?
    POST /api/forget   {"global_id": 7}: not known any more, here and in the store
    POST /api/cameras/add      {"camera": "gate", "uri": "rtsp://host/stream"}, "priority" may be named, too
    POST /api/cameras/pause    {"camera": "gate"}; likewise resume and remove

What changes or computes something needs the header ``X-Reidpipe: 1``, which no page of another site can send, and is
refused when the browser says that it comes from one.

Bound to loopback it asks for nothing; elsewhere every request needs the token, which comes from the environment
(``REIDPIPE_TOKEN``): as ``Authorization: Bearer ...`` or, for browsers, as ``?token=...`` once, then a cookie.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from reidpipe.errors import ConfigError, SinkError
from reidpipe.live.board import Board
from reidpipe.live.site import MOST_BODY, TEXT, Cameras, People, Site, is_loopback, watched
from reidpipe.live.snapshot import Snapshot

__all__ = ["StatusServer", "parse_address"]

_COOKIE = "reidpipe_token"
_MOST_REQUESTS = 32
_IDLE_S = 30.0
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_MOST_UPLOADS = 3
_MOST_WATCHERS = 8
_BOUNDARY = "picture"


def parse_address(text: str) -> tuple[str, int]:
    """``127.0.0.1:8000``, ``[::1]:8000`` or ``:8000`` (loopback).

    Raises:
        ConfigError: it is not an address and a port.
    """
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ConfigError(f"--serve takes HOST:PORT, for instance 127.0.0.1:8000, got {text!r}")
    return host, int(port)


class StatusServer:
    """Serves in threads of its own until closed.

    Args:
        address: ``HOST:PORT``; port 0 takes a free one.
        snapshot: gives the state of the run; called in the server's threads.
        board: newest pictures and people.
        token: what requests from elsewhere must know.
        people: finds and forgets; None: nobody can be found or forgotten from here.
        cameras: adds and pauses; None: cameras cannot be changed from here.

    Raises:
        ConfigError: the address is none, or is no loopback address and there is no token.
        SinkError: it cannot be bound.
    """

    def __init__(
        self,
        address: str,
        *,
        snapshot: Callable[[], Snapshot],
        board: Board,
        token: str | None,
        people: People | None = None,
        cameras: Cameras | None = None,
    ) -> None:
        host, port = parse_address(address)
        if not is_loopback(host) and not token:
            raise ConfigError(
                f"--serve {address}: whoever reaches this address would see people: set REIDPIPE_TOKEN to a secret, "
                "or serve on 127.0.0.1"
            )
        site = Site(snapshot, board, token, people, cameras, loopback=is_loopback(host))
        try:
            self._server = _Server((host, port), site)
        except OSError as error:
            raise SinkError(f"cannot serve on {address}: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="status", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it can be seen."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}/"

    def close(self) -> None:
        """Stop serving; does not wait for slow readers."""
        self._server.over.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.site = site
        self._room = threading.BoundedSemaphore(_MOST_REQUESTS)
        self.uploads = threading.BoundedSemaphore(_MOST_UPLOADS)
        self.watchers = threading.BoundedSemaphore(_MOST_WATCHERS)
        self.over = threading.Event()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """More connections than there is room for are closed: a thread each, and no more threads than that."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that goes away is no matter for the log."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "reidpipe"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    # Head and body are two packets: without this the second waits 40 ms until the browser has confirmed the first.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer, to who may ask."""
        site = self.server.site
        parts = urlsplit(self.path)
        if not site.host_is_right(self.headers.get("Host")):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, TEXT, b"wrong host\n")
            return
        asked = parse_qs(parts.query).get("token", [None])[0]
        if not site.knows(asked or self._given()):
            self._send(HTTPStatus.UNAUTHORIZED, TEXT, b"unauthorized\n")
            return
        if asked is not None:
            # Out of the address bar, so that it is not seen or bookmarked.
            self._redirect(parts.path, asked)
            return
        camera = watched(parts.path)
        if camera is None:
            self._send(*site.answer(parts.path))
        elif self.server.watchers.acquire(blocking=False):
            try:
                self._watch(camera)
            finally:
                self.server.watchers.release()
        else:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"busy\n")

    do_HEAD = do_GET

    def _watch(self, camera: str) -> None:
        """Picture after picture, until the reader goes or there is none for long; a slow reader misses some."""
        site = self.server.site
        if site.board.picture(camera) is None:
            self._send(HTTPStatus.NOT_FOUND, TEXT, b"not found\n")
            return
        self.close_connection = True
        self._head(HTTPStatus.OK, f"multipart/x-mixed-replace; boundary={_BOUNDARY}", None)
        for jpeg in site.pictures(camera, self.server.over) if self.command != "HEAD" else ():
            part = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(part.encode() + jpeg + b"\r\n")

    def do_POST(self) -> None:
        """Find or forget somebody, or change the cameras, for who may ask."""
        self.close_connection = True  # what is refused is not read
        site = self.server.site
        parts = urlsplit(self.path)
        if not site.host_is_right(self.headers.get("Host")):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, TEXT, b"wrong host\n")
        elif not site.knows(self._given()):
            self._send(HTTPStatus.UNAUTHORIZED, TEXT, b"unauthorized\n")
        elif (most := MOST_BODY.get(parts.path)) is None:
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"read only\n")
        elif not self._is_own():
            self._send(HTTPStatus.FORBIDDEN, TEXT, b"not from another site\n")
        else:
            length = self.headers.get("Content-Length") or ""
            if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
                self._send(HTTPStatus.LENGTH_REQUIRED, TEXT, b"length required\n")
            elif len(length) > 12 or int(length) > most:
                self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TEXT, b"too large\n")
            else:
                self._post(parts.path, parts.query, int(length))

    def _post(self, path: str, query: str, length: int) -> None:
        if not self.server.uploads.acquire(blocking=False):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, b"busy\n")
            return
        try:
            body = self._body(length)
            if body is None:
                self._send(HTTPStatus.REQUEST_TIMEOUT, TEXT, b"too slow\n")
                return
            self._send(*self.server.site.post(path, parse_qs(query), body))
        finally:
            self.server.uploads.release()

    def _body(self, length: int) -> bytes | None:
        """What the request brings; None when it does not come in time."""
        deadline = time.monotonic() + _IDLE_S
        parts = []
        while length and time.monotonic() < deadline:
            part = self.rfile.read1(min(length, 65536))
            if not part:
                return None
            parts.append(part)
            length -= len(part)
        return None if length else b"".join(parts)

    def _is_own(self) -> bool:
        """Sent by our page or by a program, not by a page of another site."""
        if self.headers.get("X-Reidpipe") != "1":
            return False
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = self.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == self.headers.get("Host")

    def do_PUT(self) -> None:
        """There is nothing to put or delete."""
        self.close_connection = True
        if self.server.site.knows(self._given()):
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"read only\n")
        else:
            self._send(HTTPStatus.UNAUTHORIZED, TEXT, b"unauthorized\n")

    do_DELETE = do_PATCH = do_OPTIONS = do_PUT

    def _given(self) -> str | None:
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        try:
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        except CookieError:
            return None
        return None if cookie is None else unquote(cookie.value)

    def _redirect(self, path: str, token: str) -> None:
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/" + path.lstrip("/"))
        self.send_header("Set-Cookie", f"{_COOKIE}={quote(token, safe='')}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _head(self, status: int, kind: str, length: int | None) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, kind, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: addresses here may hold the token."""
