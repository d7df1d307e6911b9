"""The yardstick: pgbench with the very statements of the service's hot path, as the service's role, on its server."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import corpus
from bench.database import Database, tool

SQL = Path("src/adapters/postgres/sql")
CLIENTS = 16
EVENT = "lpad(to_hex(:k::bigint), 32, '0')::uuid"
# Each client has cases of its own, as each connection of the load has. pgbench computes only numbers, and a cast in the
# condition would keep row-level security from using the index, so the id is fetched as text, once in 32 transactions.
CHOOSE = """\\set turn :turn + 1
\\set k random(1, 9000000000000000000)
\\if :turn % 32 = 1
\\set n :client_id + {clients} * random(0, {last})
SELECT '00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0') AS case_id
\\gset
\\endif
"""


@dataclass(frozen=True)
class Yardstick:
    """Runs pgbench over the first `cases` cases of the load's tenant."""

    database: Database
    tenant: corpus.Tenant
    cases: int

    def transitions(self, seconds: float) -> float:
        """Transitions a second: load with the stored answer, then the guarded commit."""
        change = _statement("commit_change.sql", {
            1: ":tenant", 2: ":k", 3: ":id", 4: ":version", 5: ":audit_seq", 6: ":version::bigint + 1", 7: ":state",
            8: ":assignee_id", 9: "NULL", 10: "NULL", 11: ":open_information_requests", 12: ":deadline_extended",
            13: ":due_at", 14: "NULL", 15: "now()", 16: "NULL", 17: "(:audit_seq::bigint + 1)", 18: ":hash",
            19: "now()", 20: ":principal", 21: ":action", 22: "'allowed'", 23: ":record", 24: ":hash", 25: EVENT,
            26: ":type", 27: ":traceparent", 28: ":data", 29: ":k", 30: ":hash", 31: "200", 32: ":etag", 33: "NULL",
            34: ":body", 35: "(now() + interval '1 day')", 36: "NULL", 37: "NULL", 38: "NULL", 39: "NULL", 40: "NULL",
        })  # fmt: skip
        return self._run(_load(":principal", ":k") + "\n\\gset\n" + change + ";\n", seconds, self._row())

    def reads(self, seconds: float) -> float:
        """Reads a second: the load alone."""
        return self._run(_load("NULL", "NULL") + ";\n", seconds, {})

    def _row(self) -> dict[str, str]:
        """What the service last wrote: the yardstick writes rows of the same size."""
        columns = {
            "hash": "a.hash::text", "principal": "a.actor_id::text", "action": "a.action", "record": "a.record::text",
            "type": "o.type", "traceparent": "coalesce(o.traceparent, '')", "data": "o.data::text",
            "etag": "k.etag", "body": "k.body",
        }  # fmt: skip
        found: dict[str, str] = {}
        for name, column in columns.items():
            found[name] = self.database.run(
                f"SELECT {column} FROM docket.audit_events a "  # noqa: S608 - constants only
                "JOIN docket.outbox_events o ON (o.tenant_id, o.case_id) = (a.tenant_id, a.chain_id) "
                "AND o.occurred_at = a.occurred_at JOIN docket.idempotency_keys k ON k.tenant_id = a.tenant_id "
                "AND k.created_at = a.occurred_at AND k.body LIKE '%' || a.chain_id || '%' "
                f"WHERE a.tenant_id = '{self.tenant.id}' AND a.chain_id = '{corpus.load_case_id(0)}' "
                "ORDER BY a.seq LIMIT 1;"
            )
        return found

    def _run(self, script: str, seconds: float, variables: dict[str, str]) -> float:
        last = self.cases // CLIENTS - 1
        with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
            file.write(CHOOSE.format(clients=CLIENTS, last=last) + script)
            file.flush()
            values = {"tenant": str(self.tenant.id), "turn": "0", **variables}
            defines = [f"--define={name}={value}" for name, value in values.items()]
            command = [tool("pgbench"), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(int(seconds))]
            done = subprocess.run(
                [*command, "-f", file.name, *defines],
                text=True, capture_output=True, check=False, env=self.database.environment("docket_app"),
            )  # fmt: skip
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
        if done.returncode != 0 or found is None or not re.search(r"failed transactions: 0 ", done.stdout):
            raise RuntimeError(done.stderr[-2_000:] + done.stdout)
        return float(found[1])


def _load(principal: str, key: str) -> str:
    return _statement("load_case.sql", {1: ":tenant", 2: ":case_id", 3: f"{principal}::uuid", 4: f"{key}::text"})


def _statement(name: str, values: dict[int, str]) -> str:
    """A statement of the service with pgbench's variables for its parameters; the aliases lose sqlx's marks."""
    lines = (SQL / name).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    text = re.sub(r'AS "(\w+)[?!]"', r"AS stored_\1", text)
    return re.sub(r"\$(\d+)", lambda match: values[int(match[1])], text)
