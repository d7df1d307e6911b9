"""What it costs to export every span: the transition with traces at 100 % against the same service without."""

from __future__ import annotations

import statistics
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from bench import corpus, load_generator
from bench.database import Database
from bench.report import Report
from bench.service import Program, alone, docket, serving
from bench.writes import CASES


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """Two processes on one database take turns; spans go to a collector that only counts their bytes."""
    data_dir = directory / "tracing" / "data"
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    seconds, rounds = (3, 3) if quick else (10, 5)
    role = {"DOCKET_SERVER__ROLE": "api"}
    with _collector() as (url, sizes), docket(data_dir, role) as plain:
        Database.of(data_dir).seed(2_000)
        with docket(data_dir, {**role, "DOCKET_TELEMETRY__OTLP_ENDPOINT": url}) as traced:
            for service in (plain, traced):
                _transitions(service, seconds / 2)
            measured = [(_transitions(plain, seconds), _transitions(traced, seconds)) for _ in range(rounds)]
    if not sizes:
        raise RuntimeError("the collector got no spans")
    ratio = statistics.median(traced[0] / plain[0] for plain, traced in measured)
    rate = statistics.mean(traced[0] for _, traced in measured)
    more = statistics.median(traced[1] - plain[1] for plain, traced in measured)
    report.at_least("transition, every span exported", rate, "/s", (ratio, 0.9, "without traces"))
    report.fact("CPU of the service for the spans of a transition", more, "us")


def _transitions(service: Program, seconds: float) -> tuple[float, float]:
    """Transitions a second, and microseconds of the service for each."""
    key = corpus.tenants()[-1].supervisor.key
    work: dict[str, Any] = {
        "kind": "transition",
        "cases": [str(corpus.load_case_id(number)) for number in range(CASES)],
    }
    spent = service.cpu_seconds()
    run = load_generator.run(service.address, key, work, seconds)
    return run.requests_per_second, (service.cpu_seconds() - spent) * 1e6 / run.requests


@contextmanager
def _collector() -> Generator[tuple[str, list[int]]]:
    """Takes traces by OTLP over HTTP: its address, and the sizes of what it got."""
    sizes: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Counts and thanks."""
            sizes.append(len(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

    with serving(Handler) as url:
        yield url, sizes


def main() -> None:
    """Traces alone: `python -m bench.tracing [--quick]`; the programs must be built."""
    with alone("tracing") as (directory, quick):
        measure(Report(), directory, quick=quick)


if __name__ == "__main__":
    main()
