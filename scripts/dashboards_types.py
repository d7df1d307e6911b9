#!/usr/bin/env python3
"""Holds the dashboards of deploy/grafana against Grafana's own types, of the version that docker-compose.yml starts.

Grafana publishes the schema of its dashboards as TypeScript (`@grafana/schema`). Every dashboard becomes a constant
that must satisfy it: a field that Grafana does not know, or one of the wrong type, is an error with its place. What
Grafana would draw is not shown by this.

    make dashboards-types                     installs the types (needs node) and compares
    python scripts/dashboards_types.py DIR    DIR: where `npm ci` put them
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
DASHBOARDS = PROJECT / "deploy" / "grafana" / "dashboards"
HEAD = 'import type { Dashboard, Panel, RowPanel } from "@grafana/schema";\n'
COMPILER = (
    *("--noEmit", "--strict", "--skipLibCheck"),
    *("--moduleResolution", "bundler", "--module", "esnext", "--target", "es2022"),
)


def typescript(dashboard: dict[str, Any]) -> str:
    """A module that compiles when the dashboard is what Grafana expects.

    `Dashboard.panels` is a union of several kinds of panel, of which a compiler forgives too much; so rows and panels
    are compared each with their own type, and the rest without them.
    """
    panels: list[dict[str, Any]] = dashboard["panels"]
    parts: list[tuple[str, Any, str]] = [
        ("rest", {name: value for name, value in dashboard.items() if name != "panels"}, "Omit<Dashboard, 'panels'>"),
        ("rows", [panel for panel in panels if panel["type"] == "row"], "RowPanel[]"),
        ("panels", [panel for panel in panels if panel["type"] != "row"], "Panel[]"),
    ]
    lines = [f"export const {name} = {json.dumps(value, indent=1)} satisfies {kind};" for name, value, kind in parts]
    return HEAD + "\n".join(lines) + "\n"


def refused(directory: Path, modules: dict[str, str]) -> list[str]:
    """What the compiler says against the modules, a line each."""
    for name, module in modules.items():
        (directory / name).write_text(module, encoding="utf-8")
    command = [str(directory / "node_modules" / ".bin" / "tsc"), *COMPILER, *modules]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode != 0 and not said:
        raise RuntimeError("the compiler failed and said nothing")
    return said


def main() -> int:
    """Compares all dashboards, and one that is wrong on purpose, which must be refused."""
    directory = Path(sys.argv[1]).resolve()
    pages = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}
    said = refused(directory, {f"{name}.ts": typescript(page) for name, page in pages.items()})
    if said:
        print("\n".join(said), file=sys.stderr)
        print("Grafana does not know this; mend scripts/dashboards.py and run `make dashboards`", file=sys.stderr)
        return 1
    wrong = json.loads(json.dumps(pages["overview"]))
    wrong["refreshes"] = wrong.pop("refresh")
    wrong["panels"][1]["gridPos"]["h"] = "eight"
    if len(refused(directory, {"wrong.ts": typescript(wrong)})) < 2:
        print("two mistakes made on purpose were not seen: the types compare nothing", file=sys.stderr)
        return 1
    panels = sum(len(page["panels"]) for page in pages.values())
    print(f"{len(pages)} dashboards with {panels} rows and panels are what Grafana's types ask for")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
