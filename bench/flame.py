"""Flame graphs: stacks that perf sampled, drawn so that a frame's width is its share of the samples (Gregg, 2011)."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

WIDTH, ROW, TOP = 1400, 17, 44
#: Narrower frames would not be seen; they count in those below them.
NARROWEST = 0.0015
LETTER = 6.4
#: Rust's mangled names end with a hash; threads of one kind bear numbers.
HASH = re.compile(r"::h[0-9a-f]{16}$")
STYLE = "text{font:11px ui-monospace,monospace;fill:#111}.title{font:600 15px system-ui,sans-serif}.paper{fill:#fff}"

Stack = tuple[str, ...]


@dataclass
class Frame:
    """A function below its callers, the number of samples in it, and what it called."""

    samples: int = 0
    calls: dict[str, Frame] = field(default_factory=dict[str, "Frame"])


def stacks(script: str) -> Counter[Stack]:
    """How often each stack was seen by what `perf script -F comm,ip,sym` says; outermost first, no idle task."""
    seen: Counter[Stack] = Counter()
    for sample in script.split("\n\n"):
        lines = [line for line in sample.splitlines() if line.strip()]
        if not lines or lines[0].startswith("swapper"):
            continue
        frames = [HASH.sub("", line.strip().partition(" ")[2]) for line in lines[1:]]
        seen[(program(lines[0]), *reversed(frames))] += 1
    return seen


def program(thread: str) -> str:
    """The name that threads of one program share."""
    name = thread.strip()
    return "docket" if name.startswith(("docket", "tokio")) else name


def tree(seen: Counter[Stack]) -> Frame:
    """Stacks put together where they begin alike."""
    root = Frame()
    for stack, count in seen.items():
        root.samples += count
        at = root
        for name in stack:
            at = at.calls.setdefault(name, Frame())
            at.samples += count
    return root


def drawing(title: str, seen: Counter[Stack]) -> str:
    """The picture: callers below, names as tooltips and where they fit."""
    root = tree(seen)
    boxes = list(_boxes(root, 0.0, 0, root.samples))
    deepest = max((depth for _, _, depth, _, _ in boxes), default=0)
    height = TOP + (deepest + 1) * ROW + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
        f' aria-label="{escape(title)}"><style>{STYLE}</style><rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="10" y="26">{escape(title)} ({root.samples} samples)</text>',
    ]
    for left, share, depth, name, samples in boxes:
        x, y, wide = left * WIDTH, height - 8 - (depth + 1) * ROW, share * WIDTH
        fits = int((wide - 6) / LETTER)
        said = name if len(name) <= fits else f"{name[: fits - 1]}…" if fits > 3 else ""
        parts.append(
            f"<g><title>{escape(name)}: {100 * share:.1f} % ({samples})</title>"
            f'<rect x="{x:.1f}" y="{y}" width="{max(wide - 0.5, 0.5):.1f}" height="{ROW - 1}" fill="{_colour(name)}"/>'
            + (f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(said)}</text>' if said else "")
            + "</g>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _boxes(frame: Frame, left: float, depth: int, whole: int) -> Iterator[tuple[float, float, int, str, int]]:
    for name, call in sorted(frame.calls.items()):
        share = call.samples / whole
        if share >= NARROWEST:
            yield left, share, depth, name, call.samples
            yield from _boxes(call, left, depth + 1, whole)
        left += share


def _colour(name: str) -> str:
    """Warm, and the same for the same name; what is of docket's own is bluish."""
    tint = zlib.crc32(name.encode()) % 40
    if "docket::" in name or "docket_domain" in name:
        return f"hsl({200 + tint // 2},60%,{66 + tint // 4}%)"
    return f"hsl({14 + tint},80%,{64 + tint // 4}%)"
