"""The job queue: jobs a second and the wait before they begin, beside named peers on the same server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg_pool import AsyncConnectionPool

from bench.database import Database, tool
from bench.report import Report
from bench.service import Program, alone, docket

GRAPHILE = Path(".tools/graphile")
LEAD_SECONDS = 2.0
ENQUEUE = """
INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
SELECT '00000000-0000-0000-0000-000000000000', uuidv7(), '{kind}', '{payload}', {lane}, {lane}, {run_at},
       '00000000-0000-0000-0000-000000000000', clock_timestamp()
FROM generate_series(1, {count})
"""
GRAPHILE_ENQUEUE = """
INSERT INTO graphile_worker._private_jobs (task_id, payload, run_at)
SELECT t.id, '{{}}', {run_at} FROM graphile_worker._private_tasks t, generate_series(1, {count})
WHERE t.identifier = 'noop'
"""
PROCRASTINATE_ENQUEUE = """
INSERT INTO procrastinate_jobs (queue_name, task_name, args, scheduled_at)
SELECT 'bench', 'noop', '{{}}', {run_at} FROM generate_series(1, {count})
"""
WAITS = """
SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
    ORDER BY extract(epoch FROM (result ->> 'began_at')::timestamptz - created_at) * 1000)
FROM docket.finished_jobs WHERE kind = 'probe' AND state = 'succeeded'
"""
NO_REPORT = '{"report": false}'


@dataclass
class Peer:
    """A worker program that says on its standard output how many jobs it has run."""

    command: list[str]
    environment: dict[str, str]
    processes: int = 1
    _running: list[subprocess.Popen[str]] = field(default_factory=list[subprocess.Popen[str]], init=False)
    _latest: list[dict[str, object]] = field(default_factory=list[dict[str, object]], init=False)

    def __enter__(self) -> Peer:
        environment = {**os.environ, **self.environment}
        for number in range(self.processes):
            process = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
            )
            self._running.append(process)
            self._latest.append({})
            threading.Thread(target=self._read, args=(number, process), daemon=True).start()
        while not all(self._latest):
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        for process in self._running:
            process.wait(30)

    def _read(self, number: int, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or []:
            if line.startswith("{"):
                self._latest[number] = json.loads(line)

    def ran(self) -> int:
        """Jobs run so far."""
        return sum(int(str(latest["ran"])) for latest in self._latest)

    def waits(self) -> list[float]:
        """How long jobs waited, in milliseconds; told at the end."""
        return [float(str(wait)) for latest in self._latest for wait in _list(latest.get("waits"))]


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


@dataclass(frozen=True)
class _Desk:
    """What the later measurements share."""

    report: Report
    database: Database
    data_dir: Path
    jobs: int


def measure(report: Report, database: Database, data_dir: Path, *, quick: bool) -> None:
    """Everything, in turns, on the server of a running service that works on no jobs itself."""
    jobs, rounds = (20_000, 2) if quick else (100_000, 3)
    database.run("DELETE FROM docket.jobs; DELETE FROM docket.finished_jobs;")
    graphile = _graphile(database) if (GRAPHILE / "node_modules").exists() else None
    procrastinate = _procrastinate(database)
    ours: list[float] = []
    theirs: list[float] = []
    slow: list[float] = []
    for _ in range(rounds):
        with _worker(data_dir) as worker:
            ours.append(_docket_rate(database, worker, jobs))
        if graphile:
            theirs.append(_graphile_rate(database, graphile, jobs))
        slow.append(_procrastinate_rate(database, procrastinate, max(jobs // 20, 1_000)))
    rate, other = statistics.median(ours), statistics.median(slow)
    if theirs:
        peer = statistics.median(theirs)
        report.fact("no-op jobs, graphile-worker (local queue, batched completion)", peer, "1/s")
        report.at_least("no-op jobs, docket", rate, "1/s", (rate / peer, 1.0, "graphile-worker"))
    report.fact("no-op jobs, procrastinate", other, "1/s")
    report.at_least("no-op jobs, docket", rate, "1/s", (rate / other, 10.0, "procrastinate"))
    desk = _Desk(report, database, data_dir, jobs)
    _latencies(report, database, data_dir, graphile, seconds=5 if quick else 30)
    _beside_a_million(desk, rounds, count=100_000 if quick else 1_000_000)
    _beside_an_idle_transaction(desk, seconds=20 if quick else 600)


def _worker(data_dir: Path) -> Program:
    """A process that works on jobs and does nothing else."""
    return docket(data_dir, {"DOCKET_SERVER__ROLE": "worker"})


def _timed(enqueue: Callable[[str], None], ran: Callable[[], int], left: Callable[[], int], jobs: int) -> float:
    """Jobs a second from when they are due until none is left: they are written before, all due at one instant."""
    begun = ran()
    due = time.time() + LEAD_SECONDS + jobs / 40_000
    enqueue(f"to_timestamp({due})")
    if time.time() > due:
        raise RuntimeError("writing the jobs took longer than planned")
    time.sleep(due - time.time())
    # The time of the look that finds nothing left, not of its end: it reads the dead rows, too, and beside a million
    # of them takes as long as the jobs.
    looked = time.time()
    while ran() - begun < jobs or left() > 0:
        time.sleep(0.05)
        looked = time.time()
    return jobs / (looked - due)


def _docket_rate(database: Database, worker: Program, jobs: int) -> float:
    def enqueue(run_at: str) -> None:
        database.run(ENQUEUE.format(kind="probe", payload=NO_REPORT, lane=3, run_at=run_at, count=jobs))

    def left() -> int:
        held = re.findall(r'^docket_jobs_held\{kind="probe"\} (\d+)', _metrics(worker), re.MULTILINE)
        due = "SELECT count(*) FROM docket.jobs WHERE kind = 'probe' AND run_at < clock_timestamp() + interval '1 h'"
        return int(database.run(due)) if not held or held == ["0"] else 1

    return _timed(enqueue, lambda: _ended(worker), left, jobs)


def _metrics(worker: Program) -> str:
    with urllib.request.urlopen(f"http://{worker.address}/metrics", timeout=10) as answer:
        return answer.read().decode()


def _ended(worker: Program) -> int:
    pattern = r'^docket_job_attempts_total\{kind="probe",outcome="succeeded"\} (\d+)'
    found = re.search(pattern, _metrics(worker), re.MULTILINE)
    return int(found.group(1)) if found else 0


def _graphile(database: Database) -> Peer:
    """graphile-worker on a database of its own on the same server; one process for each core."""
    _create(database, "bench_graphile")
    url = f"postgres://postgres@/bench_graphile?host={database.socket_directory}&port={database.port}"
    environment = {"DATABASE_URL": url, "NODE_ENV": "production", "NO_LOG_SUCCESS": "1"}
    command = ["node", str(GRAPHILE / "worker.mjs")]
    (GRAPHILE / "worker.mjs").write_bytes(Path("bench/peers/graphile/worker.mjs").read_bytes())
    peer = Peer(command, environment, processes=2)
    with peer:
        pass  # the first start writes the schema
    return Peer(command, environment, processes=2)


def _graphile_rate(database: Database, peer: Peer, jobs: int) -> float:
    target = Database(database.socket_directory, database.port, "bench_graphile")

    def enqueue(run_at: str) -> None:
        target.run(GRAPHILE_ENQUEUE.format(run_at=run_at, count=jobs))

    def left() -> int:
        return int(target.run("SELECT count(*) FROM graphile_worker._private_jobs;"))

    with Peer(peer.command, peer.environment, peer.processes) as running:
        target.run("SELECT graphile_worker.add_job('noop', '{}');")
        while left() > 0:
            time.sleep(0.05)
        return _timed(enqueue, running.ran, left, jobs)


def _procrastinate(database: Database) -> Peer:
    _create(database, "bench_procrastinate")
    where = f"host={database.socket_directory} port={database.port} dbname=bench_procrastinate user=postgres"
    command = [".venv/bin/python", "-m", "bench.peers.procrastinate_worker"]
    subprocess.run(command, env={**os.environ, "DATABASE_URL": where, "APPLY_SCHEMA": "1"}, check=True)
    return Peer(command, {"DATABASE_URL": where})


def _procrastinate_rate(database: Database, peer: Peer, jobs: int) -> float:
    target = Database(database.socket_directory, database.port, "bench_procrastinate")

    def enqueue(run_at: str) -> None:
        target.run(PROCRASTINATE_ENQUEUE.format(run_at=run_at, count=jobs))

    def left() -> int:
        return int(target.run("SELECT count(*) FROM procrastinate_jobs;"))

    with Peer(peer.command, peer.environment) as running:
        return _timed(enqueue, running.ran, left, jobs)


def _create(database: Database, name: str) -> None:
    database.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);")
    database.run(f"CREATE DATABASE {name};")


def _latencies(report: Report, database: Database, data_dir: Path, graphile: Peer | None, *, seconds: int) -> None:
    """From the commit of a job to its beginning, at 500 a second."""
    insert = ENQUEUE.format(kind="probe", payload="{}", lane=3, run_at="clock_timestamp()", count=1)
    with _worker(data_dir):
        asyncio.run(_steady(database, insert, "SELECT pg_notify('docket_jobs', '')", seconds))
        time.sleep(2)
    percentiles = database.run(WAITS)
    half, most = (float(value) for value in percentiles.strip("{}").split(","))
    database.run("DELETE FROM docket.finished_jobs;")
    report.fact("enqueue to start at 500 jobs/s, p50", half, "ms")
    report.at_most("enqueue to start at 500 jobs/s, p99", most, "ms", 25)
    if graphile is None:
        return
    target = Database(database.socket_directory, database.port, "bench_graphile")
    add = (
        "SELECT graphile_worker.add_job('noop', "
        "json_build_object('sent', extract(epoch FROM clock_timestamp()) * 1000))"
    )
    running = Peer(graphile.command, graphile.environment, graphile.processes)
    with running:
        asyncio.run(_steady(target, add, None, seconds))
        time.sleep(1)
    waits = sorted(running.waits())
    if waits:
        report.fact("the same, graphile-worker, p99", waits[len(waits) * 99 // 100], "ms")


async def _steady(database: Database, statement: str, hint: str | None, seconds: int) -> None:
    """One statement every 2 ms over a few connections; a hint after each commit."""
    where = f"host={database.socket_directory} port={database.port} dbname={database.name} user=postgres"
    pool = AsyncConnectionPool(where, min_size=8, max_size=8, open=False, kwargs={"autocommit": True})
    await pool.open(wait=True)

    async def one() -> None:
        async with pool.connection() as connection:
            await connection.execute(statement.encode())
            if hint:
                await connection.execute(hint.encode())

    began = time.monotonic()
    tasks: list[asyncio.Task[None]] = []
    for number in range(seconds * 500):
        await asyncio.sleep(max(0.0, began + number / 500 - time.monotonic()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    await pool.close()


def _beside_a_million(desk: _Desk, rounds: int, *, count: int) -> None:
    """Rows that wait beside: half of the same kind and due tomorrow, half due but of a kind that nobody handles."""
    report, database, data_dir, jobs = desk.report, desk.database, desk.data_dir, desk.jobs
    bare: list[float] = []
    beside: list[float] = []
    for _ in range(rounds):
        with _worker(data_dir) as worker:
            bare.append(_docket_rate(database, worker, jobs))
        tomorrow = "clock_timestamp() + interval '1 day'"
        half = {"payload": NO_REPORT, "lane": 3, "count": count // 2}
        database.run(ENQUEUE.format(kind="probe", run_at=tomorrow, **half))
        database.run(ENQUEUE.format(kind="unhandled", run_at="clock_timestamp()", **half))
        with _worker(data_dir) as worker:
            beside.append(_docket_rate(database, worker, jobs))
        database.run("TRUNCATE docket.jobs;")
    rate, ratio = statistics.median(beside), statistics.median(beside) / statistics.median(bare)
    report.at_least(f"no-op jobs beside {count:,} waiting ones", rate, "1/s", (ratio, 0.9, "without"))


def _beside_an_idle_transaction(desk: _Desk, *, seconds: int) -> None:
    """Round after round beside a connection that holds a transaction open, so that nothing dead can be removed."""
    report, database, data_dir, jobs = desk.report, desk.database, desk.data_dir, desk.jobs
    with _worker(data_dir) as worker:
        bare = [_docket_rate(database, worker, jobs) for _ in range(3)]
        with _idle_transaction(database):
            ends = time.monotonic() + seconds
            rates = [_docket_rate(database, worker, jobs)]
            while time.monotonic() < ends:
                rates.append(_docket_rate(database, worker, jobs))
    last, baseline = statistics.median(rates[-3:]), statistics.median(bare)
    name = f"no-op jobs after {seconds} s ({len(rates) * jobs:,} jobs) beside an idle transaction"
    report.at_least(name, last, "1/s", (last / baseline, 0.9, "without"))


@contextmanager
def _idle_transaction(database: Database) -> Generator[None]:
    with subprocess.Popen(
        [tool("psql"), "-X", "-q"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=database.environment(),
    ) as psql:  # fmt: skip
        if psql.stdin is None:
            raise RuntimeError("psql has no standard input")
        psql.stdin.write("BEGIN; SELECT pg_current_xact_id();\n")
        psql.stdin.flush()
        time.sleep(0.5)
        try:
            yield
        finally:
            psql.stdin.close()
            psql.wait(10)


def main() -> None:
    """The queue alone: `python -m bench.jobs [--quick]`."""
    with alone("jobs") as (directory, quick), docket(directory / "data", {"DOCKET_SERVER__ROLE": "api"}):
        measure(Report(), Database.of(directory / "data"), directory / "data", quick=quick)


if __name__ == "__main__":
    main()
