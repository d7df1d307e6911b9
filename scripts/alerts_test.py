#!/usr/bin/env python3
"""Breaks what docket stands on and waits until the right people are told: docket, Prometheus and Alertmanager are real.

    DOCKET=target/release/docket python scripts/alerts_test.py

Rules and routes are the project's, with their own patience (`for`); only scraping, grouping and the addresses of the
two receivers differ. Needs Prometheus, Alertmanager and nats-server (Debian: prometheus prometheus-alertmanager
nats-server).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import yaml
from stack.client import Client, ask
from stack.engine import PROJECT
from stack.monitored import PROMETHEUS, Receiver, Scene, scene
from stack.say import CannotGoOnError, Checks, ended, step, wait_for

#: The longest `for` of the alerts below is two minutes; the rest is scraping, a breaker that opens, a slow machine.
PATIENCE = 300.0


def told(receiver: str, alert: str, status: str) -> dict[str, str] | None:
    """The annotations with which a receiver was told of an alert."""
    heard = (note for to, name, now, note in list(Receiver.alerts) if (to, name, now) == (receiver, alert, status))
    return next(heard, None)


def arrives(checks: Checks, receiver: str, alert: str) -> None:
    """Waits for an alert; it must name a runbook that there is."""
    began = time.monotonic()
    note = wait_for(f"{alert} at the {receiver}", lambda: told(receiver, alert, "firing"), PATIENCE)
    page = note.get("runbook_url", "")
    checks.that(f"{alert} reached the {receiver} after {time.monotonic() - began:.0f} s", True)
    checks.that(f"its runbook is there: {page}", bool(page) and (PROJECT / page).is_file())


def ends(checks: Checks, receiver: str, alert: str) -> None:
    """Waits for the word that an alert is over."""
    began = time.monotonic()
    wait_for(f"the end of {alert}", lambda: told(receiver, alert, "resolved") is not None, PATIENCE)
    checks.that(f"the end of {alert} was told after {time.monotonic() - began:.0f} s", True)


def severities() -> dict[str, str]:
    """What the rules say how urgent each alert is."""
    rules = yaml.safe_load((PROMETHEUS / "rules" / "alerts.yml").read_text(encoding="utf-8"))
    return {rule["alert"]: rule["labels"]["severity"] for group in rules["groups"] for rule in group["rules"]}


def silenced_by(at: Scene) -> list[str]:
    """The alerts that Alertmanager keeps to itself because another explains them."""
    alerts = ask(f"{at.alertmanager}/api/v2/alerts?active=true&inhibited=true").json()
    return sorted({str(one["labels"]["alertname"]) for one in alerts if one["status"]["inhibitedBy"]})


def tickets(at: Scene, checks: Checks) -> None:
    """A webhook that fails and a broker that hangs: somebody looks in the morning."""
    administrator, reporter = Client(at.docket, at.keys("admin")), Client(at.docket, at.keys("reporter"))
    made = administrator.call("POST", "/v1/webhooks", {"name": "failing", "url": f"{at.receiver}/failing"})
    for _ in range(6):
        reporter.create()
    with at.frozen("nats"):
        arrives(checks, "tickets", "DocketWebhookEndpointFailing")
        arrives(checks, "tickets", "DocketNatsDown")
    administrator.call("DELETE", f"/v1/webhooks/{made.json()['id']}", If_Match=made.headers.get("etag", '"v1"'))
    ends(checks, "tickets", "DocketNatsDown")


def pages(at: Scene, checks: Checks) -> None:
    """No database, and then no docket: somebody is woken."""
    with at.frozen("postgres"):
        arrives(checks, "pages", "DocketDatabaseDown")
        print(f"  explained by it and not sent: {', '.join(silenced_by(at)) or 'nothing'}", flush=True)
    ends(checks, "pages", "DocketDatabaseDown")
    with at.frozen("docket"):
        arrives(checks, "pages", "DocketDown")
    ends(checks, "pages", "DocketDown")


def main() -> int:
    """Reads the arguments, runs, tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docket", default=os.environ.get("DOCKET", "target/release/docket"), help="the program")
    docket = Path(parser.parse_args().docket).resolve()
    checks = Checks()
    if not docket.is_file():
        return ended(CannotGoOnError(f"{docket} is not a file", "`make release` builds it; DOCKET names another"))
    try:
        with tempfile.TemporaryDirectory(prefix="docket-alerts-") as name, scene(docket, Path(name)) as at:
            checks.that("nobody is told of anything at first", not Receiver.alerts, Receiver.alerts[:3])
            with step("a webhook fails, the broker hangs"):
                tickets(at, checks)
            with step("the database hangs, docket hangs"):
                pages(at, checks)
            wrong = [f"{name} at the {to}" for to, name, _, _ in Receiver.alerts if f"{severities()[name]}s" != to]
            checks.that(f"{len(Receiver.alerts)} notifications, each to whom its severity names", not wrong, wrong)
    except (CannotGoOnError, OSError, ValueError, LookupError) as error:
        return ended(error)
    print(f"{checks.held} checks held, {len(checks.failed)} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
