"""A real RTSP server (GStreamer's), run by the system's Python, which has its bindings: see ``reidpipe.live.rtsp``.

    /usr/bin/python3 rtsp_script.py PORT '{"/a": {"launch": "videotestsrc ...", "user": "me", "password": "x"}}'

A mount with ``raw`` plays a file of raw I420 pictures, again and again, each stamped with its number; it writes a line
``NUMBER SECONDS`` (monotonic) to the file ``log`` when a picture is given to the encoder.

Prints ``ready`` when it serves. Only on 127.0.0.1. Needs nothing but GStreamer: it does not import reidpipe.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

BITS = 24
CELL = 16
"""The stamp: 24 bits of the number, then the same inverted, in squares of 16 pixels, two rows at the lower left."""


def main() -> None:
    """Serve until killed."""
    port, mounts = int(sys.argv[1]), json.loads(sys.argv[2])
    gi: Any = importlib.import_module("gi")
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    glib, gst, rtsp = (importlib.import_module(f"gi.repository.{name}") for name in ("GLib", "Gst", "GstRtspServer"))
    gst.init(None)
    server = rtsp.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    auth = rtsp.RTSPAuth()
    if not any("user" in mount for mount in mounts.values()):
        auth.set_default_token(_token(rtsp, "anybody"))  # with it nobody is ever asked for a password
    for number, (path, mount) in enumerate(mounts.items()):
        _mount(rtsp, gst, server, auth, number, path, mount)
    server.set_auth(auth)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {port}")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    glib.MainLoop().run()


def _token(rtsp: Any, role: str) -> Any:
    token = rtsp.RTSPToken()
    token.set_string("media.factory.role", role)
    return token


def _mount(rtsp: Any, gst: Any, server: Any, auth: Any, number: int, path: str, mount: dict[str, Any]) -> None:
    factory = rtsp.RTSPMediaFactory()
    factory.set_launch(f"( {mount['launch']} )")
    factory.set_shared(True)
    if "raw" in mount:
        factory.connect("media-configure", lambda _, media: Stamped(gst, media, mount))
    role = "anybody"
    if "user" in mount:
        role = f"role{number}"
        auth.add_basic(rtsp.RTSPAuth.make_basic(mount["user"], mount["password"]), _token(rtsp, role))
    permissions = rtsp.RTSPPermissions()
    permissions.add_role(role)
    for right in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(role, right, True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)


class Stamped:
    """Feeds ``appsrc name=source`` with stamped pictures, at their time."""

    def __init__(self, gst: Any, media: Any, mount: dict[str, Any]) -> None:
        self._gst = gst
        self._width, self._height, self._fps = mount["width"], mount["height"], mount["fps"]
        self._raw = open(mount["raw"], "rb")  # noqa: SIM115, PTH123
        self._log = open(mount["log"], "a", buffering=1)  # noqa: SIM115, PTH123
        self._number = 0
        self._begin = time.monotonic()
        media.get_element().get_child_by_name("source").connect("need-data", self._push)

    def _push(self, source: Any, _length: int) -> None:
        due = self._begin + self._number / self._fps
        time.sleep(max(0.0, due - time.monotonic()))
        size = self._width * self._height * 3 // 2
        data = self._raw.read(size)
        if len(data) < size:
            self._raw.seek(0)
            data = self._raw.read(size)
        picture = bytearray(data)
        stamp(picture, self._width, self._height, self._number)
        buffer = self._gst.Buffer.new_wrapped(bytes(picture))
        buffer.pts = self._number * self._gst.SECOND // self._fps
        buffer.duration = self._gst.SECOND // self._fps
        self._log.write(f"{self._number} {time.monotonic():.6f}\n")
        source.emit("push-buffer", buffer)
        self._number += 1


def stamp(picture: bytearray, width: int, height: int, number: int) -> None:
    """Write the number into the luma of an I420 picture."""
    for row, value in enumerate((number, ~number)):
        line = b"".join((b"\xeb" if value >> bit & 1 else b"\x10") * CELL for bit in range(BITS))
        for y in range(height - (2 - row) * CELL, height - (1 - row) * CELL):
            picture[y * width : y * width + len(line)] = line


if __name__ == "__main__":
    main()
