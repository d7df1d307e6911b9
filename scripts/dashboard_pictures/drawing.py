"""A dashboard as one SVG: its panels where its grid has them, with axes, lines and legends."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from html import escape
from typing import Any, NamedTuple, cast

from .numbers import marks, shown
from .series import Series, Source, Span, of_panel

#: Pixels of one of the grid's 24 columns and of one unit of height.
COLUMN, UNIT = 60, 30
HEAD = 64
#: Legends of one panel at most; the lines of the others are drawn all the same.
NAMED = 6
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
STYLE = (
    "text{font:11px sans-serif;fill:#333}.h{font-size:18px;font-weight:bold}.r{font-size:14px;font-weight:bold}"
    ".t{font-size:12px;font-weight:bold}.s{font-size:19px;font-weight:bold}.q{fill:#777}.e{text-anchor:end}"
    ".m{text-anchor:middle}polyline{fill:none;stroke-width:1.5;stroke-linejoin:round}"
    ".p{fill:#fff;stroke:#d5d5d5}.g{stroke:#e8e8e8}"
)


class Box(NamedTuple):
    """A place on the page, in pixels."""

    x: float
    y: float
    width: float
    height: float


class Scale(NamedTuple):
    """Where times and numbers lie in the middle of a panel."""

    at: Box
    span: Span
    low: float
    high: float

    def x(self, moment: float) -> float:
        """The place of a time."""
        return self.at.x + (moment - self.span.start) / (self.span.end - self.span.start) * self.at.width

    def y(self, value: float) -> float:
        """The place of a number."""
        return self.at.y + self.at.height - (value - self.low) / (self.high - self.low) * self.at.height

    def gap(self) -> float:
        """Points that lie farther apart are not joined, in seconds."""
        return 3.5 * self.span.step()


def text(x: float, y: float, words: str, kind: str = "", room: float = math.inf) -> str:
    """A text, cut to the room that it has (6.2 pixels a letter)."""
    if len(words) * 6.2 > room:
        words = words[: max(1, int(room / 6.2) - 1)] + "…"
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{of}>{escape(words)}</text>'


def lines(one: Series, colour: str, scale: Scale) -> list[str]:
    """The line of a series, broken where it has no number; a number that stays is one stroke."""
    runs: list[list[tuple[float, float]]] = [[]]
    before = -math.inf
    for moment, value in one.points:
        if not math.isfinite(value) or moment - before > scale.gap():
            runs.append([])
        if math.isfinite(value):
            x, y = round(scale.x(moment), 1), round(scale.y(value), 1)
            run = runs[-1]
            if len(run) >= 2 and run[-1][1] == run[-2][1] == y:
                run.pop()
            run.append((x, y))
            before = moment
    out: list[str] = []
    for run in runs:
        if len(run) == 1:
            out.append(f'<circle cx="{run[0][0]}" cy="{run[0][1]}" r="1.5" fill="{colour}"/>')
        elif run:
            places = " ".join(f"{x:g},{y:g}" for x, y in run)
            out.append(f'<polyline stroke="{colour}" points="{places}"/>')
    return out


def plot(series: list[Series], unit: str, at: Box, span: Span) -> list[str]:
    """Axes, lines and legend."""
    named = series[:NAMED]
    rows = math.ceil(len(named) / 2)
    inner = Box(at.x + 62, at.y + 30, at.width - 78, at.height - 30 - 24 - 14 * rows - 6)
    numbers = [value for one in series for _, value in one.points if math.isfinite(value)]
    round_numbers = marks(min(0.0, *numbers), max(numbers), base=1024 if unit == "bytes" else 10)
    scale = Scale(inner, span, round_numbers[0], round_numbers[-1])
    out: list[str] = []
    for mark in round_numbers:
        y = scale.y(mark)
        out.append(f'<path class="g" d="M{inner.x:.0f} {y:.1f}h{inner.width:.0f}"/>')
        out.append(text(inner.x - 5, y + 4, shown(mark, unit), "q e"))
    for part in range(4):
        moment = span.start + (span.end - span.start) * part / 3
        when = datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")
        kind = "q" if part == 0 else "q e" if part == 3 else "q m"
        out.append(text(inner.x + inner.width * part / 3, inner.y + inner.height + 14, when, kind))
    for number, one in enumerate(series):
        out += lines(one, COLOURS[number % len(COLOURS)], scale)
    half = (at.width - 20) / 2
    for number, one in enumerate(named):
        x, y = at.x + 10 + half * (number % 2), at.y + at.height - 14 * rows + 14 * (number // 2) + 6
        out.append(f'<path d="M{x:.0f} {y - 4:.0f}h12" stroke="{COLOURS[number]}" stroke-width="3"/>')
        latest = shown(one.last(), unit)
        more = f" (+{len(series) - NAMED} lines)" if number == NAMED - 1 and len(series) > NAMED else ""
        out.append(text(x + 16, y, f"{one.name}: {latest}{more}", "", half - 20))
    return out


def stat(series: list[Series], unit: str, at: Box) -> list[str]:
    """The latest numbers, large, beside each other."""
    columns = min(4, len(series))
    rows = math.ceil(len(series) / columns)
    out: list[str] = []
    for number, one in enumerate(series):
        width, height = at.width / columns, (at.height - 30) / rows
        x, y = at.x + width * (number % columns + 0.5), at.y + 30 + height * (number // columns + 0.5)
        out += [text(x, y, shown(one.last(), unit), "s m"), text(x, y + 15, one.name, "q m", width)]
    return out


def panel(described: dict[str, Any], source: Source, span: Span) -> list[str]:
    """One panel or the title of a row."""
    grid = cast("dict[str, int]", described["gridPos"])
    at = Box(grid["x"] * COLUMN, HEAD + grid["y"] * UNIT, grid["w"] * COLUMN, grid["h"] * UNIT)
    title = str(described["title"])
    if described["type"] == "row":
        return [text(at.x + 8, at.y + 21, title, "r")]
    out = [f'<rect class="p" x="{at.x + 4}" y="{at.y + 4}" width="{at.width - 8}" height="{at.height - 8}"/>']
    out.append(text(at.x + 14, at.y + 22, title, "t", at.width - 24))
    series = of_panel(described, source, span)
    unit = str(described["fieldConfig"]["defaults"].get("unit", "none"))
    if not series:
        return [*out, text(at.x + at.width / 2, at.y + at.height / 2, "nothing in this time", "q m")]
    inside = Box(at.x + 4, at.y + 4, at.width - 8, at.height - 8)
    return out + (stat(series, unit, inside) if described["type"] == "stat" else plot(series, unit, inside, span))


def picture(dashboard: dict[str, Any], source: Source, span: Span) -> str:
    """The whole dashboard."""
    panels = cast("list[dict[str, Any]]", dashboard["panels"])
    width = 24 * COLUMN
    height = HEAD + max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels) * UNIT + 8
    begin, end = (datetime.fromtimestamp(moment, UTC) for moment in span)
    when = f"{begin:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC"
    note = (
        f"{when}. Drawn from the panels' own queries by scripts/draw_dashboards.py, not by Grafana; legends: the latest"
    )
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<title>{escape(str(dashboard['title']))}</title><style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
        text(12, 28, str(dashboard["title"]), "h"),
        text(12, 50, note, "q"),
    ]
    for one in panels:
        out += panel(one, source, span)
    return "\n".join([*out, "</svg>"]) + "\n"
