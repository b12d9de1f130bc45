"""Somebody at the status page of a run, through its API."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

TOKEN = "s3cret"


class Operator:
    """Knows where the page is, and the token."""

    def __init__(self, place: str) -> None:
        self._url = f"http://{place}/api"

    def tell(self, verb: str, name: str, **more: str) -> bool:
        """Add, pause, ... a camera; True when that will outlive the run. What is refused raises ``HTTPError``."""
        body = json.dumps({"camera": name, **more}).encode()
        headers = {"X-Reidpipe": "1", "Authorization": f"Bearer {TOKEN}"}
        with urlopen(Request(f"{self._url}/cameras/{verb}", body, headers), timeout=20) as answer:
            return bool(json.load(answer)["kept"])

    def states(self) -> dict[str, str]:
        asked = Request(f"{self._url}/state", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(asked, timeout=20) as answer:
            return {one["camera"]: one["state"] for one in json.load(answer)["cameras"]}
