"""Cases in bulk: rows a second into an empty database and out of it again, each with its audit record and event.

The yardstick is COPY of the very rows that the import made, cases, audit records and events, into tables with the same
columns, rules and indexes, by two sessions: what the database alone needs for them on this machine at this moment.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import corpus
from bench.database import Database, tool
from bench.report import Report
from bench.service import DOCKET, alone, docket

ROWS_A_SECOND = 10_000
TABLES = ("cases", "audit_events", "outbox_events")
WORDS = 60


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """An import and an export on a server that has nothing else to do."""
    place = directory / "bulk"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    rows = 20_000 if quick else 200_000
    source, copy = place / "cases.jsonl", place / "export.jsonl"
    source.write_text("".join(_lines(rows)), encoding="utf-8")
    data_dir = place / "data"
    with docket(data_dir, {"DOCKET_SERVER__ROLE": "api"}):
        _run(data_dir, "tenants", "create", "bulk", "--display-name", "Bulk")
        seconds, memory = _run(data_dir, "import", "cases", str(source), "--tenant", "bulk")
        report.rate("import, audited, with events", rows / seconds, ROWS_A_SECOND)
        report.at_most("import, greatest memory", memory, "MiB", 150)
        floor = rows / _copied(Database.of(data_dir), place)
        report.fact("import: COPY of the same finished rows by two sessions", floor, "1/s")
        report.fact("import, share of COPY", 100 * rows / seconds / floor, "%")
        seconds, memory = _run(data_dir, "export", "cases", "--output", str(copy), "--tenant", "bulk")
        with copy.open(encoding="utf-8") as file:
            written = sum(1 for _ in file)
        if written != rows:
            raise RuntimeError(f"{written} of {rows} cases were exported")
        report.fact("export", rows / seconds, "1/s")
        report.at_most("export, greatest memory", memory, "MiB", 150)
    shutil.rmtree(place, ignore_errors=True)


def _copied(database: Database, place: Path) -> float:
    """Seconds that two sessions need to copy what was imported into empty twins of its tables."""
    twins = "".join(f"CREATE TABLE floor.{name} (LIKE docket.{name} INCLUDING ALL);" for name in TABLES)
    database.run(f"CREATE SCHEMA floor; {twins} CHECKPOINT;")
    sessions: list[list[str]] = []
    for half in range(2):
        commands: list[str] = []
        for name in TABLES:
            columns = database.run(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "  # noqa: S608 - constants
                f"WHERE attrelid = 'docket.{name}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';"
            )
            file = (place / f"{name}.{half}").absolute()
            numbered = f"(SELECT *, row_number() OVER (ORDER BY ctid) AS place FROM docket.{name}) AS rows"  # noqa: S608
            rows = f"SELECT {columns} FROM {numbered} WHERE place % 2 = {half}"  # noqa: S608
            database.run(f"\\copy ({rows}) TO '{file}'")
            commands.append(f"\\copy floor.{name} ({columns}) FROM '{file}'")
        sessions.append(commands)
    psql = [tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    began = time.monotonic()
    running = [
        subprocess.Popen([*psql, *(f"--command={command}" for command in commands)], env=database.environment())
        for commands in sessions
    ]
    if any(process.wait() != 0 for process in running):
        raise RuntimeError("the imported rows could not be copied")
    return time.monotonic() - began


def _lines(rows: int) -> Iterator[str]:
    """Cases in the form of `docket export cases`, with the words of the other benchmarks."""
    generator = random.Random(1)
    words, weights = corpus.vocabulary()
    for number in range(rows):
        text = generator.choices(words, cum_weights=weights, k=WORDS + 6)
        opened = f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}"
        case = {
            "reference": f"BULK-{number:07}", "title": " ".join(text[:6]), "narrative": " ".join(text[6:]),
            "respondent": f"Operator {number % 500}", "case_type": f"type-{number % 60}", "severity": "medium",
            "confidentiality": "internal", "state": "closed", "opened_on": opened, "closed_on": "2026-01-31",
            "attributes": {"region": "north", "berth": number % 40},
        }  # fmt: skip
        yield json.dumps(case) + "\n"


def _run(data_dir: Path, *arguments: str) -> tuple[float, float]:
    """Runs a command of the service's program; its seconds, and the most memory it held, in MiB."""
    log = data_dir.parent / "commands.log"
    began = time.monotonic()
    with log.open("ab") as out:
        command = [str(DOCKET.absolute()), *arguments]
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, "DOCKET_DATA_DIR": str(data_dir)}
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"docket {' '.join(arguments)} failed; see {log}")
    return seconds, usage.ru_maxrss / 1_024


def main() -> None:
    """Imports and exports alone: `python -m bench.bulk [--quick]`; the programs must be built."""
    with alone("bulk") as (directory, quick):
        measure(Report(), directory, quick=quick)


if __name__ == "__main__":
    main()
