#!/usr/bin/env python3
"""Sums what the batteries did and found into one line: kills, writes, jobs, events, lost, doubled, reordered.

Each battery appends its figures as a line of JSON to the file that DOCKET_CRASH_FIGURES names
(tests/crash/support/report.rs); this reads that file:

python scripts/crash_summary.py figures.jsonl

Exit code 1: something was lost, doubled or reordered, or no battery came to its end.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

DONE = ["kills", "writes", "jobs", "events"]
BROKEN = ["lost", "doubled", "reordered"]


def total(text: str) -> dict[str, int]:
    """The sums over all lines; `batteries` counts the lines."""
    sums = dict.fromkeys(["batteries", *DONE, *BROKEN], 0)
    for line in text.splitlines():
        figures: dict[str, int] = json.loads(line)
        sums["batteries"] += 1
        for name in DONE + BROKEN:
            sums[name] += figures[name]
    return sums


def sentence(sums: dict[str, int]) -> str:
    """The line for people."""
    words = {name: f"{count:,} {name}" for name, count in sums.items()}
    done, broken = (", ".join(words[name] for name in names) for names in (DONE, BROKEN))
    return f"crash: {done}; {broken} ({words['batteries']})"


def main() -> int:
    """Prints the line for the file that the first argument names."""
    path = Path(sys.argv[1])
    sums = total(path.read_text(encoding="utf-8") if path.exists() else "")
    print(sentence(sums))
    return 1 if sums["batteries"] == 0 or any(sums[name] for name in BROKEN) else 0


if __name__ == "__main__":
    sys.exit(main())
