#!/usr/bin/env python3
"""Writes Grafana's dashboards, deploy/grafana/dashboards/*.json, from the few lines a panel that are below.

A test holds every query to the metrics of docs/telemetry.md and to the recording rules.

    python scripts/dashboards.py           write the files
    python scripts/dashboards.py --check   fail when a committed file differs
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

DASHBOARDS = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
HTTP = "http_server_request_duration_seconds"
API = 'route=~"/v1/.+"'


class Panel(NamedTuple):
    """One picture: what it is called, how to read it, its unit, and its queries by legend."""

    title: str
    about: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8


class Dashboard(NamedTuple):
    """One page of rows."""

    name: str
    title: str
    rows: dict[str, list[Panel]]


def quantile(share: float, metric: str, by: str, selector: str = "") -> str:
    """A quantile of a histogram over the last five minutes."""
    of = f"{{{selector}}}" if selector else ""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{of}[5m])))"


OVERVIEW = Dashboard(
    "overview",
    "docket: overview",
    {
        "Objectives": [
            Panel(
                "Error budget left",
                "Of the period of 30 days; below zero the objective is missed.",
                "percentunit",
                {"{{slo}}": "docket:slo_budget:remaining"},
                "stat",
                12,
            ),
            Panel(
                "Burn rate of the last hour",
                "1 spends just the budget of the period; 14.4 for an hour pages somebody.",
                "none",
                {"{{slo}}": "docket:slo_bad:ratio_rate1h / on(slo) docket:slo_budget:ratio"},
                width=12,
            ),
        ],
        "Rate, errors, duration": [
            Panel(
                "Requests by route",
                "What is asked for, a second.",
                "reqps",
                {"{{method}} {{route}}": f"sum by (method, route) (rate({HTTP}_count{{{API}}}[5m]))"},
            ),
            Panel(
                "Answers by status",
                "4xx are the clients' mistakes and refusals; 5xx are ours.",
                "reqps",
                {"{{status}}": f"sum by (status) (rate({HTTP}_count{{{API}}}[5m]))"},
            ),
            Panel(
                "Time to the head of the answer, p99",
                "By route; compare with the objectives of deploy/slo.json.",
                "s",
                {"{{method}} {{route}}": quantile(0.99, HTTP, "method, route", API)},
            ),
        ],
        "Saturation": [
            Panel(
                "Requests being worked on",
                "At server.max_in_flight further ones are shed.",
                "short",
                {
                    "{{instance}}": "http_server_active_requests",
                    "shed {{instance}}": "rate(http_server_shed_requests_total[5m])",
                },
            ),
            Panel(
                "Processor time",
                "Cores that a process uses.",
                "short",
                {"{{instance}}": "rate(process_cpu_seconds_total[1m])"},
            ),
            Panel(
                "Memory and descriptors",
                "Resident memory; both should be flat.",
                "bytes",
                {"{{instance}}": "process_resident_memory_bytes", "descriptors {{instance}}": "process_open_fds"},
            ),
        ],
        "Parts": [
            Panel(
                "Parts that are up",
                "1 or 0 for each line of /readyz.",
                "short",
                {"{{dependency}} {{instance}}": "docket_dependency_up"},
                width=12,
            ),
            Panel(
                "Acts on cases",
                "Allowed, denied or in conflict, by action.",
                "ops",
                {"{{action}} {{outcome}}": "sum by (action, outcome) (rate(docket_case_acts_total[5m]))"},
                width=12,
            ),
        ],
    },
)

POSTGRES = Dashboard(
    "postgres",
    "docket: PostgreSQL and pool",
    {
        "The pool": [
            Panel(
                "Connections",
                "When all are used, requests wait.",
                "short",
                {
                    "{{state}} {{instance}}": "db_client_connection_count",
                    "most {{instance}}": "db_client_connection_max",
                },
            ),
            Panel(
                "Waited in vain",
                "Requests that got no connection in time and were answered 503.",
                "ops",
                {"{{instance}}": "rate(db_client_connection_timeouts_total[1m])"},
            ),
            Panel(
                "Sessions of the server",
                "Of all clients; the server refuses more than it allows.",
                "short",
                {"sessions": "max(docket_postgres_sessions)", "allowed": "max(docket_postgres_sessions_max)"},
            ),
        ],
        "The server": [
            Panel(
                "Locks that somebody waits for",
                "Short waits are usual; a line that climbs by a second a second is a held lock.",
                "short",
                {
                    "awaited": "max(docket_postgres_locks_awaited)",
                    "longest wait": "max(docket_postgres_longest_lock_wait_seconds)",
                },
            ),
            Panel(
                "Transactions",
                "Rollbacks and deadlocks beside commits.",
                "ops",
                {
                    "{{outcome}}": "max by (outcome) (rate(docket_postgres_transactions_total[1m]))",
                    "deadlocks": "max(rate(docket_postgres_deadlocks_total[5m]))",
                },
            ),
            Panel(
                "Found in the server's cache",
                "Below 0.99 for long: the working set is larger than shared_buffers.",
                "percentunit",
                {
                    "hit": 'max(rate(docket_postgres_blocks_total{from="hit"}[5m]))'
                    " / max(sum by (instance) (rate(docket_postgres_blocks_total[5m])))"
                },
            ),
        ],
        "Room": [
            Panel(
                "Size of the database",
                "All tables and indexes.",
                "bytes",
                {"size": "max(docket_postgres_database_bytes)"},
            ),
            Panel(
                "Room under data_dir",
                "Keys, evidence and, when it is embedded, the database.",
                "bytes",
                {"free {{instance}}": "docket_data_dir_free_bytes", "size {{instance}}": "docket_data_dir_size_bytes"},
            ),
            Panel(
                "Writes that began again",
                "Because the case had moved: a measure of how hot single cases are.",
                "ops",
                {"{{instance}}": "rate(docket_case_write_retries_total[5m])"},
            ),
        ],
    },
)

WORK = Dashboard(
    "outbox-and-jobs",
    "docket: outbox and jobs",
    {
        "Events": [
            Panel(
                "From commit to delivery",
                "Retries included; the objective is 5 s for 99 of 100.",
                "s",
                {
                    "p50 {{sink}}": quantile(0.5, "docket_event_delivery_seconds", "sink"),
                    "p99 {{sink}}": quantile(0.99, "docket_event_delivery_seconds", "sink"),
                },
            ),
            Panel(
                "Attempts",
                "delivered; rejected burns an attempt; outage is the receiver's; gone disables it.",
                "ops",
                {"{{sink}} {{outcome}}": "sum by (sink, outcome) (rate(docket_event_delivery_attempts_total[5m]))"},
            ),
            Panel(
                "What waits",
                "Parked ones wait behind one that was given up.",
                "short",
                {
                    "pending {{sink}}": "max by (sink) (docket_event_deliveries_pending)",
                    "parked {{sink}}": "max by (sink) (docket_event_deliveries_parked)",
                    "dead {{sink}}": "max by (sink) (docket_event_deliveries_dead)",
                },
            ),
            Panel(
                "Longest without progress",
                "Climbs while a receiver is down, or while the relay does not run.",
                "s",
                {"{{sink}}": "max by (sink) (docket_event_oldest_pending_seconds)"},
            ),
            Panel(
                "Breakers open",
                "Receivers left alone for a while.",
                "short",
                {"{{instance}}": "docket_event_breakers_open"},
            ),
            Panel(
                "Fenced",
                "Sends and ends that came too late: a worker was silent for longer than its lease.",
                "ops",
                {
                    "events": "sum(rate(docket_event_delivery_fenced_total[5m]))",
                    "jobs": "sum(rate(docket_jobs_fenced_total[5m]))",
                },
            ),
        ],
        "Jobs": [
            Panel("Waiting", "By kind.", "short", {"{{kind}}": "max by (kind) (docket_jobs_waiting)"}),
            Panel(
                "Age of the oldest",
                "The one to alert on: a long queue that moves is well.",
                "s",
                {"{{kind}}": "max by (kind) (docket_jobs_oldest_age_seconds)"},
            ),
            Panel(
                "Attempts",
                "By outcome.",
                "ops",
                {"{{kind}} {{outcome}}": "sum by (kind, outcome) (rate(docket_job_attempts_total[5m]))"},
            ),
            Panel("From due to begun, p99", "", "s", {"{{kind}}": quantile(0.99, "docket_job_wait_seconds", "kind")}),
            Panel(
                "Time of an attempt, p99", "", "s", {"{{kind}}": quantile(0.99, "docket_job_duration_seconds", "kind")}
            ),
            Panel(
                "Dead letters and held jobs",
                "Dead ones wait for a person.",
                "short",
                {
                    "dead {{kind}}": "max by (kind) (docket_jobs_dead)",
                    "held {{kind}}": "sum by (kind) (docket_jobs_held)",
                },
            ),
        ],
        "Deadlines": [
            Panel("Cases overdue", "Of all tenants.", "short", {"overdue": "max(docket_cases_overdue)"}),
            Panel(
                "Notices",
                "Warnings and breaches told, and those that failed.",
                "ops",
                {
                    "told": "sum(rate(docket_deadline_notices_total[5m]))",
                    "failed": "sum(rate(docket_deadline_notices_failed_total[5m]))",
                },
            ),
            Panel(
                "Escalated by the system",
                "Cases that nobody had looked at in time.",
                "ops",
                {"escalated": "sum(rate(docket_deadline_escalations_total[5m]))"},
            ),
        ],
        "Workers": [
            Panel(
                "Background services",
                "1 runs, 0 does not.",
                "short",
                {"{{service}} {{instance}}": "docket_worker_service_up"},
            ),
            Panel(
                "Started again",
                "Services that stopped without being asked.",
                "ops",
                {"{{service}} {{reason}}": "sum by (service, reason) (rate(docket_worker_restarts_total[5m]))"},
            ),
            Panel(
                "Leases lost, jobs taken back",
                "Workers that were silent for too long, and what became of their jobs.",
                "ops",
                {
                    "lost": "sum(rate(docket_job_leases_lost_total[5m]))",
                    "taken back": "sum(rate(docket_jobs_reaped_total[5m]))",
                },
            ),
        ],
    },
)

CALLS = "gen_ai_client_operation_duration_seconds"
MODEL = "gen_ai_provider_name, gen_ai_request_model"

MODELS = Dashboard(
    "models",
    "docket: models and retrieval",
    {
        "Calls to language models": [
            Panel(
                "Calls by model",
                "Failures carry their type.",
                "ops",
                {
                    "{{gen_ai_provider_name}} {{gen_ai_request_model}} {{error_type}}": (
                        f"sum by ({MODEL}, error_type) (rate({CALLS}_count[5m]))"
                    )
                },
            ),
            Panel(
                "Time to the first text, p99",
                "What somebody who waits for an answer feels.",
                "s",
                {
                    "{{gen_ai_provider_name}} {{gen_ai_request_model}}": quantile(
                        0.99, "gen_ai_client_operation_time_to_first_chunk_seconds", MODEL
                    )
                },
            ),
            Panel(
                "Time to the end of the stream, p99",
                "",
                "s",
                {"{{gen_ai_provider_name}} {{gen_ai_request_model}}": quantile(0.99, CALLS, MODEL)},
            ),
            Panel(
                "Tokens",
                "A second, by model and kind; what they cost stands in the ledger.",
                "short",
                {
                    "{{gen_ai_request_model}} {{gen_ai_token_type}}": (
                        "sum by (gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum[5m]))"
                    )
                },
            ),
            Panel(
                "Retries and fallbacks",
                "Calls made again at the same provider, and answers given by another.",
                "ops",
                {
                    "again {{gen_ai_provider_name}}": (
                        "sum by (gen_ai_provider_name) (rate(docket_model_retries_total[5m]))"
                    ),
                    "instead {{gen_ai_provider_name}}": (
                        "sum by (gen_ai_provider_name) (rate(docket_model_fallbacks_total[5m]))"
                    ),
                },
            ),
            Panel(
                "Providers left alone",
                "1 while a breaker is open.",
                "short",
                {"{{gen_ai_provider_name}}": "max by (gen_ai_provider_name) (docket_model_breaker_open)"},
            ),
        ],
        "Retrieval": [
            Panel(
                "Time of a batch in the embedding model, p99",
                "For questions and for documents.",
                "s",
                {"{{lane}}": quantile(0.99, "docket_embedding_batch_seconds", "lane")},
            ),
            Panel(
                "Stages of a search, p99",
                "",
                "s",
                {"{{stage}}": quantile(0.99, "docket_search_stage_seconds", "stage")},
            ),
            Panel(
                "Vectors of questions",
                "Remembered or computed.",
                "ops",
                {"{{outcome}}": "sum by (outcome) (rate(docket_embedding_cache_total[5m]))"},
            ),
        ],
        "Budgets": [
            Panel(
                "Refused by a budget, and calls that nobody settled",
                "Lost calls are charged in full.",
                "ops",
                {
                    "refused": "sum(rate(docket_budget_refusals_total[5m]))",
                    "lost": "sum(rate(docket_model_calls_lost_total[5m]))",
                },
                width=12,
            ),
        ],
    },
)

PLUGINS = Dashboard(
    "plugins",
    "docket: plugins and what is asked outside",
    {
        "Plugins": [
            Panel(
                "Calls by outcome",
                "",
                "ops",
                {"{{plugin}} {{outcome}}": "sum by (plugin, outcome) (rate(docket_plugin_calls_total[5m]))"},
            ),
            Panel(
                "Time of a call, p99",
                "Waiting included.",
                "s",
                {"{{plugin}}": quantile(0.99, "docket_plugin_call_seconds", "plugin")},
            ),
            Panel("Calls that wait", "", "short", {"waiting": "sum(docket_plugin_queue)"}),
            Panel(
                "Workers replaced",
                "By reason: a steady rate of one that is no recycling is a crash loop.",
                "ops",
                {"{{reason}}": "sum by (reason) (rate(docket_plugin_workers_replaced_total[5m]))"},
            ),
            Panel(
                "What plugins count themselves",
                "",
                "ops",
                {"{{plugin}} {{event}}": "sum by (plugin, event) (rate(docket_plugin_events_total[5m]))"},
            ),
        ],
        "Company register": [
            Panel(
                "Look-ups by outcome",
                "",
                "ops",
                {"{{outcome}}": "sum by (outcome) (rate(docket_register_look_ups_total[5m]))"},
            ),
            Panel("Left alone", "1 while its breaker is open.", "short", {"open": "max(docket_register_breaker_open)"}),
        ],
    },
)

ALL = (OVERVIEW, POSTGRES, WORK, MODELS, PLUGINS)


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """The rows laid out on Grafana's grid, 24 wide."""
    out: list[dict[str, Any]] = []
    y = 0
    for row, row_panels in dashboard.rows.items():
        grid = {"h": 1, "w": 24, "x": 0, "y": y}
        out.append({"id": len(out) + 1, "type": "row", "title": row, "collapsed": False, "gridPos": grid, "panels": []})
        x, y = 0, y + 1
        for panel in row_panels:
            if x + panel.width > 24:
                x, y = 0, y + 8
            targets = [
                {"refId": chr(65 + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
                for i, (legend, expr) in enumerate(panel.queries.items())
            ]
            out.append(
                {
                    "id": len(out) + 1,
                    "type": panel.kind,
                    "title": panel.title,
                    "description": panel.about,
                    "datasource": SOURCE,
                    "gridPos": {"h": 8, "w": panel.width, "x": x, "y": y},
                    "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                    "targets": targets,
                }
            )
            x += panel.width
        y += 8
    return out


def text(dashboard: Dashboard) -> str:
    """The file that Grafana loads."""
    page = {
        "uid": f"docket-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["docket"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": panels(dashboard),
    }
    return json.dumps(page, indent=1) + "\n"


def main() -> int:
    """Writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale: list[str] = []
    for dashboard in ALL:
        path = DASHBOARDS / f"{dashboard.name}.json"
        if not check:
            path.write_text(text(dashboard), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text(dashboard):
            stale.append(path.name)
    if stale:
        print(f"stale: {', '.join(stale)}; run `make dashboards`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
