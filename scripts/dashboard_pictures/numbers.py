"""Numbers as an axis shows them: in the unit of the panel, with round marks."""

from __future__ import annotations

import math

#: What Grafana calls the unit, and what stands behind the number.
SUFFIXES = {"ops": "/s", "reqps": "/s", "short": "", "none": ""}
BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def _plain(value: float) -> str:
    """Three figures, without needless zeros."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def shown(value: float, unit: str) -> str:
    """A number in a unit of Grafana's."""
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        if value == 0 or abs(value) >= 1:
            return f"{value:.3g} s"
        return f"{value * 1e3:.3g} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.3g} µs"
    if unit == "bytes":
        power = min(len(BINARY) - 1, int(math.log(abs(value), 1024))) if abs(value) >= 1 else 0
        return f"{value / 1024**power:.3g} {BINARY[power]}"
    return _plain(value) + SUFFIXES.get(unit, f" {unit}")


def marks(low: float, high: float, about: int = 4, base: int = 10) -> list[float]:
    """Round numbers that reach from at most `low` to at least `high`."""
    if high <= low:
        high = low + (abs(low) or 1)
    raw = (high - low) / about
    power = float(base) ** math.floor(math.log(raw, base))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 1e9) if power * factor >= raw * 0.999)
    if base != 10:
        step = power * 2 ** math.ceil(math.log2(raw / power))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]
