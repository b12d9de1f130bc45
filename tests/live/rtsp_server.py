"""A real RTSP server (GStreamer's), run by the system's Python, which has its bindings: see ``tests/live/server.py``.

    /usr/bin/python3 rtsp_server.py PORT '{"/a": {"launch": "videotestsrc ...", "user": "me", "password": "x"}}'

Prints ``ready`` when it serves. Only on 127.0.0.1.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

gi: Any = importlib.import_module("gi")
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
GLib: Any = importlib.import_module("gi.repository.GLib")
Gst: Any = importlib.import_module("gi.repository.Gst")
GstRtspServer: Any = importlib.import_module("gi.repository.GstRtspServer")


def _token(role: str) -> Any:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", role)
    return token


def main() -> None:
    port, mounts = int(sys.argv[1]), json.loads(sys.argv[2])
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    auth = GstRtspServer.RTSPAuth()
    if not any("user" in mount for mount in mounts.values()):
        auth.set_default_token(_token("anybody"))  # with it nobody is ever asked for a password
    for number, (path, mount) in enumerate(mounts.items()):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {mount['launch']} )")
        factory.set_shared(True)
        role = "anybody"
        if "user" in mount:
            role = f"role{number}"
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(mount["user"], mount["password"]), _token(role))
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_role(role)
        for right in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(role, right, True)
        factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    server.set_auth(auth)
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on port {port}")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
