"""What the queries of a panel give over a time, with the names that the panel gives them."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from stack.client import ask
from stack.say import CannotGoOnError

#: Points of a line at most: more than a panel is wide in Grafana's smallest grid says nothing more.
POINTS = 150


class Series(NamedTuple):
    """A line: its name in the legend, and values by seconds since 1970; where there is none, NaN."""

    name: str
    points: list[tuple[float, float]]

    def last(self) -> float:
        """The latest number."""
        return next((value for _, value in reversed(self.points) if not math.isnan(value)), math.nan)


class Span(NamedTuple):
    """From when to when, in seconds since 1970."""

    start: float
    end: float

    def step(self) -> int:
        """The distance of two points, in whole seconds."""
        return max(1, math.ceil((self.end - self.start) / POINTS))


#: Gives the series of an expression: their labels and points.
Source = Callable[[str, Span], list[tuple[dict[str, str], list[tuple[float, float]]]]]


def of_prometheus(url: str) -> Source:
    """The range queries of a Prometheus."""

    def fetch(expression: str, span: Span) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        order = {"query": expression, "start": span.start, "end": span.end, "step": span.step()}
        answer = ask(f"{url}/api/v1/query_range?{urllib.parse.urlencode(order)}").json()
        if answer["status"] != "success":
            raise CannotGoOnError(f"Prometheus does not understand {expression}: {answer.get('error')}")
        rows = cast("list[dict[str, Any]]", answer["data"]["result"])
        return [(row["metric"], [(float(at), float(value)) for at, value in row["values"]]) for row in rows]

    return fetch


def named(legend: str, labels: dict[str, str]) -> str:
    """The legend with the values of its labels, as Grafana writes it."""
    filled = re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), legend)
    return " ".join(filled.split()) or "value"


def of_panel(panel: dict[str, Any], source: Source, span: Span) -> list[Series]:
    """Every series of a panel that has a number, in the order of its queries, the highest first."""
    found: list[Series] = []
    for target in cast("list[dict[str, str]]", panel.get("targets", [])):
        rows = [
            Series(named(target["legendFormat"], labels), points)
            for labels, points in source(target["expr"], span)
            if any(math.isfinite(value) for _, value in points)
        ]
        found += sorted(
            rows, key=lambda one: (-max(value for _, value in one.points if not math.isnan(value)), one.name)
        )
    return found
