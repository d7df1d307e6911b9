"""Pictures of the dashboards: what is drawn of which answer, and that the committed ones show them as they are."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from dashboard_pictures.drawing import picture
from dashboard_pictures.numbers import marks, shown
from dashboard_pictures.series import Span, named

PROJECT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((PROJECT / "deploy/grafana/dashboards").glob("*.json"))
SPAN = Span(1_700_000_000.0, 1_700_000_100.0)
SVG = "{http://www.w3.org/2000/svg}"


def dashboard(kind: str = "timeseries") -> dict[str, Any]:
    """One panel of two queries."""
    targets = [{"expr": "rate(a[1m])", "legendFormat": "{{route}} <b>"}, {"expr": "b", "legendFormat": "b"}]
    panel = {"type": kind, "title": "Rate & more", "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0}, "targets": targets}
    return {"title": "A page", "panels": [panel | {"fieldConfig": {"defaults": {"unit": "s"}}}]}


def answers(values: list[float]) -> Any:  # noqa: ANN401, a source of series
    """A Prometheus that has two routes and nothing of `b`."""

    def fetch(expression: str, span: Span) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        points = [(span.start + span.step() * place, value) for place, value in enumerate(values)]
        return [({"route": route}, points) for route in ("/x", "/y")] if expression == "rate(a[1m])" else []

    return fetch


def texts(drawn: str) -> list[str]:
    """Every text of a picture."""
    return [found.text or "" for found in ET.fromstring(drawn).iter(f"{SVG}text")]  # noqa: S314, our own


def test_every_series_of_a_panel_is_a_line_with_its_name_and_latest_value() -> None:
    drawn = picture(dashboard(), answers([0.1, 0.3, 0.2]), SPAN)
    assert len(list(ET.fromstring(drawn).iter(f"{SVG}polyline"))) == 2  # noqa: S314
    assert {"A page", "Rate & more", "/x <b>: 200 ms", "/y <b>: 200 ms"} <= set(texts(drawn))


def test_a_line_is_broken_where_there_is_no_number_and_a_panel_without_any_says_so() -> None:
    drawn = picture(dashboard(), answers([0.1, 0.3, math.nan, 0.2, 0.2]), SPAN)
    assert len(list(ET.fromstring(drawn).iter(f"{SVG}polyline"))) == 4  # noqa: S314
    drawn = picture(dashboard(), answers([math.nan]), SPAN)
    assert "nothing in this time" in texts(drawn)
    assert "<polyline" not in drawn


def test_higher_numbers_lie_higher_and_later_ones_farther_right() -> None:
    drawn = picture(dashboard(), answers([0.0, 1.0]), SPAN)
    found = re.search(r'points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', drawn)
    assert found
    left, low, right, high = map(float, found.groups())
    assert left < right
    assert low > high


def test_a_stat_shows_the_latest_numbers() -> None:
    assert {"200 ms", "/x <b>"} <= set(texts(picture(dashboard("stat"), answers([0.1, 0.2]), SPAN)))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0421, "s", "42.1 ms"),
        (2.5, "s", "2.5 s"),
        (36.2, "reqps", "36.2/s"),
        (520_000_000, "bytes", "496 MiB"),
        (0.981, "percentunit", "98.1 %"),
        (23_700, "short", "23.7k"),
        (math.nan, "short", "-"),
    ],
)
def test_a_number_is_shown_in_its_unit(value: float, unit: str, expected: str) -> None:
    assert shown(value, unit) == expected


def test_marks_are_round_and_hold_all_numbers() -> None:
    assert marks(0, 37) == [0, 10, 20, 30, 40]
    assert marks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    for low, high in ((0, 0), (-0.3, 7), (0, 1e-9), (0, 9e11)):
        found = marks(low, high)
        assert found[0] <= low
        assert found[-1] >= high
        assert 2 <= len(found) <= 8
    assert marks(0, 700 * 1024**2, base=1024)[1] % 1024**2 == 0


def test_a_legend_is_filled_as_grafana_fills_it() -> None:
    labels = {"method": "GET", "route": "/v1/cases"}
    assert named("{{method}} {{ route }} {{gone}}", labels) == "GET /v1/cases"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_the_committed_picture_is_of_the_dashboard_as_it_is(path: Path) -> None:
    """Stale pictures are drawn anew by `make dashboards-pictures`."""
    drawn = (PROJECT / "docs/dashboards" / f"{path.stem}.svg").read_text(encoding="utf-8")
    page = json.loads(path.read_text(encoding="utf-8"))
    titles = [panel["title"] for panel in page["panels"]]
    found = texts(drawn)
    assert [one for one in found if one in titles] == titles
    assert page["title"] in found
    assert "not by Grafana" in drawn
    assert len(drawn.encode()) < 300_000
    assert f"dashboards/{path.stem}.svg" in (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
