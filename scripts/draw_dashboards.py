#!/usr/bin/env python3
"""Draws each dashboard of deploy/grafana as one SVG, from what a Prometheus answers to the panels' own queries.

    DOCKET=target/release/docket python scripts/draw_dashboards.py           starts everything, uses it, draws
    python scripts/draw_dashboards.py --prometheus http://127.0.0.1:9090     draws the last hour of a running one

The pictures show what the queries give, laid out as the dashboards are; how Grafana would draw it is not claimed.
Starting everything needs Prometheus and nats-server (Debian: apt install prometheus nats-server).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from dashboard_pictures.drawing import picture
from dashboard_pictures.series import Span, of_prometheus
from stack.engine import PROJECT
from stack.exercise import exercise
from stack.monitored import scene
from stack.say import CannotGoOnError, ended, step

DASHBOARDS = PROJECT / "deploy" / "grafana" / "dashboards"
PICTURES = PROJECT / "docs" / "dashboards"


def draw(prometheus: str, span: Span, into: Path) -> None:
    """Writes the picture of every dashboard."""
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        drawn = picture(json.loads(path.read_text(encoding="utf-8")), of_prometheus(prometheus), span)
        (into / f"{path.stem}.svg").write_text(drawn, encoding="utf-8")
        print(f"  {path.stem}.svg: {len(drawn.encode()) // 1024} KB, {drawn.count('<polyline')} lines")


def main() -> int:
    """Reads the arguments, starts what is missing, draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", help="the address of a running one; without it everything is started")
    parser.add_argument("--docket", default=os.environ.get("DOCKET", "target/release/docket"), help="the program")
    parser.add_argument("--seconds", type=float, help="how long it is used (240), or how far to look back (3600)")
    parser.add_argument("--out", type=Path, default=PICTURES, help="the folder of the pictures")
    arguments = parser.parse_args()
    try:
        if arguments.prometheus:
            now = time.time()
            draw(arguments.prometheus, Span(now - (arguments.seconds or 3600), now), arguments.out)
            return 0
        docket = Path(arguments.docket).resolve()
        if not docket.is_file():
            return ended(CannotGoOnError(f"{docket} is not a file", "`make release` builds it; DOCKET names another"))
        with tempfile.TemporaryDirectory(prefix="docket-pictures-") as name, scene(docket, Path(name)) as at:
            began = time.time()
            with step("using everything"):
                ledger = exercise(at, arguments.seconds or 240)
            if ledger.wrong:
                return ended(CannotGoOnError(f"answered wrongly: {ledger.wrong[:3]}"))
            with step("drawing"):
                draw(at.prometheus, Span(began, time.time()), arguments.out)
    except (CannotGoOnError, OSError, ValueError, LookupError) as error:
        return ended(error)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
