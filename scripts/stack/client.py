"""A client of docket that is careful: a write carries a key of its own and is sent again until it is answered."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

#: Answers that say "not now".
AGAIN = {429, 502, 503, 504}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401, what an answer holds is for its reader to say
        """The body."""
        return json.loads(self.body or b"null")


def ask(url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
    """One request; every status is an answer."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})  # noqa: S310, addresses of the test
    try:
        with urllib.request.urlopen(request, timeout=35) as answer:  # noqa: S310
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@dataclass
class Client:
    """Speaks with one docket for one key."""

    url: str
    key: str
    patience: float = 60.0
    repeated: int = 0
    times: list[float] = field(default_factory=list[float])

    def call(self, method: str, path: str, body: object = None, **more: str) -> Answer:
        """Sends it, and again when it failed on the way; a write under one Idempotency-Key, so that it happens once."""
        headers = {"Authorization": f"Bearer {self.key}", **{k.replace("_", "-"): v for k, v in more.items()}}
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid.uuid4().hex)
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        until = time.monotonic() + self.patience
        while True:
            started = time.monotonic()
            answer: Answer | None
            try:
                answer = ask(self.url + path, method, headers, data)
            except OSError:
                answer = None
            # 409 to a repetition: the first one is still being worked on.
            unsettled = answer is not None and answer.status == 409 and b"idempotency" in answer.body
            if answer is not None and answer.status not in AGAIN and not unsettled:
                self.times.append(time.monotonic() - started)
                return answer
            if time.monotonic() > until:
                raise OSError(f"{method} {path} was not answered within {self.patience:.0f} s: {answer}")
            self.repeated += 1
            time.sleep(0.1)

    def create(self, **more: object) -> tuple[str, str]:
        """A new case: its id and its version."""
        case = {
            "title": "Pilot ladder worn",
            "narrative": "The ladder failed twice in a week; the manropes were found worn, too.",
            "respondent": "Verity Dredging BV",
            "case_type": "inspection",
            "severity": "medium",
            **more,
        }
        answer = self.call("POST", "/v1/cases", case)
        if answer.status != 201:
            raise ValueError(f"a case was not created: {answer.status} {answer.body[:300]!r}")
        return str(answer.json()["id"]), answer.headers["etag"]

    def command(self, case: str, version: str, command: str, **more: object) -> Answer:
        """A step of a case."""
        body = {"command": command, **more}
        return self.call("POST", f"/v1/cases/{case}/transitions", body, If_Match=version)

    def upload(self, name: str, content: bytes, media_type: str, collection: str = "default") -> str:
        """Brings a document; gives its id."""
        boundary = uuid.uuid4().hex
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="collection"\r\n\r\n{collection}\r\n'.encode()]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts += [f"{head}Content-Type: {media_type}\r\n\r\n".encode(), content, f"\r\n--{boundary}--\r\n".encode()]
        answer = self.call(
            "POST", "/v1/documents", b"".join(parts), Content_Type=f"multipart/form-data; boundary={boundary}"
        )
        if answer.status not in {200, 201, 202}:
            raise ValueError(f"{name} was not taken: {answer.status} {answer.body[:300]!r}")
        return str(answer.json()["id"])

    def feed(self, after: str | None = None) -> tuple[set[str], str]:
        """The cases of which the change feed tells since then, read to its end, and where to go on."""
        cases: set[str] = set()
        while True:
            query = "limit=200" if after is None else f"limit=200&after={after}"
            page = self.call("GET", f"/v1/events?{query}").json()
            cases |= {str(event["subject"]).rpartition("/")[2] for event in page["items"]}
            after = str(page.get("next") or page["resume"])
            if not page.get("next"):
                return cases, after
