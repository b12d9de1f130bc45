"""What the status page serves, apart from how: who may ask, and what they are answered."""

from __future__ import annotations

import hmac
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from reidpipe.errors import ReidpipeError
from reidpipe.live.asked import asked_camera, asked_id, asked_number
from reidpipe.live.board import Board
from reidpipe.live.control import AskedCamera, Verb
from reidpipe.live.desk import BusyError
from reidpipe.live.snapshot import Snapshot, to_prometheus
from reidpipe.live.upload import MOST_BYTES, UploadError, read_picture
from reidpipe.types import Image

__all__ = ["MOST_BODY", "TEXT", "Answer", "Cameras", "People", "Site", "is_loopback", "watched"]

_BEAT_S = 10.0
_WATCH_S = 0.1
_GONE_S = 30.0
_MOST_WORDS = 4000
_JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_VERBS: dict[str, Verb] = {
    "/api/cameras/add": "add",
    "/api/cameras/remove": "remove",
    "/api/cameras/pause": "pause",
    "/api/cameras/resume": "resume",
}
MOST_BODY = {"/api/find": MOST_BYTES, "/api/forget": 1000, **dict.fromkeys(_VERBS, _MOST_WORDS)}
"""What takes a body, and the most bytes of it."""
_NO_STATE = b'<script id="first-state" type="application/json">null</script>'
_ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/status.css": ("status.css", "text/css; charset=utf-8"),
    "/status.js": ("status.js", "text/javascript; charset=utf-8"),
}


class Answer(NamedTuple):
    """What goes back."""

    status: int
    kind: str
    body: bytes


_NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, TEXT, b"not found\n")


class Cameras(Protocol):
    """Adds, removes, pauses; ``CameraDesk``."""

    def change(self, verb: Verb, asked: AskedCamera) -> str | None:
        """Do it; returns why it will be forgotten at the next start, None when it will not."""
        ...


class People(Protocol):
    """Finds and forgets; ``PeopleDesk``."""

    def find(self, image: Image, *, person: int | None = None) -> dict[str, Any]:
        """Who is on a picture."""
        ...

    def forget(self, global_id: int) -> int:
        """Forget somebody; how many tracks that were."""
        ...


def is_loopback(host: str) -> bool:
    """True for a name or address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def watched(path: str) -> str | None:
    """The camera of which picture after picture is asked for, or None."""
    if path.startswith("/camera/") and path.endswith(".mjpg"):
        return unquote(path.removeprefix("/camera/").removesuffix(".mjpg"))
    return None


class Site:
    """Answers for the whole of the status page.

    Args:
        snapshot: gives the state of the run.
        board: newest pictures and people.
        token: what must be known; None: nothing on loopback, and nobody knows it elsewhere.
        people: finds and forgets; None: nobody can be found or forgotten from here.
        cameras: adds and pauses; None: cameras cannot be changed from here.
        loopback: bound to an address of this machine only.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        board: Board,
        token: str | None,
        people: People | None,
        cameras: Cameras | None,
        *,
        loopback: bool,
    ) -> None:
        self.snapshot = snapshot
        self.board = board
        self.people = people
        self.cameras = cameras
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
        return is_loopback(name)

    def answer(self, path: str) -> Answer:
        """Status, content type and body."""
        if path in _ASSETS:
            name, kind = _ASSETS[path]
            body = files("reidpipe.live").joinpath("assets", name).read_bytes()
            return Answer(HTTPStatus.OK, kind, self._with_state(body) if path == "/" else body)
        if path.endswith(".jpg"):
            return self._picture(path)
        snapshot = self.snapshot()
        if path == "/metrics":
            return Answer(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", to_prometheus(snapshot).encode())
        if path == "/healthz":
            return _said(snapshot.beat_s < _BEAT_S, {"beat_s": round(snapshot.beat_s, 2)})
        if path == "/readyz":
            states = {one.camera: one.state for one in snapshot.cameras}
            return _said("up" in states.values(), {"cameras": states})
        if path == "/api/state":
            return _json(HTTPStatus.OK, self.board.state(snapshot))
        return _NOT_FOUND

    def _with_state(self, page: bytes) -> bytes:
        """The page with the first state in it: pictures are asked for a journey sooner."""
        state = json.dumps(self.board.state(self.snapshot())).encode()
        state = state.replace(b"<", b"\\u003c")  # no name of a camera ends the element
        return page.replace(_NO_STATE, _NO_STATE.replace(b"null", state))

    def post(self, path: str, query: Mapping[str, list[str]], body: bytes) -> Answer:
        """To what changes or computes something; ``path`` is one of ``MOST_BODY``."""
        try:
            done = self._done(path, query, body)
        except BusyError as error:
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error)})
        except (UploadError, ReidpipeError) as error:
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        if done is None:
            return _json(HTTPStatus.NOT_FOUND, {"error": "there is nobody to ask"})
        return _json(HTTPStatus.OK, done)

    def _done(self, path: str, query: Mapping[str, list[str]], body: bytes) -> dict[str, Any] | None:
        """What came of it; None where nobody does such things."""
        verb = _VERBS.get(path)
        if verb is not None:
            if self.cameras is None:
                return None
            asked = asked_camera(body, adds=verb == "add")
            forgotten = self.cameras.change(verb, asked)
            done = {"camera": asked.name, "done": verb, "kept": forgotten is None}
            return done if forgotten is None else {**done, "why": forgotten}
        if self.people is None:
            return None
        if path == "/api/find":
            return self.people.find(read_picture(body), person=asked_number(query.get("person")))
        return {"forgotten": self.people.forget(asked_id(body))}

    def pictures(self, camera: str, over: threading.Event) -> Iterator[bytes]:
        """JPEG after JPEG, ten a second at most, as they come; ends when none comes for half a minute."""
        last, since = None, time.monotonic()
        while time.monotonic() - since < _GONE_S:
            jpeg = self.board.picture(camera)
            if jpeg is not None and jpeg is not last:
                last, since = jpeg, time.monotonic()
                yield jpeg
            if over.wait(_WATCH_S):
                return

    def _picture(self, path: str) -> Answer:
        jpeg = None
        _, kind, name = [*path.split("/", 2), "", ""][:3]
        stem = unquote(name.removesuffix(".jpg"))
        if kind == "camera":
            jpeg = self.board.picture(stem)
        elif kind == "person" and stem.isascii() and stem.isdigit() and len(stem) < 19:
            jpeg = self.board.person(int(stem))
        return _NOT_FOUND if jpeg is None else Answer(HTTPStatus.OK, "image/jpeg", jpeg)


def _json(status: HTTPStatus, record: Mapping[str, Any]) -> Answer:
    return Answer(status, _JSON, json.dumps(record).encode())


def _said(good: bool, details: dict[str, Any]) -> Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return _json(status, {"ok": good, **details})
