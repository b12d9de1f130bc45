"""Lines to other programs: a webhook, an MQTT broker, standard output, each behind a ``LineSpool``: nobody waits.

    LineSpool(WebhookWriter("https://hooks.example/people"), limit=10_000)
    LineSpool(MqttWriter("mqtt://broker:1883/site/events"), limit=10_000)

A line that cannot be delivered is tried again until it can, in order; how many may wait is the spool's matter.
"""

from __future__ import annotations

import base64
import http.client
import os
import select
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from reidpipe.errors import ConfigError, MissingExtraError, SinkError

__all__ = ["STDOUT", "MqttWriter", "StdoutWriter", "WebhookWriter", "open_remote", "shown_address"]

STDOUT = "-"

_TIMEOUT_S = 5.0
_MQTT_PORT = 1883
_MQTTS_PORT = 8883
_WEBHOOKS = ("http", "https")
_BROKERS = ("mqtt", "mqtts")


def open_remote(address: str, *, environment: Mapping[str, str] = os.environ) -> WebhookWriter | MqttWriter:
    """The writer for an address, by its scheme.

    Raises:
        ConfigError: the scheme is none of http, https, mqtt, mqtts, or a part is missing.
        MissingExtraError: MQTT without the package.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in _WEBHOOKS:
        return WebhookWriter(address, token=environment.get("REIDPIPE_WEBHOOK_TOKEN"))
    if scheme in _BROKERS:
        return MqttWriter(address)
    raise ConfigError(f"events go to http://, https://, mqtt:// or mqtts:// addresses, not to {shown_address(address)}")


class StdoutWriter:
    """Lines to standard output, or another open file, each written at once: for a program that reads them by a pipe.

    Args:
        descriptor: of the file; not closed with this.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor

    def write(self, line: bytes) -> None:
        """Write one line, all of it; waits for a reader that is slow.

        Raises:
            SinkError: nobody reads any more.
        """
        left = memoryview(line + b"\n")
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # a pipe that somebody set not to block
                    select.select([], [self._descriptor], [])
        except OSError as error:
            raise SinkError(f"standard output cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Nothing is held back."""


def shown_address(address: str) -> str:
    """The address as it may be shown: scheme, host and port. The paths of many webhooks are secrets themselves."""
    if address == STDOUT:
        return address
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that cannot be read"
    place = f"{parts.scheme}://{host}" if parts.scheme else host
    return f"{place}:{port}" if port else place


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """A redirect would take the token to another host."""


class WebhookWriter:
    """Posts each line as ``application/json``; any 2xx answer is delivery.

    Args:
        address: ``http://...`` or ``https://...``; a user and password in it become basic authentication.
        token: sent as bearer authentication.
        timeout_s: of each attempt, seconds.

    Raises:
        ConfigError: no host in the address.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        parts = urlsplit(address)
        if parts.scheme.lower() not in _WEBHOOKS or not parts.hostname:
            raise ConfigError(f"a webhook is an http:// or https:// address, got {shown_address(address)}")
        self._shown = shown_address(address)
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json", "User-Agent": "reidpipe"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        elif parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        self._opener = urllib.request.build_opener(_NoRedirects)

    def write(self, line: bytes) -> None:
        """Deliver one line.

        Raises:
            SinkError: it was not taken; the message shows no more of the address than its host.
        """
        request = urllib.request.Request(self._url, data=line, headers=self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            error.close()
            raise SinkError(f"the webhook at {self._shown} answers {error.code}") from None
        except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
            raise SinkError(f"the webhook at {self._shown} cannot be reached: {_why(error)}") from None

    def close(self) -> None:
        """Nothing is open between two lines."""


class MqttWriter:
    """Publishes each line with quality of service 1: delivered at least once, in order.

    Args:
        address: ``mqtt://user:password@host:1883/topic``; ``mqtts`` for TLS.
        timeout_s: of each attempt, seconds.

    Raises:
        ConfigError: no host or no topic in the address.
        MissingExtraError: paho-mqtt is not installed.
    """

    def __init__(self, address: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        parts = urlsplit(address)
        self._topic = unquote(parts.path.strip("/"))
        if parts.scheme.lower() not in _BROKERS or not parts.hostname or not self._topic:
            raise ConfigError(f"MQTT takes mqtt://host:1883/topic, got {shown_address(address)}")
        if "+" in self._topic or "#" in self._topic:
            raise ConfigError("the topic of an MQTT address may not hold + or #")
        try:
            from paho.mqtt import client as mqtt
        except ImportError as error:
            raise MissingExtraError("paho.mqtt", extra="mqtt", why="an mqtt:// address") from error
        self._shown = shown_address(address)
        self._timeout_s = timeout_s
        secure = parts.scheme.lower() == "mqtts"
        self._place = (parts.hostname, parts.port or (_MQTTS_PORT if secure else _MQTT_PORT))
        self._mqtt: Any = mqtt
        self._secure = secure
        self._user = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
        self._client: Any = None

    def write(self, line: bytes) -> None:
        """Deliver one line.

        Raises:
            SinkError: the broker did not take it in time.
        """
        try:
            client = self._connected()
            sent = client.publish(self._topic, line, qos=1)
            sent.wait_for_publish(self._timeout_s)
            delivered = sent.is_published()
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise SinkError(f"the MQTT broker at {self._shown} cannot be reached: {_why(error)}") from None
        if not delivered:
            # Anew: what is still on its way in this connection would come twice.
            self.close()
            raise SinkError(f"the MQTT broker at {self._shown} did not take a message in {self._timeout_s:g} s")

    def _connected(self) -> Any:
        """The client, connected; a new one when the last one is not."""
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        client = self._mqtt.Client(self._mqtt.CallbackAPIVersion.VERSION2, protocol=self._mqtt.MQTTv311)
        client.connect_timeout = self._timeout_s
        if self._user is not None:
            client.username_pw_set(*self._user)
        if self._secure:
            client.tls_set()
        answered = threading.Event()
        refused: list[str] = []

        def on_connect(_client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason))
            answered.set()

        client.on_connect = on_connect
        self._client = client
        client.connect(*self._place)
        client.loop_start()
        if not answered.wait(self._timeout_s):
            raise TimeoutError(f"no answer in {self._timeout_s:g} s")
        if refused:
            raise ConnectionRefusedError(refused[0])
        return client

    def close(self) -> None:
        """End the connection. May be called twice."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()


def _why(error: BaseException) -> str:
    """What went wrong, in one line and without an address."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError | socket.timeout):
        return "no answer in time"
    if isinstance(reason, socket.gaierror):
        return "its name is not known"
    text = getattr(reason, "strerror", None) or type(reason).__name__
    return str(text).splitlines()[0]
