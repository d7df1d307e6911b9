"""Plugins: the cost of a call, a second worker's worth, how long a killed one is missed, whom a hanging one delays."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from bench import corpus
from bench.client import Client, until
from bench.database import Database
from bench.report import Report, percentile
from bench.service import DOCKET, alone, docket

PACE = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "examples" / "plugin_pace"
PLUGIN = Path("bench/plugin")
SCOPES = (*corpus.SCOPES, "knowledge:read", "knowledge:write")


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """The pool by itself, then a service one of whose plugins hangs."""
    command = [str(PACE), str(DOCKET.absolute()), str(PLUGIN.absolute())]
    if quick:
        command += ["--calls", "5000", "--kills", "10", "--rounds", "3"]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout)
    report.at_most("plugin: call of 1 KB, p50", percentile(found["call_us"], 0.5), "us", 150)
    report.at_most("plugin: call of 1 KB, p99", percentile(found["call_us"], 0.99), "us", 500)
    one, two = statistics.median(found["one_worker_per_second"]), statistics.median(found["two_workers_per_second"])
    report.at_least("plugin: computing calls on two workers", two, "1/s", (two / one, 1.7, "one worker"))
    missed = found["replaced_ms"]
    report.at_most(f"plugin: killed worker replaced, median of {len(missed)}", statistics.median(missed), "ms", 250)
    report.fact(f"plugin: killed worker replaced, longest of {len(missed)}", max(missed), "ms")
    _hang(report, directory, requests=500 if quick else 2_000)


def _hang(report: Report, directory: Path, *, requests: int) -> None:
    """Reads of cases before both workers hang in a parser, and while they do."""
    data_dir = directory / "plugins" / "data"
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    settings = {"DOCKET_PLUGINS__PATH": str(PLUGIN.absolute()), "DOCKET_PLUGINS__DEADLINE_MS": "600000"}
    with docket(data_dir, settings) as service:
        tenant = corpus.tenants()[0]
        Database.of(data_dir).run(corpus.seed_sql([tenant], SCOPES))
        client = Client(service.address, tenant.caseworkers[0].key)
        _waits(client, requests // 4)
        before = _waits(client, requests)
        for number in range(2):
            _upload(client, f"hangs-{number}.txt")
        until(lambda: _hanging(client) == 2)
        during = _waits(client, requests)
        if _hanging(client) != 2:
            raise RuntimeError("the plugins did not hang until the end")
    calm, later = percentile(before, 0.99), percentile(during, 0.99)
    report.fact("plugin: other requests before any hangs, p99", calm, "ms")
    # Times of a millisecond are mostly the machine's; twice as long, or one more, is noticed.
    report.at_most(
        "plugin: other requests while both workers hang, p99", later, "ms", round(max(2 * calm, calm + 1), 2)
    )


def _waits(client: Client, requests: int) -> list[float]:
    """Milliseconds of so many reads of a list, one after the other."""
    found: list[float] = []
    for _ in range(requests):
        began = time.perf_counter()
        client.get("/v1/cases?limit=10")
        found.append((time.perf_counter() - began) * 1_000)
    return found


def _hanging(client: Client) -> int:
    """Documents that are being read."""
    documents = client.get("/v1/documents?limit=10")["items"]
    return sum(document["status"] == "processing" for document in documents)


def _upload(client: Client, name: str) -> None:
    boundary = "bench"
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
        f"content-type: text/plain\r\n\r\nA text that nobody reads: {name}.\r\n",
        f"--{boundary}--\r\n",
    ]
    client.ask("POST", "/v1/documents", "".join(parts).encode(), f"multipart/form-data; boundary={boundary}")


def main() -> None:
    """Plugins alone: `python -m bench.plugins [--quick]`; the programs must be built."""
    with alone("plugins") as (directory, quick):
        measure(Report(), directory, quick=quick)


if __name__ == "__main__":
    main()
