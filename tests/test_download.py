"""Fetching, against a real HTTP server in a thread."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reidpipe import weights
from reidpipe.download import download, fetch, is_hub_name
from reidpipe.errors import WeightsError

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA = hashlib.sha256(CONTENT).hexdigest()
HUB = "kaiyangzhou/osnet/net.pth"


class Server:
    """What the server does, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.break_after: int | None = None
        self.hub_sha256: str | None = None
        self.asked: list[tuple[str, str, str | None]] = []
        self.url = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                server.asked.append(("HEAD", self.path, None))
                self.send_response(302)
                self.send_header("Location", "/storage/elsewhere")
                if server.hub_sha256:
                    self.send_header("X-Linked-Etag", f'"{server.hub_sha256}"')
                self.end_headers()

            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.asked.append(("GET", self.path, wanted))
                content = server.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                self.wfile.write(content[start : server.break_after])
                self.close_connection = True

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), state.handler())
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    state.files["/net.onnx"] = CONTENT
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "net.onnx"


def part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def gets(server: Server) -> list[str | None]:
    return [wanted for verb, _, wanted in server.asked if verb == "GET"]


def test_download_writes_the_file_and_tells_progress(server: Server, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    found = download(
        f"{server.url}/net.onnx", target, sha256=SHA, progress=lambda done, total: seen.append((done, total))
    )
    assert found == SHA
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not part(target).exists()


def test_download_refuses_a_wrong_checksum_and_keeps_nothing(server: Server, target: Path) -> None:
    with pytest.raises(WeightsError, match="wrong sha256"):
        download(f"{server.url}/net.onnx", target, sha256="0" * 64)
    assert not target.exists()
    assert not part(target).exists()


def test_download_leaves_the_old_file_until_the_new_one_is_right(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(WeightsError, match="wrong sha256"):
        download(f"{server.url}/net.onnx", target, sha256="0" * 64)
    assert target.read_bytes() == b"old"


def test_download_continues_where_it_broke_off(server: Server, target: Path) -> None:
    server.break_after = 300_000
    with pytest.raises(WeightsError, match=r"run it again to continue, or .*put it at .*net\.onnx"):
        download(f"{server.url}/net.onnx", target, sha256=SHA)
    kept = part(target).stat().st_size
    assert 0 < kept <= 300_000
    assert not target.exists()
    server.break_after = None
    download(f"{server.url}/net.onnx", target, sha256=SHA)
    assert target.read_bytes() == CONTENT
    assert gets(server) == [None, f"bytes={kept}-"]


def test_download_starts_over_when_the_server_cannot_continue(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part(target).write_bytes(CONTENT[:1000])
    server.ranges = False
    download(f"{server.url}/net.onnx", target, sha256=SHA)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"x" * 1000, b"x" * len(CONTENT), CONTENT + b"more"])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_download_starts_over_when_the_piece_is_of_another_file(
    server: Server, target: Path, stale: bytes, size: int | None
) -> None:
    target.parent.mkdir()
    part(target).write_bytes(stale)
    download(f"{server.url}/net.onnx", target, sha256=SHA, size=size)
    assert target.read_bytes() == CONTENT


def test_download_of_what_is_not_there(server: Server, target: Path) -> None:
    with pytest.raises(WeightsError, match="the server says 404") as caught:
        download(f"{server.url}/other.onnx", target, sha256=SHA)
    assert "\n" not in str(caught.value)


def test_download_without_a_network_says_which_file_goes_where(target: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot be fetched .*fetch it elsewhere and put it at .*net\.onnx"):
        download("http://127.0.0.1:9/net.onnx", target, sha256=SHA, timeout_s=2)


def test_download_to_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be written"):
        download(f"{server.url}/net.onnx", tmp_path / "file" / "net.onnx", sha256=SHA)


def manifest(urls: list[str]) -> Any:
    return weights.Manifest.model_validate(
        {
            "schema": "reidpipe.weights/1",
            "models": [
                {
                    "name": "net",
                    "file": "net.onnx",
                    "kind": "embedder",
                    "sha256": SHA,
                    "size": len(CONTENT),
                    "input_size": [256, 128],
                    "color_order": "rgb",
                    "scale": 1.0,
                    "licence": "MIT",
                    "urls": urls,
                }
            ],
        }
    )


def test_fetch_takes_the_first_address_that_works_and_then_nothing_more(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REIDPIPE_WEIGHTS", str(tmp_path))
    table = manifest([f"{server.url}/gone.onnx", f"{server.url}/net.onnx"])
    monkeypatch.setattr(weights, "load_manifest", lambda: table)
    assert fetch("net") == tmp_path / "net.onnx"
    asked = len(server.asked)
    assert asked == 2
    assert fetch("net") == tmp_path / "net.onnx"
    assert len(server.asked) == asked


def test_fetch_of_a_model_without_address_says_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REIDPIPE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "load_manifest", lambda: manifest([]))
    with pytest.raises(WeightsError, match=r"no address to fetch it from: put the file net\.onnx into"):
        fetch("net")


@pytest.fixture
def hub(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("REIDPIPE_WEIGHTS", str(tmp_path))
    server.files["/kaiyangzhou/osnet/resolve/main/net.pth"] = CONTENT
    server.hub_sha256 = SHA
    return server


def test_fetch_from_the_hub_needs_somebody_to_vouch(hub: Server) -> None:
    with pytest.raises(WeightsError, match="nobody vouches"):
        fetch(HUB)
    assert hub.asked == []


def test_fetch_from_the_hub_with_a_sha256(hub: Server, tmp_path: Path) -> None:
    path = fetch(HUB, sha256=SHA.upper())
    assert path == tmp_path / "kaiyangzhou--osnet" / "net.pth"
    assert not (tmp_path / "trusted.json").exists()
    with pytest.raises(WeightsError, match="wrong sha256"):
        fetch(HUB, sha256="0" * 64)


def test_fetch_from_the_hub_remembers_what_it_trusted(hub: Server, tmp_path: Path) -> None:
    path = fetch(HUB, trust_first_use=True)
    assert json.loads((tmp_path / "trusted.json").read_text()) == {HUB: SHA}
    asked = len(hub.asked)
    assert fetch(HUB) == path
    assert len(hub.asked) == asked
    path.unlink()
    changed = CONTENT[::-1]
    hub.files["/kaiyangzhou/osnet/resolve/main/net.pth"] = changed
    hub.hub_sha256 = hashlib.sha256(changed).hexdigest()
    with pytest.raises(WeightsError, match="wrong sha256"):
        fetch(HUB, trust_first_use=True)


def test_fetch_from_the_hub_holds_the_transfer_against_the_hubs_own_checksum(hub: Server, tmp_path: Path) -> None:
    hub.hub_sha256 = "0" * 64
    with pytest.raises(WeightsError, match="wrong sha256"):
        fetch(HUB, trust_first_use=True)
    assert not (tmp_path / "trusted.json").exists()


def test_fetch_from_the_hub_with_a_damaged_memory(hub: Server, tmp_path: Path) -> None:
    (tmp_path / "trusted.json").write_text("{")
    with pytest.raises(WeightsError, match="damaged; delete it"):
        fetch(HUB)


@pytest.mark.parametrize(
    ("name", "answer"), [(HUB, True), ("a/b/c/d.pth", True), ("osnet_x0_25", False), ("a/b", False), ("/a/b/c", False)]
)
def test_fetch_tells_hub_names(name: str, answer: bool) -> None:
    assert is_hub_name(name) is answer
