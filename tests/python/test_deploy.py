"""What is deployed beside docket agrees with it: rules, alerts, dashboards, objectives name only what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
#: What Prometheus itself records about a scrape.
OF_PROMETHEUS = {"up"}

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is missing")


def load(path: Path) -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in load(path)["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def catalogue() -> set[str]:
    """Every name that a query may use: metrics of the page, and what their histograms become."""
    page = (PROJECT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    names: set[str] = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", page, flags=re.MULTILINE):
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def metrics_in(query: str) -> set[str]:
    """The metrics that a query names: words that stand where a metric can."""
    bare = re.sub(r'"[^"]*"', "", query)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    words = set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b", bare))
    functions = set(re.findall(r"([a-zA-Z_]+)\s*\(", bare))
    keywords = {"and", "or", "unless", "on", "by", "offset", "bool", "group_left", "le", "m", "h", "d", "s"}
    return {word for word in words - functions - keywords if len(word) > 1 and not re.fullmatch(r"\d+\w", word)}


def queries() -> list[tuple[str, str]]:
    """Every query with where it stands."""
    found = [(str(rule.get("alert", rule.get("record"))), str(rule["expr"])) for rule in rules()]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            found += [(f"{path.name}: {panel['title']}", str(target["expr"])) for target in panel.get("targets", [])]
    return found


@pytest.mark.parametrize("script", ["slo_rules.py", "dashboards.py"])
def test_the_committed_files_are_what_their_script_writes(script: str) -> None:
    command = [sys.executable, str(PROJECT / "scripts" / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_query_names_only_metrics_that_the_service_has() -> None:
    known = catalogue() | OF_PROMETHEUS | {str(rule["record"]) for rule in rules() if "record" in rule}
    assert len(known) > 40, "docs/telemetry.md could not be read"
    wrong = {where: unknown for where, query in queries() if (unknown := metrics_in(query) - known)}
    assert not wrong


def test_a_query_with_a_wrong_name_would_be_found() -> None:
    query = 'sum by (le) (rate(docket_job_wait_seconds_bucket{kind=~"a|b"}[5m])) > 14.4 * docket:slo_budget:ratio'
    assert metrics_in(query) == {"docket_job_wait_seconds_bucket", "docket:slo_budget:ratio"}


def test_every_metric_of_the_service_is_on_a_dashboard_or_in_a_rule() -> None:
    used = " ".join(query for _, query in queries())
    unused = {name for name in catalogue() if not name.endswith(("_sum", "_count", "_bucket")) and name not in used}
    seldom = {
        "docket_build_info",
        "docket_idempotency_total",
        "docket_jobs_handed_back_total",
        "http_server_connections",
        "http_server_connections_closed_total",
        "tokio_alive_tasks",
        "tokio_global_queue_depth",
        "tokio_workers",
    }
    assert unused <= seldom, "show them, or name them here"


def buckets_of(metric: str) -> set[float]:
    """The bounds of a histogram: those of language models are OpenTelemetry's, the others ours."""
    if metric.startswith("gen_ai_"):
        source = (PROJECT / "src" / "telemetry" / "gen_ai.rs").read_text(encoding="utf-8")
        line = re.search(r"DURATION_BUCKETS: &\[f64\] =\s*&\[([\d., _]+)\]", source)
    else:
        page = (PROJECT / "docs" / "telemetry.md").read_text(encoding="utf-8")
        line = re.search(r"buckets\n([\d., ]+) \(seconds\)", page)
    assert line is not None
    return {float(bound) for bound in line.group(1).split(", ")}


def test_thresholds_of_objectives_are_bounds_of_buckets() -> None:
    for objective in load(DEPLOY / "slo.json")["objectives"]:
        if "threshold_seconds" in objective:
            assert float(objective["threshold_seconds"]) in buckets_of(objective["metric"]), objective["name"]


def selects(selector: str, labels: dict[str, str]) -> bool:
    """Whether Prometheus would find a series with these labels by this selector."""
    parts = re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector)
    assert ",".join(f'{name}{how}"{value}"' for name, how, value in parts) == selector, "read in full"
    judged: dict[str, Callable[[str, str], bool]] = {
        "=": lambda value, given: value == given,
        "!=": lambda value, given: value != given,
        "=~": lambda value, given: re.fullmatch(given, value) is not None,
        "!~": lambda value, given: re.fullmatch(given, value) is None,
    }
    return all(judged[how](labels[name], value) for name, how, value in parts)


#: Routes that are more, less or something else than a read (GET) or a write (everything else).
SPECIAL_ROUTES = {
    "GET /v1/cases": {"search-availability", "search-latency"},
    "GET /v1/cases/search": {"search-availability", "search-latency"},
    "POST /v1/search": {"passages-availability", "passages-latency"},
    # How soon an answer begins is promised by first-token, which no route can tell.
    "POST /v1/answers": {"answers-availability"},
    # These take as long as the upload does.
    "POST /v1/documents": {"writes-availability"},
    "POST /v1/cases/{id}/evidence": {"writes-availability"},
    # As long as somebody else's server does.
    "POST /v1/webhooks/{id}/test": {"writes-availability"},
    # As long as the trail is.
    "GET /v1/audit/verify": {"reads-availability"},
    "GET /v1/cases/{id}/audit/verify": {"reads-availability"},
}


def test_each_route_falls_under_the_objectives_that_are_meant_for_it_and_no_others() -> None:
    stated = [o for o in load(DEPLOY / "slo.json")["objectives"] if o["metric"].startswith("http_server_")]
    document = json.loads((PROJECT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    methods = {"get", "post", "put", "patch", "delete"}
    routes = [(m.upper(), route) for route, item in document["paths"].items() for m in item if m in methods]
    assert set(SPECIAL_ROUTES) <= {f"{method} {route}" for method, route in routes}, "a route that is gone"
    for method, route in routes:
        kind = "reads" if method == "GET" else "writes"
        meant = SPECIAL_ROUTES.get(f"{method} {route}", {f"{kind}-availability", f"{kind}-latency"})
        found = {o["name"] for o in stated if selects(o["selector"], {"method": method, "route": route})}
        assert found == meant, f"{method} {route}"


def test_what_is_no_part_of_the_api_falls_under_no_objective() -> None:
    for objective in load(DEPLOY / "slo.json")["objectives"]:
        if objective["metric"].startswith("http_server_"):
            for route in ("/healthz", "/readyz", "/metrics", "/docs", "/problems/{name}"):
                assert not selects(objective["selector"], {"method": "GET", "route": route}), objective["name"]


def test_the_page_for_operators_states_every_objective() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ") and " % " in line]
    for objective in load(DEPLOY / "slo.json")["objectives"]:
        subject, _, what = objective["name"].partition("-")
        named = [line for line in lines if subject in line.partition("|")[2].partition("|")[0] and what in line]
        assert len(named) == 1, f"{objective['name']}: {named}"
        assert f"{round(objective['objective'] * 100, 4):g} %" in named[0], objective["name"]
        if "threshold_seconds" in objective:
            seconds = float(objective["threshold_seconds"])
            assert (f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s") in named[0], objective["name"]


def test_every_alert_says_how_urgent_it_is_what_happened_and_what_to_do() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {"page", "ticket"}, alert["alert"]
        assert set(alert["annotations"]) == {"summary", "runbook_url"}, alert["alert"]
        assert re.fullmatch(r"runbooks/[a-z-]+\.md", alert["annotations"]["runbook_url"]), alert["alert"]


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires: set[str] = set()
    silent: set[str] = set()
    for path in TESTS:
        for case in load(path)["tests"]:
            for expected in case["alert_rule_test"]:
                (fires if expected["exp_alerts"] else silent).add(expected["alertname"])
    named = {str(alert["alert"]) for alert in alerts()}
    assert fires == named
    assert named - silent <= {"DocketRestarting", "DocketDiskFilling"}, "their tests hold a second, healthy series"


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "config", "deploy/prometheus/prometheus.yml"],
        ["test", "rules", *[str(path.relative_to(PROJECT)) for path in TESTS]],
    ],
    ids=["config", "alerts"],
)
def test_promtool_accepts(arguments: list[str]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_understands_every_query_of_the_dashboards(tmp_path: Path) -> None:
    recorded = [{"record": f"query_{i}", "expr": query} for i, (_, query) in enumerate(queries())]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool (Debian: prometheus-alertmanager) is missing")
def test_alertmanager_accepts_its_configuration() -> None:
    command = ["amtool", "check-config", str(DEPLOY / "alertmanager" / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
