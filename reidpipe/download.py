"""Getting model files over HTTP: resumed where they broke off, checked before they get their name.

What is trusted:

* a model of the manifest has its sha256 there: the file is that one, or it is thrown away. Some files of Torchreid's
  zoo are in it with the sha256 that several independent projects pin for them;
* any other file of a Hugging Face repository (``owner/repo/file``) has none. The hub states one (``X-Linked-Etag``),
  which shows that the transfer was whole, not that the file is what the authors once published. So either the caller
  brings the sha256 from elsewhere, or says ``trust_first_use``: then the first one is written down, and a file that
  differs later is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from reidpipe.errors import WeightsError
from reidpipe.weights import ModelEntry, check_file, entry, file_sha256, find_file, user_folder

__all__ = ["Progress", "download", "fetch", "fetch_hub", "is_hub_name"]

Progress = Callable[[int, int | None], None]
"""Called with bytes so far and bytes in all (None when the server does not say)."""

_CHUNK = 1 << 18
_TRUST_FILE = "trusted.json"
_HUB_NAME = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[\w./-]+)$")


def fetch(
    name: str,
    *,
    folder: Path | None = None,
    sha256: str | None = None,
    trust_first_use: bool = False,
    timeout_s: float = 30.0,
    progress: Progress | None = None,
) -> Path:
    """Get a model onto this machine; nothing is fetched when it is already there and whole.

    Args:
        name: of the manifest, or ``owner/repo/file`` on Hugging Face.
        folder: where to put it; default: ``weights.user_folder()``.
        sha256: of the file, when the manifest has none (hub names).
        trust_first_use: take a hub file whose sha256 nobody brought, and remember it.
        timeout_s: seconds without a byte before giving up.
        progress: called after each piece.

    Returns:
        The file.

    Raises:
        WeightsError: unknown name, no network (the message says which file goes where), not found, or a wrong checksum.
    """
    folder = user_folder() if folder is None else folder
    if is_hub_name(name):
        return fetch_hub(
            name, folder=folder, sha256=sha256, trust_first_use=trust_first_use, timeout_s=timeout_s, progress=progress
        )
    model = entry(name)
    present = find_file(model)
    if present is not None and file_sha256(present) == model.sha256:
        return present
    if not model.urls:
        raise WeightsError(f"the model {name} has no address to fetch it from: put the file {model.file} into {folder}")
    return _fetch_entry(model, folder / model.file, timeout_s=timeout_s, progress=progress)


def fetch_hub(
    name: str,
    *,
    folder: Path,
    sha256: str | None = None,
    trust_first_use: bool = False,
    timeout_s: float = 30.0,
    progress: Progress | None = None,
) -> Path:
    """Get ``owner/repo/file`` from Hugging Face (or ``$HF_ENDPOINT``); see ``fetch``."""
    match = _HUB_NAME.match(name)
    if match is None:
        raise WeightsError(f"{name!r} is no hub name: owner/repo/file, for instance kaiyangzhou/osnet/FILE.pth")
    target = folder / match["repo"].replace("/", "--") / Path(match["file"]).name
    expected = sha256.lower() if sha256 else _trusted(folder).get(name)
    if expected is not None and target.is_file() and file_sha256(target) == expected:
        return target
    if expected is None and not trust_first_use:
        raise WeightsError(
            f"{name}: nobody vouches for this file: give its sha256 (--sha256), or take what the hub sends"
            " now and remember it (--trust-first-use)"
        )
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{endpoint}/{match['repo']}/resolve/main/{match['file']}"
    found = download(url, target, sha256=expected, timeout_s=timeout_s, progress=progress, hub=True)
    if sha256 is None:
        _trust(folder, name, found)
    return target


def is_hub_name(name: str) -> bool:
    """Whether this is ``owner/repo/file``."""
    return _HUB_NAME.match(name) is not None


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    size: int | None = None,
    timeout_s: float = 30.0,
    progress: Progress | None = None,
    hub: bool = False,
) -> str:
    """Fetch one file. A broken transfer stays as ``<target>.part`` and is continued by the next call.

    Args:
        url: http or https.
        target: written at once (renamed) when the checksum is right; an old file stays until then.
        sha256: lower-case hex; None takes what comes.
        size: bytes, when known.
        timeout_s: seconds without a byte before giving up.
        progress: called after each piece.
        hub: ask the server for its own sha256 first (Hugging Face) and hold the transfer against it.

    Returns:
        The sha256 of the file.

    Raises:
        WeightsError: with the address, and where the file would go.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        expected = sha256 or (_hub_sha256(url, timeout_s) if hub else None)
        resumed = _transfer(url, part, size=size, timeout_s=timeout_s, progress=progress)
        found = file_sha256(part)
        if resumed and expected is not None and found != expected:
            part.unlink()  # the piece that lay there was of another file: once more, from the start
            _transfer(url, part, size=size, timeout_s=timeout_s, progress=progress)
            found = file_sha256(part)
    except urllib.error.HTTPError as error:
        error.close()
        raise WeightsError(f"{url}: the server says {error.code} {error.reason}; {_by_hand(target)}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"{url}: cannot be fetched ({reason}); run it again to continue, or {_by_hand(target)}"
        ) from error
    except OSError as error:
        raise WeightsError(f"{target}: cannot be written ({error.strerror or error})") from error
    if expected is not None and found != expected:
        part.unlink()
        raise WeightsError(f"{url}: wrong sha256 {found[:12]}..., expected {expected[:12]}...; nothing was kept")
    part.replace(target)
    return found


def _fetch_entry(model: ModelEntry, target: Path, *, timeout_s: float, progress: Progress | None) -> Path:
    """Try each address; the last one's error is told when all fail."""
    for last, url in enumerate(model.urls, start=1 - len(model.urls)):
        try:
            download(url, target, sha256=model.sha256, size=model.size, timeout_s=timeout_s, progress=progress)
            break
        except WeightsError:
            if last == 0:
                raise
    check_file(model, target)
    return target


def _transfer(url: str, part: Path, *, size: int | None, timeout_s: float, progress: Progress | None) -> bool:
    """Fill ``part``; True when it was continued. Raises ``ConnectionError`` when fewer bytes came than promised."""
    have = part.stat().st_size if part.is_file() else 0
    if size is not None and have >= size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"User-Agent": "reidpipe", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        part.unlink()  # longer than the file, or already whole: not worth telling apart
        return _transfer(url, part, size=size, timeout_s=timeout_s, progress=progress)
    with response:
        resumed = response.status == 206 and _starts_at(response.headers, have)
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else size
        with part.open("ab" if resumed else "wb") as stream:
            done = _copy(response, stream, done, total, progress)
    if total is not None and done < total:
        raise ConnectionError(f"broke off after {done} of {total} bytes")
    return resumed


def _copy(response: Any, stream: IO[bytes], done: int, total: int | None, progress: Progress | None) -> int:
    while piece := response.read(_CHUNK):
        stream.write(piece)
        done += len(piece)
        if progress is not None:
            progress(done, total)
    return done


def _starts_at(headers: Message, offset: int) -> bool:
    return headers.get("Content-Range", "").strip().startswith(f"bytes {offset}-")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The hub tells the checksum in its own answer, before it sends us to the storage."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def _hub_sha256(url: str, timeout_s: float) -> str | None:
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "reidpipe"})
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s) as response:
            headers: Message = response.headers
    except urllib.error.HTTPError as error:
        if not 300 <= error.code < 400:
            raise
        headers = error.headers
        error.close()
    tag = (headers.get("X-Linked-Etag") or "").removeprefix("W/").strip('"').lower()
    return tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None


def _trusted(folder: Path) -> dict[str, str]:
    path = folder / _TRUST_FILE
    if not path.is_file():
        return {}
    try:
        known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise WeightsError(f"{path}: damaged; delete it to trust the files again") from error
    return known


def _trust(folder: Path, name: str, sha256: str) -> None:
    path = folder / _TRUST_FILE
    known = _trusted(folder) | {name: sha256}
    fresh = path.with_name(f"{path.name}.{hashlib.sha256(name.encode()).hexdigest()[:8]}.tmp")
    fresh.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(path)


def _by_hand(target: Path) -> str:
    return f"without a network, fetch it elsewhere and put it at {target}"
