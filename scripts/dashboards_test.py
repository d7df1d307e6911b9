#!/usr/bin/env python3
"""Asks a real Prometheus, fed by a service that is in use, for every panel of the dashboards and every rule.

    DOCKET=target/release/docket python scripts/dashboards_test.py

A query that gives nothing fails, unless deploy/grafana/silent.json names it with the reason why a sound service has no
such series. Needs Prometheus and nats-server (Debian: apt install prometheus nats-server).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from stack.client import ask
from stack.engine import PROJECT
from stack.exercise import exercise
from stack.monitored import Scene, scene
from stack.say import CannotGoOnError, Checks, ended, step, wait_for

DASHBOARDS = PROJECT / "deploy" / "grafana" / "dashboards"
RULES = PROJECT / "deploy" / "prometheus" / "rules"
SILENT = PROJECT / "deploy" / "grafana" / "silent.json"
#: What stands for a series in an alert: a metric of docket or of Prometheus.
SERIES = re.compile(r"\b((?:docket|db|http|process|gen_ai|tokio)[\w:]*|up)(\{[^}]*\})?")
#: Labels that are grouped or matched by may be called like metrics (gen_ai_provider_name).
LABELS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")


@dataclass(frozen=True)
class Query:
    """One expression and where it stands."""

    where: str
    expression: str


def of_panels() -> list[Query]:
    """The queries of the dashboards."""
    found: list[Query] = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", []):
                legend = str(target["legendFormat"])
                found.append(Query(f"{path.stem} / {panel['title']} / {legend}", str(target["expr"])))
    return found


def of_rules() -> list[Query]:
    """What the rules record, and what alerts look at: a sound service fires none, but their series must be there."""
    found: list[Query] = []
    for path in sorted(RULES.glob("*.yml")):
        for group in cast("list[dict[str, Any]]", yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]):
            for rule in group["rules"]:
                if "record" in rule:
                    labels = ",".join(f'{name}="{value}"' for name, value in rule.get("labels", {}).items())
                    found.append(Query(f"rule {rule['record']}{{{labels}}}", f"{rule['record']}{{{labels}}}"))
                else:
                    series = sorted(
                        {name for name, _ in SERIES.findall(LABELS.sub("", str(rule["expr"]))) if "(" not in name}
                    )
                    found += [Query(f"alert {rule['alert']} / {name}", name) for name in series]
    return found


def values(at: Scene, expression: str) -> int:
    """How many series the query gives that hold a number."""
    answer = ask(f"{at.prometheus}/api/v1/query?query={urllib.parse.quote(expression)}").json()
    if answer["status"] != "success":
        raise CannotGoOnError(f"Prometheus does not understand {expression}: {answer.get('error')}")
    return sum(1 for row in answer["data"]["result"] if not math.isnan(float(row["value"][1])))


def judge(at: Scene, checks: Checks) -> None:
    """Asks everything and compares with the list of what may be silent."""
    allowed: dict[str, str] = json.loads(SILENT.read_text(encoding="utf-8"))
    queries = of_panels() + of_rules()
    # A rate needs two samples and a recorded series waits for its group: what is empty is asked again for a while.
    found: dict[str, int] = {}
    until = time.monotonic() + 30
    while True:
        found |= {query.where: values(at, query.expression) for query in queries if not found.get(query.where)}
        empty = [where for where, count in found.items() if count == 0]
        if set(empty) <= set(allowed) or time.monotonic() > until:
            break
        time.sleep(2)
    for where in empty:
        print(f"  {'-' if where in allowed else '✗'} {where}: {allowed.get(where, 'gives nothing')}")
    surprising = [where for where in empty if where not in allowed]
    given = len(found) - len(empty)
    checks.that(
        f"{given} of {len(found)} queries give data, {len(empty) - len(surprising)} are silent for a reason",
        not surprising,
    )
    unknown = sorted(set(allowed) - set(found))
    checks.that("the list of silent ones names only queries that there are", not unknown, ", ".join(unknown))
    spoke = sorted(where for where in allowed if found.get(where, 0) > 0)
    if spoke:
        print(f"  of those that may be silent, these gave data: {'; '.join(spoke)}")
    rules = ask(f"{at.prometheus}/api/v1/rules").json()["data"]["groups"]
    failing = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
    checks.that(
        f"{sum(len(group['rules']) for group in rules)} rules are evaluated without error", not failing, failing
    )


def main() -> int:
    """Reads the arguments, runs, tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docket", default=os.environ.get("DOCKET", "target/release/docket"), help="the program")
    parser.add_argument("--seconds", type=float, default=30, help="how long everything is used")
    arguments = parser.parse_args()
    docket = Path(arguments.docket).resolve()
    checks = Checks()
    if not docket.is_file():
        return ended(CannotGoOnError(f"{docket} is not a file", "`make release` builds it; DOCKET names another"))
    try:
        with tempfile.TemporaryDirectory(prefix="docket-dashboards-") as name, scene(docket, Path(name)) as at:
            with step("using everything"):
                ledger = exercise(at, arguments.seconds)
            checks.that(f"{ledger.requests} requests were answered as expected", not ledger.wrong, ledger.wrong[:3])
            with step("asking"):
                wait_for("the rules", lambda: values(at, "docket:slo_budget:remaining") > 0, 60)
                judge(at, checks)
    except (CannotGoOnError, OSError, ValueError, LookupError) as error:
        return ended(error)
    print(f"{checks.held} checks held, {len(checks.failed)} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
