"""A client with one connection, which stays open."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Client:
    """Speaks to a server with one key."""

    def __init__(self, address: str, key: str) -> None:
        self._key = key
        host, _, port = address.partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=120)

    def ask(self, method: str, path: str, body: bytes | None, media_type: str) -> dict[str, Any]:
        """One request; an answer above 299 is an error."""
        found: dict[str, Any] = json.loads(self._send(method, path, body, {"content-type": media_type}).read())
        return found

    def post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        """Posts JSON."""
        return self.ask("POST", path, json.dumps(body).encode(), "application/json")

    def get(self, path: str) -> dict[str, Any]:
        """Reads."""
        return self.ask("GET", path, None, "application/json")

    def stream(self, path: str, body: dict[str, object]) -> Iterator[tuple[str, str]]:
        """Posts JSON and yields server-sent events as they come: their name and data."""
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        answer = self._send("POST", path, json.dumps(body).encode(), headers)
        name = ""
        while line := answer.readline():
            field, _, value = line.decode().rstrip("\r\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, value

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        headers = {**headers, "authorization": f"Bearer {self._key}"}
        if method == "POST":
            headers["idempotency-key"] = str(uuid.uuid4())
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        if answer.status > 299:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.read().decode()}")
        return answer


def until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for a condition."""
    ends = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > ends:
            raise RuntimeError(f"waited {seconds:g} s in vain")
        time.sleep(0.05)
