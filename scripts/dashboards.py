#!/usr/bin/env python3
"""Writes Grafana's dashboards, deploy/grafana/dashboards/*.json, from the few lines a panel in dashboard_pages/.

A test holds every query to the metrics of docs/telemetry.md and to the recording rules.

    python scripts/dashboards.py           write the files
    python scripts/dashboards.py --check   fail when a committed file differs
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dashboard_pages.form import Dashboard
from dashboard_pages.models import MODELS
from dashboard_pages.overview import OVERVIEW
from dashboard_pages.plugins import PLUGINS
from dashboard_pages.postgres import POSTGRES
from dashboard_pages.retrieval import RETRIEVAL
from dashboard_pages.work import WORK

DASHBOARDS = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}


ALL = (OVERVIEW, POSTGRES, WORK, RETRIEVAL, MODELS, PLUGINS)


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """The rows laid out on Grafana's grid, 24 wide."""
    out: list[dict[str, Any]] = []
    y = 0
    for row, row_panels in dashboard.rows.items():
        grid = {"h": 1, "w": 24, "x": 0, "y": y}
        out.append({"id": len(out) + 1, "type": "row", "title": row, "collapsed": False, "gridPos": grid, "panels": []})
        x, y = 0, y + 1
        for panel in row_panels:
            if x + panel.width > 24:
                x, y = 0, y + 8
            targets = [
                {"refId": chr(65 + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
                for i, (legend, expr) in enumerate(panel.queries.items())
            ]
            out.append(
                {
                    "id": len(out) + 1,
                    "type": panel.kind,
                    "title": panel.title,
                    "description": panel.about,
                    "datasource": SOURCE,
                    "gridPos": {"h": 8, "w": panel.width, "x": x, "y": y},
                    "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
                    "targets": targets,
                }
            )
            x += panel.width
        y += 8
    return out


def text(dashboard: Dashboard) -> str:
    """The file that Grafana loads."""
    page = {
        "uid": f"docket-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["docket"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": panels(dashboard),
    }
    return json.dumps(page, indent=1) + "\n"


def main() -> int:
    """Writes or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    stale: list[str] = []
    for dashboard in ALL:
        path = DASHBOARDS / f"{dashboard.name}.json"
        if not check:
            path.write_text(text(dashboard), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text(dashboard):
            stale.append(path.name)
    if stale:
        print(f"stale: {', '.join(stale)}; run `make dashboards`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
