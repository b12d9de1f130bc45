"""Real RTSP cameras for tests: GStreamer's server in a process of its own, and a proxy that spoils connections."""

from __future__ import annotations

import os
import random
import select
import socket
import threading
from typing import Self

from reidpipe.live.rtsp import RtspServer, clip, free_port, pattern, why_not

__all__ = ["Proxy", "RtspServer", "clip", "free_port", "pattern", "why_not"]


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
