"""Curves over one axis as SVG: panels one below the other, each with its own scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 860, 230, 70, 190, 50
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}"
    ".grid{stroke:#ddd}.curve{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.paper{fill:#181818}}.paper{fill:#fff}"
)


@dataclass(frozen=True)
class Panel:
    """Curves with one unit, a value for each place on the axis below; `tenfold`: a mark is ten times the one before."""

    unit: str
    curves: dict[str, list[float]]
    tenfold: bool = False

    def marks(self) -> list[float]:
        """Where the scale has lines; the first and the last are its ends."""
        values = [value for curve in self.curves.values() for value in curve]
        if self.tenfold:
            low = math.floor(math.log10(max(min(values), 0.1)))
            high = math.ceil(math.log10(max(*values, 10.0**low * 10)))
            return [10.0**power for power in range(low, high + 1)]
        step = 10.0 ** math.floor(math.log10(max(values) or 1.0))
        step = step / 2 if max(values) / step < 3 else step
        return [step * number for number in range(math.ceil(max(values) / step) + 1)]


def chart(title: str, axis: str, places: list[float], panels: list[Panel]) -> str:
    """The picture; `places` are those of every curve."""
    height = TOP + len(panels) * (HEIGHT + 30) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f' aria-label="{escape(title)}"><style>{STYLE}</style>',
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="26">{escape(title)}</text>',
    ]
    low, high = min(places), max(places)

    def x(place: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place - low) / ((high - low) or 1.0)

    bottom = TOP
    for panel in panels:
        bottom += HEIGHT
        parts += _panel(panel, [x(place) for place in places], bottom)
        bottom += 30
        parts += [f'<text x="{x(p):.0f}" y="{bottom - 14}" text-anchor="middle">{p:g}</text>' for p in places]
    parts.append(
        f'<text x="{x((low + high) / 2):.0f}" y="{bottom + 8}" text-anchor="middle">{escape(axis)}</text></svg>'
    )
    return "\n".join(parts) + "\n"


def _panel(panel: Panel, columns: list[float], bottom: float) -> list[str]:
    marks = panel.marks()

    def scaled(value: float) -> float:
        return math.log10(max(value, marks[0])) if panel.tenfold else value

    def y(value: float) -> float:
        share = (scaled(value) - scaled(marks[0])) / ((scaled(marks[-1]) - scaled(marks[0])) or 1.0)
        return bottom - (HEIGHT - 30) * share

    parts = [f'<text x="{LEFT - 8}" y="{bottom - HEIGHT + 16}" text-anchor="end">{escape(panel.unit)}</text>']
    for mark in marks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>')
    above = bottom + 99.0
    ends = sorted(panel.curves.items(), key=lambda curve: -y(curve[1][-1]))
    colours = dict(zip(panel.curves, COLOURS, strict=False))
    for name, values in ends:
        points = " ".join(f"{column:.1f},{y(value):.1f}" for column, value in zip(columns, values, strict=True))
        parts.append(f'<polyline class="curve" stroke="{colours[name]}" points="{points}"/>')
        # Names at the ends of curves that meet stand one above the other.
        above = min(y(values[-1]) + 4, above - 14)
        parts.append(
            f'<text x="{WIDTH - RIGHT + 8}" y="{above:.1f}" style="fill:{colours[name]}">{escape(name)}</text>'
        )
    return parts
