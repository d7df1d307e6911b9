"""What happens behind the requests: events, jobs, deadlines, workers."""

from __future__ import annotations

from .form import Dashboard, Panel, quantile

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
            Panel(
                "Delivery log removed",
                "Lines older than `webhooks.log_days`, in a day. None for days: the nightly job does not run.",
                "short",
                {"lines": "sum(increase(docket_event_delivery_log_purged_total[1d]))"},
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
