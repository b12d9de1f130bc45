"""Events to a webhook and to a real MQTT broker: in order, whatever the other side does, and nobody waits."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reidpipe.errors import ConfigError, SinkError
from reidpipe.sinks.remote import MqttWriter, StdoutWriter, WebhookWriter, open_remote, shown_address
from reidpipe.sinks.spool import LineSpool

SECRET = "hunter2"


def until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ready()


class Hook(ThreadingHTTPServer):
    """A webhook that does as it is told."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.got: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.tries = 0
        self.hang = threading.Event()
        self.hang.set()
        super().__init__(("127.0.0.1", port), _HookHandler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.hang.set()
        self.shutdown()
        self.server_close()


class _HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        self.server.hang.wait(30)
        if self.server.status < 300:
            self.server.got.append(body)
            self.server.headers.append(dict(self.headers.items()))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hooks() -> Iterator[Callable[..., Hook]]:
    with ExitStack() as stack:

        def begin(port: int = 0) -> Hook:
            hook = Hook(port)
            stack.callback(hook.stop)
            return hook

        yield begin


@pytest.mark.parametrize("status", [500, 404, 302, 401])
def test_webhook_that_refuses_is_tried_again_in_order(hooks: Callable[..., Hook], status: int) -> None:
    hook = hooks()
    hook.status = status
    spool = LineSpool(WebhookWriter(f"http://{hook.place}/{SECRET}"))
    for number in range(5):
        spool.write(b'{"n": %d}' % number)
    until(lambda: spool.error)
    assert spool.error == f"the webhook at http://{hook.place} answers {status}"
    hook.status = 204
    until(lambda: len(hook.got) == 5)
    spool.close()
    assert hook.got == [b'{"n": %d}' % number for number in range(5)]
    assert spool.lost == 0
    assert spool.error is None


def test_webhook_that_hangs_keeps_nobody_waiting(hooks: Callable[..., Hook]) -> None:
    hook = hooks()
    hook.hang.clear()
    spool = LineSpool(WebhookWriter(f"http://{hook.place}/", timeout_s=0.2), limit=10)
    until(lambda: spool.write(b"x") or hook.tries)  # type: ignore[func-returns-value]
    until(lambda: spool.error)
    assert "no answer in time" in str(spool.error)
    for number in range(1000):
        spool.write(b"%d" % number)
    assert len(spool) <= 10
    assert spool.lost >= 980
    hook.hang.set()
    until(lambda: b"999" in hook.got)
    spool.close()
    numbers = [int(body) for body in hook.got if body != b"x"]
    assert numbers == sorted(numbers)


def test_webhook_that_is_down_and_back(hooks: Callable[..., Hook]) -> None:
    hook = hooks()
    port = int(hook.server_address[1])
    hook.stop()
    spool = LineSpool(WebhookWriter(f"http://127.0.0.1:{port}/"))
    spool.write(b"1")
    until(lambda: spool.error)
    spool.write(b"2")
    back = hooks(port)
    until(lambda: back.got == [b"1", b"2"])
    spool.close()


def test_webhook_authentication_and_content_type(hooks: Callable[..., Hook]) -> None:
    hook = hooks()
    WebhookWriter(f"http://me:{SECRET}%40@{hook.place}/x").write(b"{}")
    open_remote(f"http://{hook.place}/x", environment={"REIDPIPE_WEBHOOK_TOKEN": SECRET}).write(b"{}")
    assert [headers["Authorization"] for headers in hook.headers] == ["Basic bWU6aHVudGVyMkA=", f"Bearer {SECRET}"]
    assert {headers["Content-Type"] for headers in hook.headers} == {"application/json"}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (f"https://me:{SECRET}@host:8443/{SECRET}?token={SECRET}", "https://host:8443"),
        (f"mqtt://me:{SECRET}@broker/topic", "mqtt://broker"),
        (f"https://host:{SECRET}/x", "an address that cannot be read"),
    ],
)
def test_remote_address_is_shown_without_secrets(address: str, shown: str) -> None:
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    "address", ["ftp://h/x", "http:///x", f"mqtt://me:{SECRET}@h", "mqtt://h/#", "file:///etc/passwd", "hook"]
)
def test_remote_refuses_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_remote(address)
    assert SECRET not in str(caught.value)


class Broker:
    """A real Mosquitto on 127.0.0.1."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = int(taken.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._listens)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    pytest.importorskip("paho.mqtt", reason="needs paho-mqtt: pip install 'reidpipe[mqtt]'")
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("needs a real MQTT broker: apt-get install mosquitto")
    made = Broker(program, tmp_path)
    made.start()
    yield made
    made.kill()


class Listener:
    """Subscribes, and keeps what comes."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.got: list[bytes] = []
        self.ready = threading.Event()
        self._client: Any = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("site/events", qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = lambda _client, _userdata, message: self.got.append(bytes(message.payload))
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self.ready.wait(20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_mqtt_broker_killed_and_restarted_gets_everything_in_order(broker: Broker) -> None:
    listener = Listener(broker.port)
    spool = LineSpool(MqttWriter(f"mqtt://127.0.0.1:{broker.port}/site/events", timeout_s=2))
    for number in range(3):
        spool.write(b"%d" % number)
    until(lambda: len(listener.got) == 3)
    broker.kill()
    for number in range(3, 8):
        spool.write(b"%d" % number)
    until(lambda: spool.error)
    assert "cannot be reached" in str(spool.error) or "did not take" in str(spool.error)
    listener.ready.clear()
    broker.start()
    assert listener.ready.wait(20)
    until(lambda: b"7" in listener.got)
    spool.write(b"8")
    until(lambda: b"8" in listener.got)
    spool.close()
    listener.close()
    numbers = [int(payload) for payload in listener.got]
    assert numbers == sorted(numbers)  # at least once, in order; what came while nobody was subscribed is the broker's
    assert numbers[-1] == 8
    assert spool.lost == 0


def test_mqtt_nobody_there_is_a_clear_error() -> None:
    pytest.importorskip("paho.mqtt", reason="needs paho-mqtt: pip install 'reidpipe[mqtt]'")
    writer = MqttWriter(f"mqtt://me:{SECRET}@127.0.0.1:9/t", timeout_s=2)
    with pytest.raises(SinkError, match=r"MQTT broker at mqtt://127\.0\.0\.1:9 cannot be reached") as caught:
        writer.write(b"x")
    assert SECRET not in str(caught.value)
    writer.close()


def test_stdout_gives_whole_lines_to_a_slow_reader_and_says_when_nobody_reads() -> None:
    reading, writing = os.pipe()
    spool = LineSpool(StdoutWriter(writing))
    lines = [bytes([65 + number % 26]) * 5000 for number in range(40)]  # more than a pipe holds
    for line in lines:
        spool.write(line)
    got = b""
    while got.count(b"\n") < len(lines):
        got += os.read(reading, 3000)
    assert got.splitlines() == lines
    os.close(reading)
    with pytest.raises(SinkError, match="standard output"):
        StdoutWriter(writing).write(b"more")
    spool.close()
    os.close(writing)


def test_stdout_of_a_pipe_that_does_not_block_waits() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    spool = LineSpool(StdoutWriter(writing))
    spool.write(b"x" * 200_000)
    got = b""
    while not got.endswith(b"\n"):
        got += os.read(reading, 65536)
    assert got == b"x" * 200_000 + b"\n"
    spool.close()
    os.close(reading)
    os.close(writing)
