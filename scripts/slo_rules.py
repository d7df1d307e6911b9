#!/usr/bin/env python3
"""Writes deploy/prometheus/rules/slo.yml from deploy/slo.json, the one place where the objectives are stated.

The k6 thresholds read the same file, so a load test and an alert cannot disagree about what is good enough.

    python scripts/slo_rules.py           write the file
    python scripts/slo_rules.py --check   fail when the committed file differs
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
OBJECTIVES = PROJECT / "deploy" / "slo.json"
RULES = PROJECT / "deploy" / "prometheus" / "rules" / "slo.yml"

#: The windows that the alerts compare (Google SRE Workbook, chapter 5, table 5-8).
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

HEAD = """\
# Written by scripts/slo_rules.py from deploy/slo.json; change that, then run `make slo-rules`.
#
# docket:slo_bad:ratio_rateWINDOW  share of bad events in the window, by objective
# docket:slo_budget:ratio          the share that may be bad
# docket:slo_budget:remaining      what is left of the budget of the whole period: 1 untouched, 0 spent, below 0 missed
groups:
"""


def bad_ratio(objective: dict[str, Any], window: str) -> str:
    """The share of bad events; no value, and so no alert, when nothing happened."""
    metric, selector = str(objective["metric"]), str(objective["selector"])
    if objective["kind"] == "availability":
        bad = f'sum(rate({metric}_count{{{selector},status=~"5.."}}[{window}]))'
        return f"({bad} or vector(0)) / sum(rate({metric}_count{{{selector}}}[{window}]))"
    # What was answered with a 5xx counts against availability, and not twice. Freshness and first-token have no status.
    answered = ",".join(part for part in (selector, 'status!~"5.."' * (objective["kind"] == "latency")) if part)
    bucket = ",".join(part for part in (answered, f'le="{objective["threshold_seconds"]}"') if part)
    of = f"{{{answered}}}" if answered else ""
    good = f"sum(rate({metric}_bucket{{{bucket}}}[{window}])) / sum(rate({metric}_count{of}[{window}]))"
    # While series are younger than the window, the extrapolation of the parts may exceed that of the whole.
    return f"clamp_min(1 - {good}, 0)"


def rule(record: str, slo: str, expression: str) -> str:
    """One recording rule."""
    return f"      - record: {record}\n        labels: {{ slo: {slo} }}\n        expr: >-\n          {expression}\n"


def text() -> str:
    """The whole file."""
    stated = json.loads(OBJECTIVES.read_text(encoding="utf-8"))
    period = f"{stated['window_days']}d"
    out = [HEAD]
    for objective in stated["objectives"]:
        name = str(objective["name"])
        budget = round(1 - float(objective["objective"]), 6)
        out.append(f"  - name: slo-{name}\n    interval: 30s\n    rules:\n")
        out.append(rule("docket:slo_budget:ratio", name, f"vector({budget:g})"))
        out.extend(rule(f"docket:slo_bad:ratio_rate{w}", name, bad_ratio(objective, w)) for w in WINDOWS)
        # A month of raw samples is read seldom.
        out.append(f"  - name: slo-{name}-period\n    interval: 5m\n    rules:\n")
        out.append(rule("docket:slo_budget:remaining", name, f"1 - ({bad_ratio(objective, period)}) / {budget:g}"))
    return "".join(out)


def main() -> int:
    """Writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        RULES.write_text(text(), encoding="utf-8")
    elif RULES.read_text(encoding="utf-8") != text():
        print(f"{RULES.relative_to(PROJECT)} is stale: run `make slo-rules`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
