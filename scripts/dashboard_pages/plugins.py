"""Python plugins and the company register."""

from __future__ import annotations

from .form import Dashboard, Panel, quantile

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
