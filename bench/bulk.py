"""Cases in bulk: rows a second into an empty database and out of it again, each with its audit record and event."""

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
from bench.report import Report
from bench.service import DOCKET, alone, docket

ROWS_A_SECOND = 10_000
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
        seconds, memory = _run(data_dir, "export", "cases", "--output", str(copy), "--tenant", "bulk")
        with copy.open(encoding="utf-8") as file:
            written = sum(1 for _ in file)
        if written != rows:
            raise RuntimeError(f"{written} of {rows} cases were exported")
        report.fact("export", rows / seconds, "1/s")
        report.at_most("export, greatest memory", memory, "MiB", 150)
    shutil.rmtree(place, ignore_errors=True)


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
