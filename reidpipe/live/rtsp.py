"""A real RTSP server on this machine, for trials: GStreamer's, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Self

__all__ = ["RtspServer", "clip", "free_port", "pattern", "stamped", "why_not"]

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_script.py")
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 " + " ".join(
    f"gstreamer1.0-plugins-{p}" for p in ("base", "good", "bad", "ugly")
)
ELEMENTS = ("videotestsrc", "appsrc", "x264enc", "rtph264pay", "jpegenc", "rtpjpegpay", "h264parse", "qtdemux")


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
    """A moving ball as a GStreamer launch line, live.

    Args:
        width: pixels.
        height: pixels.
        fps: pictures per second.
        codec: ``h264`` or ``jpeg``.
        loss: share of RTP packets that are dropped, 0..1.
        key_every: pictures from one key picture to the next.
    """
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"
    line = f"videotestsrc is-live=true pattern=ball ! {caps} ! "
    if codec == "jpeg":
        return line + "jpegenc ! rtpjpegpay name=pay0 pt=26"
    return line + _encoder(key_every=key_every, loss=loss)


def _encoder(*, key_every: int, loss: float = 0.0) -> str:
    line = f"x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max={key_every} ! "
    if loss:
        return line + f"rtph264pay pt=96 config-interval=1 ! identity name=pay0 drop-probability={loss}"
    return line + "rtph264pay name=pay0 pt=96 config-interval=1"


def clip(path: Path) -> str:
    """A recorded H.264 MP4, played once at its own pace."""
    return f"filesrc location={path} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1"


def stamped(raw: Path, log: Path, *, width: int, height: int, fps: int) -> dict[str, Any]:
    """A mount: a file of raw I420 pictures, each stamped with its number; when it was shown is noted in ``log``."""
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"
    source = f"appsrc name=source is-live=true format=time max-buffers=1 block=true caps={caps}"
    launch = f"{source} ! {_encoder(key_every=2 * fps)}"
    return {"launch": launch, "raw": str(raw), "log": str(log), "width": width, "height": height, "fps": fps}


class RtspServer:
    """GStreamer's RTSP server. A context manager; ``kill`` and ``start`` may follow each other.

    Args:
        mounts: path -> ``{"launch": ..., "user": ..., "password": ...}``, the last two optional; see ``rtsp_script``.
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
        """Address of a mount."""
        return f"rtsp://{credentials}127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Start the process.

        Raises:
            RuntimeError: it did not start.
        """
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
        """It answers nothing any more, and no connection ends."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
