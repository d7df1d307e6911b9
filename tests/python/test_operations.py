"""The pages for operators keep their word: runbooks, alerts, drills and proofs exist and name each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
RUNBOOKS = sorted(path for path in (PROJECT / "runbooks").glob("*.md") if path.stem != "README")
PARTS = ["Symptom", "Impact", "Check", "Act", "Verify", "Prevent"]


def alerts() -> dict[str, str]:
    """The runbook of each alert."""
    text = (PROJECT / "deploy" / "prometheus" / "rules" / "alerts.yml").read_text(encoding="utf-8")
    groups = cast("list[dict[str, Any]]", yaml.safe_load(text)["groups"])
    return {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_the_parts_of_all_of_them(path: Path) -> None:
    headings = re.findall(r"^## (\w+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings in (PARTS, [*PARTS, "Drill"])


def test_every_alert_leads_to_a_runbook_that_names_it() -> None:
    for alert, runbook in alerts().items():
        assert f"`{alert}`" in (PROJECT / runbook).read_text(encoding="utf-8"), f"{runbook} does not name {alert}"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_names_alerts_that_lead_to_it_or_says_that_it_is_a_procedure(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"`(Docket\w+)`", text))
    assert named <= set(alerts()), "an alert that does not exist"
    leading = {alert for alert, runbook in alerts().items() if runbook == f"runbooks/{path.name}"}
    assert leading or text.split("\n")[2].startswith("No alert: a procedure")


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_links_and_metrics_of_a_runbook_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / link).exists(), link
    catalogue = (PROJECT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    for metric in re.findall(r"\b((?:docket|db_client|http_server)_[a-z_]+)(?=[`{ ])", text):
        known = (
            f"`{re.sub('_(count|sum|bucket)$', '', metric)}`" in catalogue
            or f"`{metric}`" in catalogue
            or metric.startswith("docket_app")
        )
        assert known, metric


def symptoms(path: Path) -> dict[str, str]:
    """The bullets of the part Symptom, each on one line."""
    part = path.read_text(encoding="utf-8").partition("## Symptom")[2].partition("\n## ")[0]
    bullets = re.findall(r"^- (\w+): (.*(?:\n  .*)*)", part, flags=re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in bullets}


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_says_which_alert_graph_and_log_line_show_it(path: Path) -> None:
    assert list(symptoms(path)) == ["Alert", "Graph", "Log"]


def panels() -> dict[str, set[str]]:
    """The titles of the panels of each dashboard."""
    pages = [
        json.loads(path.read_text(encoding="utf-8")) for path in (PROJECT / "deploy/grafana/dashboards").glob("*.json")
    ]
    return {page["title"].removeprefix("docket: "): {panel["title"] for panel in page["panels"]} for page in pages}


def panels_named(graph: str) -> list[tuple[str, str]]:
    """The panels that a bullet names, each with the dashboard in the parentheses that follow."""
    named: list[tuple[str, str]] = []
    waiting: list[str] = []
    for panel, page in re.findall(r'"([^"]+)"|\(([^)]+)\)', graph):
        if panel:
            waiting.append(panel)
        elif page in panels():
            named += [(page, title) for title in waiting]
            waiting = []
    return named + [("no dashboard", title) for title in waiting]


def test_panels_are_read_with_their_dashboards() -> None:
    text = '"A", "B" (overview); "C" where used is most (a remark), and "D" (plugins and what is asked outside). "E"'
    plugins = "plugins and what is asked outside"
    expected = [("overview", "A"), ("overview", "B"), (plugins, "C"), (plugins, "D"), ("no dashboard", "E")]
    assert panels_named(text) == expected


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_panel_that_a_runbook_names_is_on_the_dashboard_that_it_names(path: Path) -> None:
    graph = symptoms(path)["Graph"]
    named = panels_named(graph)
    assert named or graph.startswith("none")
    for page, panel in named:
        assert panel in panels().get(page, set()), f"{panel} ({page})"


#: What others write: it stands in our log as the cause, or in theirs.
OF_OTHERS = {
    "canceling statement due to statement timeout": "PostgreSQL",
    "could not read block": "PostgreSQL",
    "invalid page": "PostgreSQL",
    "log_lock_waits": "PostgreSQL",
    "No space left on device": "system",
    "pool timed out while waiting for an open connection": "driver",
}


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_log_line_that_a_runbook_quotes_is_one_that_docket_writes(path: Path) -> None:
    log = symptoms(path)["Log"]
    lines = (line for file in (PROJECT / "src").rglob("*.rs") for line in file.read_text(encoding="utf-8").splitlines())
    literals = (re.findall(r'"((?:[^"\\]|\\.)*)"', line) for line in lines if not line.lstrip().startswith("//"))
    written = "\n".join(text for found in literals for text in found)
    # Behind `none` stand the places to look at instead of the log.
    quoted = [] if re.match(r"none[;,.]", log) else re.findall(r"`([^`]+)`", log)
    assert quoted or log.startswith("none") or "ends in the middle" in log
    for line in quoted:
        if line in OF_OTHERS:
            assert OF_OTHERS[line] in log, f"{line} is not docket's"
        elif not line.startswith("docket "):
            assert line in written, f"docket never logs {line}"


def blocks(path: Path, info: str) -> list[str]:
    """The fenced blocks of a runbook that say what they are for in this way."""
    return re.findall(rf"^```{info}\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def rules() -> dict[str, str]:
    """The expression of each alert."""
    text = (PROJECT / "deploy" / "prometheus" / "rules" / "alerts.yml").read_text(encoding="utf-8")
    groups = cast("list[dict[str, Any]]", yaml.safe_load(text)["groups"])
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def test_every_alert_has_a_unit_test_that_sees_it_fire() -> None:
    tests = (PROJECT / "deploy" / "prometheus" / "tests").glob("*.yml")
    tested = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    for alert in rules():
        # The name ends here: DocketDown is not tested by a test of DocketDownstairs.
        firing = re.search(rf"alertname: {alert}\n\s+exp_alerts:\n\s+- exp_labels", tested)
        assert firing, f"no test sees {alert} fire"


#: Alerts that say more than a comparison of scrapes can: which block shows the fault instead, its metric, and why.
SHOWN_OTHERWISE = {
    "DocketErrorBudgetBurnFast": (
        "promql symptom",
        "http_server_request_duration_seconds_count",
        "a burn rate needs an hour of history; the drill shows the requests that it is recorded from",
    ),
    "DocketErrorBudgetBurnSlow": (
        "promql symptom",
        "http_server_request_duration_seconds_count",
        "a burn rate needs a day of history; the drill shows the requests that it is recorded from",
    ),
    "DocketRestarting": (
        "sh check",
        "process_cpu_seconds_total",
        "resets() are not among the comparisons of a drill; a check counts them and fails below three",
    ),
}
#: Alerts without a drill: the test that provokes their metric, and why no drill does.
NOT_DRILLED = {
    "DocketPanicked": (
        "tests/shell.rs",
        "no request and no setting is known that makes a handler panic; the test has a route of its own for it",
    ),
}


def selectors(expression: str) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    """The metrics of an expression, each with its labels: how they are compared, and with what."""
    found = re.findall(r"\b(up|[a-z]+(?:_[a-z]+)+)\b(?:\{([^}]*)\})?", expression)
    return [
        (metric, {label: (how, value) for label, how, value in re.findall(r'(\w+)(!?=)"([^"]*)"', labels)})
        for metric, labels in found
    ]


def shows(symptom: str, expression: str) -> bool:
    """Whether a symptom watches a metric of the expression, and no other series of it than the alert does."""
    for metric, labels in selectors(symptom):
        for watched, wanted in selectors(expression):
            # The job is Prometheus' own label; a scrape does not have it.
            fits = all(
                (labels.get(label) == ("=", value)) == (how == "=")
                for label, (how, value) in wanted.items()
                if label != "job"
            )
            if metric == watched and fits:
                return True
    return False


def test_a_symptom_shows_an_alert_when_it_watches_the_same_series() -> None:
    assert shows('docket_jobs_dead{kind="probe"} > 0', 'max by (kind) (docket_jobs_dead{kind!="verify_audit"}) > 0')
    assert not shows('docket_jobs_dead{kind="verify_audit"} > 0', 'max(docket_jobs_dead{kind!="verify_audit"}) > 0')
    assert not shows("docket_jobs_dead > 0", 'max(docket_jobs_dead{kind="verify_audit"}) > 0')
    assert shows("up == 0", 'up{job="docket"} == 0')
    assert not shows("up == 0", "docket_worker_service_up == 0")


@pytest.mark.parametrize("alert", sorted(set(rules()) - set(NOT_DRILLED)))
def test_every_alert_has_a_drill_that_provokes_what_it_watches(alert: str) -> None:
    path = PROJECT / alerts()[alert]
    for kind in ("sh inject", "sh check", "sh act", "sh verify"):
        assert blocks(path, kind), f"{path.name} has no block `{kind}`"
    shown = any(shows(symptom, rules()[alert]) for symptom in blocks(path, "promql symptom"))
    if alert in SHOWN_OTHERWISE:
        block, metric, reason = SHOWN_OTHERWISE[alert]
        assert not shown, f"{alert} needs no exception"
        assert metric in "\n".join(blocks(path, block)), f"{path.name}: {reason}"
    else:
        assert shown, f"the drill of {path.name} does not show what {alert} watches"


def test_what_has_no_drill_is_named_in_the_review_with_the_test_that_provokes_it() -> None:
    review = (PROJECT / "docs" / "reviews" / "failure-modes.md").read_text(encoding="utf-8")
    uncovered = review.partition("## What is not covered")[2].partition("\n## ")[0]
    for alert, (test, _) in NOT_DRILLED.items():
        assert alert in rules(), f"{alert} does not exist"
        (metric, *_), *_ = [known for known in selectors(rules()[alert]) if known[0].endswith("_total")]
        assert f"`{alert}`" in uncovered, f"the review does not say that {alert} has no drill"
        assert test in uncovered
        assert metric in (PROJECT / test).read_text(encoding="utf-8"), f"{test} does not look at {metric}"


def test_the_review_says_how_long_every_drill_took() -> None:
    review = (PROJECT / "docs" / "reviews" / "failure-modes.md").read_text(encoding="utf-8")
    drilled = {path.stem for path in RUNBOOKS if blocks(path, "sh inject")}
    assert set(re.findall(r"^\| `([a-z-]+)` \| (?:-|[\d.]+ s) \| [\d.]+ s \|$", review, flags=re.MULTILINE)) == drilled


def test_the_rubric_says_which_runbooks_have_no_drill() -> None:
    rubric = (PROJECT / "docs" / "rubric.md").read_text(encoding="utf-8")
    without = [path.stem for path in RUNBOOKS if "```sh inject" not in path.read_text(encoding="utf-8")]
    line = next(line for line in rubric.splitlines() if line.startswith("| D8 "))
    for name in without:
        assert name in line, f"D8 does not say that {name} has no drill"


@pytest.mark.parametrize("page", ["threat-model.md", "asvs.md"])
def test_every_proof_in_the_threat_model_exists(page: str) -> None:
    text = (PROJECT / "docs" / page).read_text(encoding="utf-8")
    for drill in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", "".join(re.findall(r"drills? ((?:`[a-z-]+`(?:, )?)+)", text))):
        assert (PROJECT / "runbooks" / f"{drill}.md").exists(), f"there is no drill {drill}"
    files = re.findall(r"`((?:tests|domain|src|scripts)/[\w/.]+)`(?:: `(\w+)`)?", text)
    assert len(files) > 15
    for file, name in files:
        path = PROJECT / file
        assert path.exists(), file
        if name:
            assert re.search(rf"\b(fn|def) {name}\(", path.read_text(encoding="utf-8")), f"{file} has no {name}"


def test_the_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    script = str(PROJECT / "scripts" / "sbom.py")
    subprocess.run([sys.executable, script, str(out)], check=True, capture_output=True)
    bill = json.loads(out.read_text(encoding="utf-8"))
    listed = {component["purl"]: component for component in bill["components"]}
    assert len(listed) == len(bill["components"]), "named twice"
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    for page in ("runtime.txt", "models.txt"):
        pinned = re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / "requirements" / page).read_text(), flags=re.MULTILINE)
        assert pinned
        for name, version in pinned:
            assert f"pkg:pypi/{name.lower().replace('_', '-')}@{version}" in listed, name
    locked = tomllib.loads((PROJECT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    for package in locked:
        known = f"pkg:cargo/{package['name']}@{package['version']}" in listed
        assert known == ("source" in package), package["name"]
    # What docket's image is built on, and the compiler's, which is left behind.
    dockerfile = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    images = dict(re.findall(r"^ARG (\w+)_IMAGE=(\S+)$", dockerfile, flags=re.MULTILINE))
    found = {f"{c['name']}:{c['version']}": c["scope"] for c in bill["components"] if c["type"] == "container"}
    assert found == {images["PYTHON"]: "required", images["RUST"]: "excluded"}
