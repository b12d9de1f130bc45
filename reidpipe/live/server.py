"""``--serve``: metrics, health and a status page of a live run, over HTTP.

    GET /              the status page: a tile for each camera, who is there now
    GET /metrics       Prometheus
    GET /healthz       200 while the loop goes round
    GET /readyz        200 when a camera gives pictures
    GET /api/state     what the page shows, as JSON
    GET /camera/NAME.jpg    the newest picture with boxes and ids
    GET /person/ID.jpg      the newest crop of somebody
    POST /api/find     a photo as body (JPEG, PNG, WebP; ``?person=2``: the second from the left): who is it?
    POST /api/forget   {"global_id": 7}: not known any more, here and in the store

What changes or computes something needs the header ``X-Reidpipe: 1``, which no page of another site can send, and is
refused when the browser says that it comes from one.

Bound to loopback it asks for nothing; elsewhere every request needs the token, which comes from the environment
(``REIDPIPE_TOKEN``): as ``Authorization: Bearer ...`` or, for browsers, as ``?token=...`` once, then a cookie.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from reidpipe.errors import ConfigError, ReidpipeError, SinkError
from reidpipe.live.asked import asked_id, asked_number
from reidpipe.live.board import Board
from reidpipe.live.desk import BusyError
from reidpipe.live.snapshot import Snapshot, to_prometheus
from reidpipe.live.upload import MOST_BYTES, UploadError, read_picture
from reidpipe.types import Image

__all__ = ["StatusServer", "parse_address"]

_COOKIE = "reidpipe_token"
_BEAT_S = 10.0
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
_TEXT = "text/plain; charset=utf-8"
_MOST_UPLOADS = 3
_MOST_BODY = {"/api/find": MOST_BYTES, "/api/forget": 1000}
_ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/status.css": ("status.css", "text/css; charset=utf-8"),
    "/status.js": ("status.js", "text/javascript; charset=utf-8"),
}


class People(Protocol):
    """Finds and forgets; ``PeopleDesk``."""

    def find(self, image: Image, *, person: int | None = None) -> dict[str, Any]:
        """Who is on a picture."""
        ...

    def forget(self, global_id: int) -> int:
        """Forget somebody; how many tracks that were."""
        ...


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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class StatusServer:
    """Serves in threads of its own until closed.

    Args:
        address: ``HOST:PORT``; port 0 takes a free one.
        snapshot: gives the state of the run; called in the server's threads.
        board: newest pictures and people.
        token: what requests from elsewhere must know.
        people: finds and forgets; None: nobody can be found or forgotten from here.

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
    ) -> None:
        host, port = parse_address(address)
        if not _is_loopback(host) and not token:
            raise ConfigError(
                f"--serve {address}: whoever reaches this address would see people: set REIDPIPE_TOKEN to a secret, "
                "or serve on 127.0.0.1"
            )
        site = _Site(snapshot, board, token, people, loopback=_is_loopback(host))
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
        self._server.shutdown()
        self._server.server_close()


class _Site:
    """What is served, apart from how."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        board: Board,
        token: str | None,
        people: People | None,
        *,
        loopback: bool,
    ) -> None:
        self.snapshot = snapshot
        self.board = board
        self.people = people
        self._token = token
        self._loopback = loopback

    def knows(self, given: str | None) -> bool:
        """True when the token is right, or none is needed."""
        if self._token is None:
            return self._loopback
        return given is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def host_is_right(self, host: str | None) -> bool:
        """On loopback only loopback names: a foreign page must not reach us by a name that points here."""
        if not self._loopback or self._token is not None:
            return True
        name = urlsplit(f"//{host or ''}").hostname or ""
        return _is_loopback(name)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        snapshot = self.snapshot()
        if path in _ASSETS:
            name, kind = _ASSETS[path]
            return HTTPStatus.OK, kind, files("reidpipe.live").joinpath("assets", name).read_bytes()
        if path == "/metrics":
            return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", to_prometheus(snapshot).encode()
        if path == "/healthz":
            return _said(snapshot.beat_s < _BEAT_S, {"beat_s": round(snapshot.beat_s, 2)})
        if path == "/readyz":
            states = {one.camera: one.state for one in snapshot.cameras}
            return _said("up" in states.values(), {"cameras": states})
        if path == "/api/state":
            return HTTPStatus.OK, "application/json", json.dumps(self.board.state(snapshot)).encode()
        return self._picture(path)

    def post(self, path: str, query: Mapping[str, list[str]], body: bytes) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if self.people is None:
            return _json(HTTPStatus.NOT_FOUND, {"error": "there is nobody to ask"})
        try:
            if path == "/api/find":
                return _json(
                    HTTPStatus.OK, self.people.find(read_picture(body), person=asked_number(query.get("person")))
                )
            return _json(HTTPStatus.OK, {"forgotten": self.people.forget(asked_id(body))})
        except BusyError as error:
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})
        except (UploadError, ReidpipeError) as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _picture(self, path: str) -> tuple[int, str, bytes]:
        jpeg = None
        _, kind, name = [*path.split("/", 2), "", ""][:3]
        if name.endswith(".jpg"):
            stem = unquote(name.removesuffix(".jpg"))
            if kind == "camera":
                jpeg = self.board.picture(stem)
            elif kind == "person" and stem.isascii() and stem.isdigit() and len(stem) < 19:
                jpeg = self.board.person(int(stem))
        if jpeg is None:
            return HTTPStatus.NOT_FOUND, _TEXT, b"not found\n"
        return HTTPStatus.OK, "image/jpeg", jpeg


def _json(status: HTTPStatus, record: Mapping[str, Any]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(record).encode()


def _said(good: bool, details: dict[str, Any]) -> tuple[int, str, bytes]:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps({"ok": good, **details}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], site: _Site) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.site = site
        self._room = threading.BoundedSemaphore(_MOST_REQUESTS)
        self.uploads = threading.BoundedSemaphore(_MOST_UPLOADS)
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

    def do_GET(self) -> None:
        """Answer, to who may ask."""
        site = self.server.site
        parts = urlsplit(self.path)
        if not site.host_is_right(self.headers.get("Host")):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, _TEXT, b"wrong host\n")
            return
        asked = parse_qs(parts.query).get("token", [None])[0]
        if not site.knows(asked or self._given()):
            self._send(HTTPStatus.UNAUTHORIZED, _TEXT, b"unauthorized\n")
            return
        if asked is not None:
            # Out of the address bar, so that it is not seen or bookmarked.
            self._redirect(parts.path, asked)
            return
        self._send(*site.answer(parts.path))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Find or forget somebody, for who may ask."""
        self.close_connection = True  # what is refused is not read
        site = self.server.site
        parts = urlsplit(self.path)
        if not site.host_is_right(self.headers.get("Host")):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, _TEXT, b"wrong host\n")
        elif not site.knows(self._given()):
            self._send(HTTPStatus.UNAUTHORIZED, _TEXT, b"unauthorized\n")
        elif (most := _MOST_BODY.get(parts.path)) is None:
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"read only\n")
        elif not self._is_own():
            self._send(HTTPStatus.FORBIDDEN, _TEXT, b"not from another site\n")
        else:
            length = self.headers.get("Content-Length") or ""
            if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
                self._send(HTTPStatus.LENGTH_REQUIRED, _TEXT, b"length required\n")
            elif len(length) > 12 or int(length) > most:
                self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TEXT, b"too large\n")
            else:
                self._post(parts.path, parts.query, int(length))

    def _post(self, path: str, query: str, length: int) -> None:
        if not self.server.uploads.acquire(blocking=False):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, b"busy\n")
            return
        try:
            body = self._body(length)
            if body is None:
                self._send(HTTPStatus.REQUEST_TIMEOUT, _TEXT, b"too slow\n")
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
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"read only\n")
        else:
            self._send(HTTPStatus.UNAUTHORIZED, _TEXT, b"unauthorized\n")

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
        from urllib.parse import quote

        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/" + path.lstrip("/"))
        self.send_header("Set-Cookie", f"{_COOKIE}={quote(token, safe='')}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: addresses here may hold the token."""
