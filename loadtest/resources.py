"""Watches memory and descriptors of a running service during a soak, and judges them at the end (battery R16).

Usage: resources.py URL OUT.csv          until SIGTERM; then fails when memory grew by more than 1 MB a minute, or
descriptors grew
"""

from __future__ import annotations

import re
import signal
import sys
import time
import urllib.request
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 2.0
#: Caches fill and pools open at first: the first part of the run is not judged.
WARM_UP_SHARE = 0.3
MAX_MIB_A_MINUTE = 1.0
#: Connections of the load generator come and go.
DESCRIPTORS_TOLERATED = 8


def sample(url: str) -> tuple[float, float]:
    """Resident memory in MiB, and open descriptors."""
    if not url.startswith("http"):
        message = f"{url} is no address of a service"
        raise ValueError(message)
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
        text = answer.read().decode()

    def value(name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", text, flags=re.MULTILINE)
        return float(found[1]) if found else 0.0

    return value("process_resident_memory_bytes") / 2**20, value("process_open_fds")


def slope(points: list[tuple[float, float]]) -> float:
    """Growth a minute by least squares."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def main() -> int:
    """Samples until told to stop, writes the samples, judges them."""
    url, out = sys.argv[1], Path(sys.argv[2])
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    signal.signal(signal.SIGTERM, stop)
    began = time.monotonic()
    samples: list[tuple[float, float, float]] = []
    while not stopped:
        try:
            samples.append((time.monotonic() - began, *sample(url)))
        except OSError as error:
            print(f"not sampled: {error}", file=sys.stderr)
        time.sleep(EVERY_SECONDS)
    rows = [f"{at:.1f},{memory:.2f},{descriptors:.0f}" for at, memory, descriptors in samples]
    out.write_text("\n".join(["seconds,resident_mib,descriptors", *rows]) + "\n", encoding="utf-8")
    judged = [row for row in samples if row[0] >= samples[-1][0] * WARM_UP_SHARE] if samples else []
    if len(judged) < 10:
        print("resources: too short to judge")
        return 0
    growth = slope([(at, memory) for at, memory, _ in judged])
    third = len(judged) // 3
    before = max(descriptors for _, _, descriptors in judged[:third])
    after = max(descriptors for _, _, descriptors in judged[-third:])
    print(
        f"resources: {judged[0][1]:.1f} MiB after the warm-up, {judged[-1][1]:.1f} MiB at the end, "
        f"{growth:+.2f} MiB a minute; "
        f"descriptors {before:.0f} in the first third, {after:.0f} in the last"
    )
    return int(growth > MAX_MIB_A_MINUTE or after > before + DESCRIPTORS_TOLERATED)


if __name__ == "__main__":
    sys.exit(main())
