"""The table of capacities says what k6 wrote, and the chart shows each curve."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bench.capacity import Step, drawing, read

REPORT = """# Load test: load

Ordinary use, 100 iterations begun a second.

6400 requests in 20.0 s, 320.1 a second; 3 answered "not now" (429 or 503).

| threshold | measured | kept |
|---|---|---|
| `http_req_waiting{slo:reads}: p(99)<=50` | 6.8803 | yes |

| objective | median | p90 | p99 | longest | |
|---|---|---|---|---|---|
| search | 4.9 ms | 8.7 ms | 17.2 ms | 29.5 ms | ███ |
| reads | 0.9 ms | 2.3 ms | 6.9 ms | 22.2 ms | █ |
| writes | 2.7 ms | 5.8 ms | 11.7 ms | 47.9 ms | ██ |
"""
PROCESSORS = {"docket": 0.25, "PostgreSQL": 0.5, "k6": 0.125}


def test_a_step_says_what_the_report_of_its_run_says() -> None:
    step = read(REPORT, 100, PROCESSORS)
    assert step.row() == ("| 100 | 320 | 0.9 / 6.9 | 2.7 / 11.7 | 4.9 / 17.2 | 0.25 | 0.50 | 0.12 | 3 | yes |")
    assert not read(REPORT.replace("| yes |", "| **NO** |"), 100, PROCESSORS).kept


def test_a_report_without_times_is_no_step() -> None:
    with pytest.raises(RuntimeError, match="too little"):
        read(REPORT.replace("| writes |", "| others |"), 100, PROCESSORS)


def test_the_chart_has_a_curve_for_every_objective_and_every_part() -> None:
    steps: list[Step] = [read(REPORT, rate, PROCESSORS) for rate in (50, 100, 200)]
    picture = ET.fromstring(drawing(steps))  # noqa: S314
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(picture.iter(f"{space}polyline"))) == 7
    words = [text.text for text in picture.iter(f"{space}text")]
    for name in ("reads", "writes", "search", "docket", "PostgreSQL", "k6", "together", "50", "100", "200"):
        assert name in words, name
