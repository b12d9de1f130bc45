"""Cameras that answer nonsense: only clear reasons come of it, and no camera harms the process."""

from __future__ import annotations

import io
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import av
import numpy as np
import pytest

from reidpipe.source.backoff import Backoff
from reidpipe.source.live import LiveSource
from reidpipe.source.stream import LiveStream, StreamError
from tests.live.conftest import Serve
from tests.live.server import Proxy, pattern
from tests.live.watch import Watch, until

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\n"
    "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==\r\n"
    "a=control:stream=0\r\n"
)
ROUNDS = 40


class Nonsense:
    """An RTSP server whose answers are spoiled, each connection in another way."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._rng = random.Random(1)
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(2)
        try:
            for _ in range(8):
                request = client.recv(4096).decode("latin-1")
                if not request:
                    return
                client.sendall(self._spoil(self._answer(request)))
        except OSError:
            return

    def _answer(self, request: str) -> bytes:
        sequence = next((line[5:].strip() for line in request.splitlines() if line.lower().startswith("cseq:")), "1")
        head = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 7;timeout=60\r\n"
        method = request.split(" ", 1)[0]
        if method == "DESCRIBE":
            return f"{head}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}".encode()
        if method == "SETUP":
            return f"{head}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n".encode()
        if method == "PLAY":
            packets = b"".join(b"$\x00" + (60).to_bytes(2, "big") + self._rng.randbytes(60) for _ in range(20))
            return f"{head}\r\n".encode() + packets
        return f"{head}Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n".encode()

    def _spoil(self, answer: bytes) -> bytes:
        rng, kind = self._rng, self._rng.randrange(7)
        if kind == 0:
            return rng.randbytes(rng.randrange(1, 500))
        if kind == 1:
            return answer[: rng.randrange(len(answer))] + b"\r\n\r\n"
        if kind == 2:
            return answer.replace(b"200", str(rng.choice([100, 301, 404, 454, 500, 999])).encode(), 1)
        if kind == 3:
            return answer.replace(b"Content-Length: ", b"Content-Length: -9")
        if kind == 4:
            return answer.replace(b"96", b"9" * rng.randrange(1, 300)).replace(b"90000", b"0")
        if kind == 5:
            spoiled = bytearray(answer)
            for _ in range(1 + len(answer) // 30):
                spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
            return bytes(spoiled)
        return answer


@pytest.fixture
def nonsense() -> Iterator[Nonsense]:
    server = Nonsense()
    yield server
    server.close()


def test_live_fuzz_rtsp_and_sdp(nonsense: Nonsense) -> None:
    url = f"rtsp://me:hunter2@127.0.0.1:{nonsense.port}/x"
    backoff = Backoff(first_s=1e-3, longest_s=2e-3)
    source = LiveSource(url, camera="a", max_retries=ROUNDS, backoff=backoff, open_timeout_s=0.3, stall_s=0.3)
    with Watch(source) as watch:
        until(lambda: source.box.state == "ended", patience_s=90)
        until(lambda: watch.states("a")[-1:] == ["ended"])
    assert nonsense.connections > ROUNDS
    reasons = " ".join(change.reason for change in watch.changes["a"])
    assert "given up after" in reasons
    assert "hunter2" not in reasons
    assert "reading failed" not in reasons  # nothing but what a stream can be expected to do


def h264() -> bytes:
    """Thirty pictures, as they lie one after the other in a stream."""
    file = io.BytesIO()
    with av.open(file, "w", format="h264") as container:
        stream: Any = container.add_stream("libx264", rate=10, options={"g": "10", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(30):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (64, 96, 3), np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_live_fuzz_h264_bytes() -> None:
    """Whatever the bytes are, there are pictures, damaged ones, or one clear reason."""
    whole, rng, came, reasons = h264(), random.Random(2), 0, set[str]()
    for number in range(120):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 10, 100, 1000])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if number % 4 == 0:
            del data[rng.randrange(len(data)) :]
        if number % 5 == 0:  # sizes and limits of the stream itself
            data[4:40] = rng.randbytes(36)
        try:
            with closing(LiveStream(av.open(io.BytesIO(data), format="h264"), read_s=1.0)) as stream:
                for picture in stream.pictures():
                    if picture is not None:
                        with suppress(ValueError):  # what cannot be converted is dropped by the mailbox
                            came += picture.make().ndim == 3
        except StreamError as error:
            reasons.add(str(error))
        except av.FFmpegError:
            continue  # not opened: open_stream makes one line of it
    assert came > 500
    assert reasons <= {"the stream ended", "the stream holds no video that can be decoded"}


def test_live_fuzz_spoiled_bytes_then_whole_ones(serve: Serve) -> None:
    server = serve({"/a": {"launch": pattern(width=320, height=240)}})
    with Proxy(server.port) as proxy:
        url = server.url("/a").replace(str(server.port), str(proxy.port))
        source = LiveSource(url, camera="a", backoff=Backoff(first_s=0.1, longest_s=0.3), open_timeout_s=3)
        with Watch(source) as watch:
            watch.pictures("a", 5)
            for share in (1e-4, 1e-3, 1e-2):
                proxy.flip = share
                time.sleep(1.0)
            proxy.flip = 0.0
            watch.pictures("a", 10)
            assert source.box.state == "up"
