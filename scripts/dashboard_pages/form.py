"""What a dashboard is made of, and the queries that several share."""

from __future__ import annotations

from typing import NamedTuple


class Panel(NamedTuple):
    """One picture: what it is called, how to read it, its unit, and its queries by legend."""

    title: str
    about: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    width: int = 8


class Dashboard(NamedTuple):
    """One page of rows."""

    name: str
    title: str
    rows: dict[str, list[Panel]]


def quantile(share: float, metric: str, by: str, selector: str = "") -> str:
    """A quantile of a histogram over the last five minutes."""
    of = f"{{{selector}}}" if selector else ""
    return f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}_bucket{of}[5m])))"
