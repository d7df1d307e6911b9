"""The load tests: k6 accepts each, their bounds are the objectives, and a run that shows nothing fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from judge_overload import judge

PROJECT = Path(__file__).resolve().parents[2]
LOADTEST = PROJECT / "loadtest"
SCENARIOS = sorted(path.stem for path in LOADTEST.glob("*.js"))


def k6() -> str | None:
    built = PROJECT / ".tools" / "bin" / "k6"
    return str(built) if built.exists() else shutil.which("k6")


def bounds(*names: str, tag: str = "") -> dict[str, list[str]]:
    """The thresholds that the objectives of these names become, for the requests with one more tag."""
    stated = cast("list[dict[str, Any]]", json.loads((PROJECT / "deploy" / "slo.json").read_text())["objectives"])
    found: dict[str, list[str]] = {"wrong_answers": ["count==0"]}
    for objective in stated:
        slo = str(objective["name"]).partition("-")[0]
        if slo in names:
            share = f"p({objective['objective'] * 100:g})<={objective.get('threshold_seconds', 0) * 1000:g}"
            if objective["kind"] == "availability":
                found[f"server_errors{{slo:{slo}{tag}}}"] = [f"rate<={1 - objective['objective']:g}"]
            elif objective["kind"] == "latency":
                found[f"http_req_waiting{{slo:{slo}{tag}}}"] = [share]
            elif objective["kind"] == "first-token":
                found["time_to_first_token"] = [share]
    unknown = [name for name in names if not any(str(o["name"]).startswith(f"{name}-") for o in stated)]
    assert not unknown
    return found


#: Every threshold of every scenario; one without a bound is there for the report.
EXPECTED: dict[str, dict[str, list[str]]] = {
    "smoke": bounds("writes", "reads", "search"),
    "load": {**bounds("writes", "reads", "search"), "dropped_iterations": ["count<=10"]},
    "stress": {
        "wrong_answers": ["count==0"],
        **{f"http_req_waiting{{slo:{slo}}}": [] for slo in ("writes", "reads", "search")},
    },
    "overload": {"wrong_answers": ["count==0"], "neither_done_nor_refused": ["count==0"]},
    "spike": bounds("writes", "reads", "search", tag=",phase:after"),
    "soak": {**bounds("writes", "reads", "search"), **{f"http_req_waiting{{third:{n}}}": [] for n in (1, 2, 3)}},
    "idempotency": bounds("writes", "reads"),
    "search": bounds("search", "writes"),
    "answers": {
        **bounds("answers", "first", "passages"),
        **{name: ["count>0"] for name in ("answers_streamed", "answers_supported", "answers_not_found")},
    },
    "tenants": bounds("writes", "reads", "search", tag=",who:quiet"),
}


def test_every_scenario_is_expected_to_have_some_bounds_and_stands_on_the_page() -> None:
    assert set(EXPECTED) == set(SCENARIOS)
    page = (LOADTEST / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == set(SCENARIOS)


def test_every_scenario_is_run_by_a_target() -> None:
    targets = re.findall(
        r"loadtest/run\.sh ([\w ]+)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert {scenario for target in targets for scenario in target.split()} == set(SCENARIOS)


@pytest.mark.skipif(k6() is None, reason="k6 is missing: `make k6` builds it")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_k6_accepts_the_scenario_and_its_bounds_are_exactly_those_expected(scenario: str, tmp_path: Path) -> None:
    demo = tmp_path / "demo.json"
    demo.write_text('{"url": "http://127.0.0.1:1", "tenants": [{"name": "a", "keys": {}}, {"name": "b", "keys": {}}]}')
    command = [str(k6()), "inspect", "--env", f"DOCKET_DEMO_FILE={demo}", f"loadtest/{scenario}.js"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["thresholds"] == EXPECTED[scenario]


def figures(**other: float) -> dict[str, float]:
    """A run that kept everything, but for what is named."""
    kept = {
        "peak_per_second": 1000.0,
        "overload_per_second": 900.0,
        "after_per_second": 990.0,
        "refused": 50_000.0,
        "refused_median_ms": 12.0,
        "refused_p99_ms": 90.0,
        "peak_mib": 100.0,
        "overload_mib": 150.0,
    }
    return {**kept, **other}


@pytest.mark.parametrize(
    ("other", "missed"),
    [
        ({}, ""),
        ({"overload_per_second": 799.0}, "done under overload: 799/s, 79.9% of the peak"),
        ({"after_per_second": 700.0}, "ten seconds later"),
        ({"refused_median_ms": 50.1}, "half of them within 50.1 ms"),
        ({"overload_mib": 201.0}, "2.01 times"),
        ({"overload_mib": 0.0}, "0 MiB"),
        ({"refused": 0.0}, "nobody was refused"),
        ({"peak_per_second": 0.0}, "nothing was done at the peak"),
        ({"peak_mib": 0.0}, "nothing to compare with"),
    ],
)
def test_an_overload_is_judged_by_its_figures(other: dict[str, float], missed: str) -> None:
    found = [sentence for kept, sentence in judge(figures(**other)) if not kept]
    if missed:
        assert len(found) == 1
        assert missed in found[0]
    else:
        assert not found


def run(tmp_path: Path, scenario: str, k6_does: str) -> subprocess.CompletedProcess[str]:
    """`run.sh` with something in the place of k6 that writes what it is told to."""
    tool = tmp_path / "k6"
    tool.write_text(f"#!/bin/sh\n{k6_does}\n")
    tool.chmod(0o755)
    demo = tmp_path / "demo.json"
    demo.write_text("{}")
    reports = tmp_path / "reports"
    environment = {**os.environ, "K6": str(tool), "DOCKET_DEMO_FILE": str(demo), "REPORT_DIR": str(reports)}
    command = ["bash", str(LOADTEST / "run.sh"), scenario]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


BOTH = 'echo said > "$REPORT_DIR/{0}.md"; echo drawn > "$K6_WEB_DASHBOARD_EXPORT"'


def test_a_run_that_wrote_both_reports_succeeds(tmp_path: Path) -> None:
    done = run(tmp_path, "smoke", BOTH.format("smoke"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "reports" / "smoke.html").read_text() == "drawn\n"


def test_a_run_without_charts_fails_even_when_older_ones_lie_there(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "smoke.html").write_text("of yesterday")
    done = run(tmp_path, "smoke", 'echo said > "$REPORT_DIR/smoke.md"')
    assert done.returncode == 1
    assert "smoke: the report smoke.html was not written" in done.stdout


def test_a_run_whose_thresholds_were_crossed_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "smoke", BOTH.format("smoke") + "; exit 99")
    assert done.returncode == 1
    assert re.search(r"^  smoke$", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize(("goodput", "expected"), [(900.0, 0), (550.0, 1)])
def test_a_run_of_the_overload_fails_when_most_of_the_peak_is_gone(
    tmp_path: Path, goodput: float, expected: int
) -> None:
    (tmp_path / "figures.json").write_text(json.dumps(figures(overload_per_second=goodput)))
    done = run(
        tmp_path, "overload", BOTH.format("overload") + f'; cp "{tmp_path}/figures.json" "$REPORT_DIR/overload.json"'
    )
    assert done.returncode == expected, done.stdout + done.stderr
    assert f"done under overload: {goodput:.0f}/s" in done.stdout


def test_a_run_of_the_overload_without_figures_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "overload", BOTH.format("overload"))
    assert done.returncode == 1
    assert "overload: R15" in done.stdout
