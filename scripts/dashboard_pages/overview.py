"""The page to open first: objectives, requests, saturation, parts."""

from __future__ import annotations

from .form import Dashboard, Panel, quantile

HTTP = "http_server_request_duration_seconds"
API = 'route=~"/v1/.+"'

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
                width=6,
            ),
            Panel(
                "Processor time",
                "Cores that a process uses.",
                "short",
                {"{{instance}}": "rate(process_cpu_seconds_total[1m])"},
                width=6,
            ),
            Panel(
                "Memory",
                "Resident; flat under a steady load.",
                "bytes",
                {"{{instance}}": "process_resident_memory_bytes"},
                width=6,
            ),
            Panel(
                "Descriptors", "Open files and sockets; flat.", "short", {"{{instance}}": "process_open_fds"}, width=6
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
