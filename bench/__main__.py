"""`python -m bench`: seeds a database, starts the service, measures, writes the report."""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import answers, bulk, embedding, explain, jobs, lists, plugins, relay, retrieval, tracing, writes
from bench.database import Database
from bench.report import Report
from bench.service import docket

#: The goals for memory are those of a service without the embedding model; the rows of search and answers have it.
WITHOUT_MODEL = {"DOCKET_EMBEDDING__MODEL_DIR": "/nonexistent"}


def main() -> int:
    """Runs the whole benchmark; the exit code says whether every target was reached."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50,000 cases and short runs: under two minutes")
    parser.add_argument("--cases", type=int, help="cases to list and search (default 1,000,000; quick: 50,000)")
    parser.add_argument("--data", type=Path, help="keep the seeded database here and use it again")
    options = parser.parse_args()
    cases: int = options.cases or (50_000 if options.quick else 1_000_000)
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "-p", "docket-load"], check=True)
    paces = [part for name in ("relay", "embed", "plugin") for part in ("--example", f"{name}_pace")]
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", *paces], check=True)
    kept: Path | None = options.data
    if kept is None:
        Path(".docket").mkdir(exist_ok=True)
    directory = kept or Path(tempfile.mkdtemp(prefix="bench-", dir=".docket"))
    try:
        return run(directory.absolute(), cases, quick=options.quick)
    finally:
        if kept is None:
            shutil.rmtree(directory, ignore_errors=True)


def run(directory: Path, cases: int, *, quick: bool) -> int:
    """Everything, in a directory that holds data and logs."""
    data_dir = directory / "data"
    directory.mkdir(parents=True, exist_ok=True)
    seeded = directory / "seeded"
    with docket(data_dir) as service:
        database = Database.of(data_dir)
        if not seeded.exists():
            print(f"seeding {cases:,} cases", flush=True)
            database.seed(cases)
            seeded.touch()
    report = Report()
    starts: list[float] = []
    for _ in range(3):
        with docket(data_dir, WITHOUT_MODEL) as service:
            starts.append(service.ready_seconds)
    report.at_most("start to ready, embedded server initialised", statistics.median(starts), "s", 3)
    with docket(data_dir, WITHOUT_MODEL) as service:
        database = Database.of(data_dir)
        report.at_most("idle memory", service.resident_mib(), "MiB", 64)
        writes.measure(report, database, service, data_dir, quick=quick)
        measure_lists(report, database, service.address, cases, quick=quick)
        report.at_most("memory after the load", service.resident_mib(), "MiB", 150)
    # The queue is measured against workers in processes of their own, beside a service that works on no jobs itself.
    with docket(data_dir, {"DOCKET_SERVER__ROLE": "api"}):
        jobs.measure(report, Database.of(data_dir), data_dir, quick=quick)
    relay.measure(report, directory, quick=quick)
    bulk.measure(report, directory, quick=quick)
    tracing.measure(report, directory, quick=quick)
    embedding.measure(report, quick=quick)
    retrieval.measure(report, directory, quick=quick)
    plugins.measure(report, directory, quick=quick)
    answers.measure(report, directory, quick=quick)
    command = "python -m bench --quick" if quick else "make bench"
    reached = report.write(command, cases)
    print("bench-report.json, docs/performance.md written" + ("" if reached else "; some targets were missed"))
    return 0 if reached else 1


def measure_lists(report: Report, database: Database, address: str, cases: int, *, quick: bool) -> None:
    """Lists, searches, the walk to the last page, and the plans."""
    large, small = lists.corpus.tenants()[0], lists.corpus.tenants()[1]
    worst: dict[str, float] = {}
    for group, kind, role, load in lists.measure(address, large, 0.15 if quick else 1.0):
        worst[f"{group}: {kind}"] = max(worst.get(f"{group}: {kind}", 0), load.p95_ms)
        if role == "reporter":
            report.at_most(f"{group}: {kind}, p95, worst of three roles", worst[f"{group}: {kind}"], "ms", 25)
    pages, first, last = lists.walk(address, small.supervisor.key)
    report.fact(f"first 50 of {pages} pages, median", first, "ms")
    report.at_most("last 50 of these pages, median", last, "ms", max(first * 1.25, first + 0.5))
    if not quick:
        explain.write(database, address, large, cases)


if __name__ == "__main__":
    sys.exit(main())
