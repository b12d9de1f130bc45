"""Real RTSP cameras for tests: GStreamer's server in a process of its own, and a proxy that spoils connections."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import threading
from functools import cache
from pathlib import Path
from typing import Any, Self

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_server.py")
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 " + " ".join(
    f"gstreamer1.0-plugins-{p}" for p in ("base", "good", "bad", "ugly")
)
ELEMENTS = ("videotestsrc", "x264enc", "rtph264pay", "jpegenc", "rtpjpegpay", "h264parse", "qtdemux")


@cache
def why_not() -> str | None:
    """Why there can be no server here; None when there can."""
    code = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0')\n"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None)\n"
        f"print([name for name in {ELEMENTS!r} if Gst.ElementFactory.find(name) is None])"
    )
    try:
        done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return f"needs Debian's {PYTHON}: {error}"
    if done.returncode != 0 or done.stdout.strip() != "[]":
        return f"needs a real RTSP server: apt-get install {PACKAGES} ({done.stdout}{done.stderr.strip()[-120:]})"
    return None


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def pattern(
    *, width: int = 160, height: int = 120, fps: int = 10, codec: str = "h264", loss: float = 0.0, key_every: int = 10
) -> str:
    """A moving ball as a GStreamer launch line, live."""
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"
    line = f"videotestsrc is-live=true pattern=ball ! {caps} ! "
    if codec == "jpeg":
        return line + "jpegenc ! rtpjpegpay name=pay0 pt=26"
    line += f"x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max={key_every} ! "
    if loss:
        return line + f"rtph264pay pt=96 config-interval=1 ! identity name=pay0 drop-probability={loss}"
    return line + "rtph264pay name=pay0 pt=96 config-interval=1"


def clip(path: Path) -> str:
    """A recorded H.264 MP4, played once at its own pace."""
    return f"filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1"


class RtspServer:
    """GStreamer's RTSP server. A context manager; ``kill`` and ``start`` may follow each other.

    Args:
        mounts: path -> ``{"launch": ..., "user": ..., "password": ...}``, the last two optional.
    """

    def __init__(self, mounts: dict[str, dict[str, Any]]) -> None:
        self.mounts = mounts
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def url(self, path: str, credentials: str = "") -> str:
        return f"rtsp://{credentials}127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [PYTHON, str(SCRIPT), str(self.port), json.dumps(self.mounts)], stdout=subprocess.PIPE, text=True
        )
        stdout = self._process.stdout
        if stdout is None or stdout.readline().strip() != "ready":
            raise RuntimeError("the RTSP server did not start")

    def kill(self) -> None:
        """As in a power cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)


class Proxy:
    """A TCP proxy on 127.0.0.1 that can cut connections or send garbage in the place of what comes.

    Args:
        port: of the server behind it.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.garbage = False
        self.flip = 0.0  # share of the bytes that are spoiled
        self._rng = random.Random(0)
        self.refuse = False
        self._cut = threading.Event()
        self._over = False
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._cut.set()
        self._listener.close()

    def cut(self) -> None:
        """Close every open connection, wherever it is."""
        self._cut.set()

    def _spoiled(self, byte: int) -> int:
        return byte ^ (1 << self._rng.randrange(8)) if self._rng.random() < self.flip else byte

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuse:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._cut.clear()
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            while not self._cut.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.05)
                for one in ready:
                    try:
                        data = one.recv(1000)
                        if not data:
                            return
                        if one is server and self.garbage:
                            data = os.urandom(len(data))
                        elif one is server and self.flip:
                            data = bytes(self._spoiled(byte) for byte in data)
                        (client if one is server else server).sendall(data)
                    except OSError:
                        return
