"""Plugins: the cost of a call, a second worker's worth, how long a killed one is missed, whom a hanging one delays."""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import corpus
from bench.client import Client, until
from bench.database import Database
from bench.report import Report, percentile
from bench.service import DOCKET, alone, docket

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PACE = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "examples" / "plugin_pace"
PLUGIN = Path("bench/plugin")
SCOPES = (*corpus.SCOPES, "knowledge:read", "knowledge:write")


class Pool:
    """The service's own pool of workers in a process of its own, which does what it is told."""

    def __init__(self) -> None:
        command = [str(PACE), str(DOCKET.absolute()), str(PLUGIN.absolute())]
        self._process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, what: str) -> Any:  # noqa: ANN401 - whatever was asked for
        """What it found."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends it, and its workers."""
        self._process.communicate()


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """The pool by itself, in turns with a bare pipe, then a service one of whose plugins hangs."""
    pool = Pool()
    try:
        _calls(report, pool, turns=5 if quick else 20)
        _computing(report, pool, turns=3 if quick else 5)
        missed = [float(pool("kill")) for _ in range(10 if quick else 30)]
    finally:
        pool.close()
    report.at_most(f"plugin: killed worker replaced, median of {len(missed)}", statistics.median(missed), "ms", 250)
    report.fact(f"plugin: killed worker replaced, longest of {len(missed)}", max(missed), "ms")
    _hang(report, directory, requests=500 if quick else 2_000)


def _calls(report: Report, pool: Pool, turns: int) -> None:
    """Calls of 1 KB, a thousand in turn with as many of Python's own pipe: the least that crossing processes costs."""
    pool("calls")
    ours: list[float] = []
    pipe: list[float] = []
    here, there = multiprocessing.Pipe()
    echo = multiprocessing.Process(target=_echo, args=(there,), daemon=True)
    echo.start()
    for _ in range(turns):
        ours.extend(pool("calls"))
        pipe.extend(_over_pipe(here))
    echo.terminate()
    for part, most, times in ((0.5, 150, 2.0), (0.99, 500, 4.0)):
        name, reached, least = f"p{part * 100:.0f}", percentile(ours, part), percentile(pipe, part)
        report.fact(f"plugin: bare pipe to Python and back, 1 KB of JSON, {name}", least, "us")
        report.at_most(f"plugin: call of 1 KB, {name}", reached, "us", most)
        report.times(
            f"plugin: call of 1 KB, {name}, beside the pipe", reached, "us", (reached / least, times, "a pipe")
        )


def _echo(connection: Connection) -> None:
    while True:
        record = json.loads(connection.recv_bytes())
        connection.send_bytes(json.dumps({**record, "pid": os.getpid()}).encode())


def _over_pipe(connection: Connection) -> list[float]:
    """Microseconds of each of a thousand records of 1 KB, there and back."""
    record = {"title": "Unlit buoy", "narrative": "x" * 990}
    found: list[float] = []
    for _ in range(1_000):
        began = time.perf_counter()
        connection.send_bytes(json.dumps(record).encode())
        json.loads(connection.recv_bytes())
        found.append((time.perf_counter() - began) * 1e6)
    return found


def _computing(report: Report, pool: Pool, turns: int) -> None:
    # The first call starts the second pool's workers.
    pool("compute on two")
    found = [(float(pool("compute on one")), float(pool("compute on two"))) for _ in range(turns)]
    one, two = (statistics.median(side) for side in zip(*found, strict=True))
    report.at_least("plugin: computing calls on two workers", two, "1/s", (two / one, 1.7, "one worker"))


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
