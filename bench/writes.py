"""The guarded transition and the read: against pgbench, against the peers, and what they cost."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench import corpus, load_generator
from bench.database import Database
from bench.report import Report
from bench.service import Program, peer
from bench.yardstick import Yardstick

# Few enough that learning their versions costs next to nothing, enough that no two connections meet.
CASES = 512
HOT = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = 'docket' AND relname = 'cases'"


def measure(report: Report, database: Database, service: Program, data_dir: Path, *, quick: bool) -> None:
    """Yardstick, service, yardstick, service ... and the peers likewise."""
    tenant = corpus.tenants()[-1]
    key = tenant.supervisor.key
    seconds, rounds = (3, 2) if quick else (10, 3)
    walk: dict[str, Any] = {
        "kind": "transition",
        "cases": [str(corpus.load_case_id(number)) for number in range(CASES)],
    }
    reads: dict[str, Any] = {"kind": "get", "paths": [f"/v1/cases/{corpus.load_case_id(n)}" for n in range(CASES)]}
    yardstick = Yardstick(database, tenant, CASES)
    load_generator.run(service.address, key, walk, seconds / 2)
    before = _hot(database)
    _transitions(report, service, yardstick, (key, walk), (seconds, rounds))
    _reads(report, service, yardstick, (key, reads), (seconds, rounds))
    updates, hot = (now - then for now, then in zip(_hot(database), before, strict=True))
    share = 100 * hot / max(updates, 1)
    report.at_least("updates of cases that are heap-only (HOT)", share, "%", (share / 100, 0.95, "all"))
    report.at_most("memory under load", service.resident_mib(), "MiB", 150)
    _peers(report, (database, data_dir), service, (key, walk), seconds)
    _constant_arrival(report, service, (key, walk), 6 if quick else 60)
    _creates(report, service, tenant, seconds)


def _transitions(
    report: Report, service: Program, yardstick: Yardstick, load: tuple[str, dict[str, Any]], span: tuple[int, int]
) -> None:
    key, walk = load
    seconds, rounds = span
    marks = [yardstick.transitions(seconds)]
    rates: list[float] = []
    costs: list[float] = []
    runs: list[load_generator.Load] = []
    for _ in range(rounds):
        spent = service.cpu_seconds()
        runs.append(load_generator.run(service.address, key, walk, seconds))
        costs.append((service.cpu_seconds() - spent) * 1e6 / runs[-1].requests)
        rates.append(runs[-1].requests_per_second)
        marks.append(yardstick.transitions(seconds))
    rate, mark = statistics.mean(rates), statistics.mean(marks)
    report.fact("pgbench, the same statements, 16 clients", mark, "/s")
    report.at_least("transition over HTTP, 16 connections", rate, "/s", (rate / mark, 0.6, "pgbench"))
    report.fact("transition, p50", statistics.median(run.p50_ms for run in runs), "ms")
    report.fact("transition, p99", statistics.median(run.p99_ms for run in runs), "ms")
    report.at_most("CPU of the service for a transition", statistics.median(costs), "us", 150)


def _reads(
    report: Report, service: Program, yardstick: Yardstick, load: tuple[str, dict[str, Any]], span: tuple[int, int]
) -> None:
    key, reads = load
    seconds, rounds = span
    marks = [yardstick.reads(seconds)]
    rates: list[float] = []
    for _ in range(rounds):
        rates.append(load_generator.run(service.address, key, reads, seconds).requests_per_second)
        marks.append(yardstick.reads(seconds))
    rate, mark = statistics.mean(rates), statistics.mean(marks)
    report.fact("pgbench, the same read, 16 clients", mark, "/s")
    report.at_least("read over HTTP, 16 connections", rate, "/s", (rate / mark, 0.7, "pgbench"))


def _peers(
    report: Report, place: tuple[Database, Path], service: Program, load: tuple[str, dict[str, Any]], seconds: float
) -> None:
    key, walk = load
    for module, wanted in (("fastapi_asyncpg", 4.0), ("fastapi_sqlalchemy", 12.0)):
        with peer(module, *place) as other:
            load_generator.run(other.address, key, walk, seconds / 2)
            theirs: list[float] = []
            ours: list[float] = []
            cost = 0.0
            for _ in range(2):
                spent = other.cpu_seconds()
                run = load_generator.run(other.address, key, walk, seconds)
                cost = (other.cpu_seconds() - spent) * 1e6 / run.requests
                theirs.append(run.requests_per_second)
                ours.append(load_generator.run(service.address, key, walk, seconds).requests_per_second)
            rate, own = statistics.mean(theirs), statistics.mean(ours)
            report.fact(f"{module}: the same transition", rate, "/s")
            report.fact(f"{module}: CPU for a transition", cost, "us")
            report.fact(f"{module}: memory", other.resident_mib(), "MiB")
            report.at_least(f"docket beside {module}", own, "/s", (own / rate, wanted, module))


def _constant_arrival(report: Report, service: Program, load: tuple[str, dict[str, Any]], seconds: float) -> None:
    """70 % of what the service can do right now, arriving evenly."""
    key, walk = load
    peak = load_generator.run(service.address, key, walk, 3).requests_per_second
    run = load_generator.run(service.address, key, walk, seconds, connections=64, rate=0.7 * peak)
    report.fact("transition at 70 % constant arrival, p50", run.p50_ms, "ms")
    report.at_most("transition at 70 % constant arrival, p99", run.p99_ms, "ms", round(3 * run.p50_ms, 2))


def _creates(report: Report, service: Program, tenant: corpus.Tenant, seconds: float) -> None:
    text = " ".join(corpus.word(rank) for rank in range(60))
    body = (
        f'{{"title":"Unlit buoy","narrative":"{text}","respondent":"Northgate Pilots","case_type":"navigation-aid",'
        '"severity":"high","confidentiality":"internal","attributes":{"berth":7}}'
    )
    run = load_generator.run(service.address, tenant.reporters[0].key, {"kind": "create", "bodies": [body]}, seconds)
    report.fact("create over HTTP, 16 connections", run.requests_per_second, "/s")


def _hot(database: Database) -> tuple[int, int]:
    updates, hot = database.run(f"SELECT pg_stat_force_next_flush(); {HOT};").splitlines()[-1].split("|")
    return int(updates), int(hot)
