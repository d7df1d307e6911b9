"""The relay: events a second, lag, and how long after its commit a webhook hears of an event."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from bench.report import Report, percentile
from bench.service import Program, alone, docket, serving

PACE = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "examples" / "relay_pace"
EVENTS_A_SECOND = 20_000
SETTINGS = {"DOCKET_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]', "DOCKET_WEBHOOKS__ALLOW_HTTP": "true"}


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """The relay by itself on a server of its own, then two processes that share the work of a demonstration."""
    _pace(report, events=20_000 if quick else 100_000, behind=200_000 if quick else 1_000_000)
    with _hearing() as (url, heard):
        for hints, name, half, most in ((True, "with hints", 15, 60), (False, "by polling alone", None, 1_200)):
            with _two_processes(directory, hints=hints) as (service, keys):
                hook = _call(service, keys["admin"], "/v1/webhooks", {"name": f"bench {name}", "url": url})
                rounds = (20 if quick else 200) if hints else (5 if quick else 20)
                waits = _waits(service, keys["reporter"], heard, rounds)
                _call(service, keys["admin"], f"/v1/webhooks/{hook['id']}", None)
            middle, last = percentile(waits, 0.5), percentile(waits, 0.99)
            row = f"commit to webhook, two processes, {name}"
            if half is None:
                report.fact(f"{row}, p50", middle, "ms")
            else:
                report.at_most(f"{row}, p50", middle, "ms", half)
            report.at_most(f"{row}, p99", last, "ms", most)


def _pace(report: Report, *, events: int, behind: int) -> None:
    with tempfile.TemporaryDirectory(prefix="relay-", dir=".docket") as directory:
        command = [
            str(PACE),
            f"{Path(directory).absolute()}/postgres",
            "--events",
            str(events),
            "--behind",
            str(behind),
        ]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    if found["reordered"]:
        raise RuntimeError(f"{found['reordered']} events were handed on out of order")
    rate, later = found["events_per_second"], found["events_per_second_with_those_behind"]
    report.rate("relay to a sink in the process", rate, EVENTS_A_SECOND)
    report.at_least(
        f"relay, {events + behind:,} delivered events behind it", later, "1/s", (later / rate, 0.9, "without")
    )
    report.at_most("relay, lag at 2,000 events/s, p99", found["lag_p99_ms_at_2000_per_second"], "ms", 250)
    report.at_most("commit to sender, idle, with hints, p50", found["idle_hint_p50_ms"], "ms", 15)
    report.at_most("commit to sender, idle, with hints, p99", found["idle_hint_p99_ms"], "ms", 60)
    report.at_most("commit to sender, idle, by polling alone, p99", found["idle_poll_p99_ms"], "ms", 1_200)


@contextmanager
def _two_processes(directory: Path, *, hints: bool) -> Generator[tuple[Program, dict[str, str]]]:
    """One process that answers requests and one that does everything else; the keys of a tenant by role."""
    data_dir = directory / f"relay-{'hints' if hints else 'polling'}" / "data"
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    settings = {**SETTINGS, "DOCKET_RELAY__HINTS": str(hints).lower()}
    api = docket(data_dir, {**settings, "DOCKET_SERVER__ROLE": "api"}, "demo", "--no-documents")
    with api, docket(data_dir, {**settings, "DOCKET_SERVER__ROLE": "worker"}):
        demo = json.loads((data_dir / "demo.json").read_text(encoding="utf-8"))
        # Deadlines of the demonstration's cases and the first schedules are dealt with in the first seconds.
        time.sleep(5)
        yield api, demo["tenants"][0]["keys"]


def _waits(service: Program, key: str, heard: dict[str, float], rounds: int) -> list[float]:
    """Milliseconds from the time that an event bears, which is before its commit, to its arrival at the webhook."""
    waits: list[float] = []
    for turn in range(rounds + 3):
        title = f"A gauge that shows nothing, {uuid.uuid4()}"
        case = _call(service, key, "/v1/cases", {
            "title": title, "narrative": "Reads zero at any pressure.", "respondent": "Northgate Pilots",
            "case_type": "gauge", "severity": "low", "confidentiality": "internal",
        })  # fmt: skip
        subject: str = case["id"]
        until = time.monotonic() + 30
        while subject not in heard:
            if time.monotonic() > until:
                raise RuntimeError(f"the webhook was not told of {subject}")
            time.sleep(0.001)
        # The first ones open connections.
        if turn >= 3:
            waits.append(heard[subject])
        time.sleep(0.03 + 0.037 * (turn % 7))
    return waits


@contextmanager
def _hearing() -> Generator[tuple[str, dict[str, float]]]:
    """A webhook receiver: its address, and for the subject of each event how late it arrived, in milliseconds."""
    heard: dict[str, float] = {}

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            arrived = time.time()
            event: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()
            late = (arrived - datetime.fromisoformat(event["time"]).timestamp()) * 1_000
            heard.setdefault(event["subject"], late)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

    with serving(Receiver) as url:
        yield f"{url}/", heard


def _call(service: Program, key: str, path: str, body: dict[str, object] | None) -> dict[str, Any]:
    """Posts a body, or deletes when there is none."""
    headers = {
        "authorization": f"Bearer {key}", "content-type": "application/json", "idempotency-key": str(uuid.uuid4())
    }  # fmt: skip
    request = urllib.request.Request(
        f"http://{service.address}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers=headers,
        method="DELETE" if body is None else "POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - an address of this machine
        text = answer.read()
    return json.loads(text) if text else {}


def main() -> None:
    """The relay alone: `python -m bench.relay [--quick]`; the programs must be built."""
    with alone("relay") as (directory, quick):
        measure(Report(), directory, quick=quick)


if __name__ == "__main__":
    main()
