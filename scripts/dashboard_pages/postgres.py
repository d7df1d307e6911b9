"""The database server and the pool of connections."""

from __future__ import annotations

from .form import Dashboard, Panel

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
                "Oldest transaction",
                "Of those that write; events and searches by words stop before it.",
                "s",
                {"open for": "max(docket_postgres_oldest_transaction_seconds)"},
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
