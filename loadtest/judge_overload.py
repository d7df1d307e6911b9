"""Judges what `overload.js` measured by battery R15: goodput, time of a refusal, memory, and the time after.

Usage: judge_overload.py OVERLOAD.json          prints each figure with its bound; fails when one is missed
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

#: Share of the peak that is still done under overload, and done again ten seconds after it.
MIN_GOODPUT = 0.80
#: Half of those who are refused hear it within this time.
MAX_REFUSAL_MS = 50.0
#: Resident memory under overload, in times of that at the peak.
MAX_MEMORY = 2.0


def judge(figures: dict[str, float]) -> list[tuple[bool, str]]:
    """Each bound: whether it was kept, and the sentence that says so."""
    peak, mib = figures["peak_per_second"], figures["peak_mib"]
    if peak <= 0 or mib <= 0:
        return [
            (False, "nothing was done at the peak, or its memory was not measured: there is nothing to compare with")
        ]
    during, after = figures["overload_per_second"], figures["after_per_second"]
    memory = figures["overload_mib"]
    said = [
        (
            during / peak >= MIN_GOODPUT,
            f"done under overload: {during:.0f}/s, {during / peak:.1%} of the peak of {peak:.0f}/s; "
            f"at least {MIN_GOODPUT:.0%}",
        ),
        (
            after / peak >= MIN_GOODPUT,
            f"done ten seconds later: {after:.0f}/s, {after / peak:.1%} of the peak; at least {MIN_GOODPUT:.0%}",
        ),
        (
            0 < memory <= MAX_MEMORY * mib,
            f"memory under overload: {memory:.0f} MiB, {memory / mib:.2f} times the {mib:.0f} MiB of the peak; "
            f"at most {MAX_MEMORY:g} times, and more than nothing",
        ),
    ]
    if figures["refused"] <= 0:
        return [
            *said,
            (False, "nobody was refused: that was no overload; raise CLIENTS or lower DOCKET_SERVER__MAX_IN_FLIGHT"),
        ]
    median = figures["refused_median_ms"]
    refusals = f"refused {figures['refused']:.0f}: half of them within {median:.1f} ms; at most {MAX_REFUSAL_MS:g} ms"
    return [*said, (median <= MAX_REFUSAL_MS, refusals)]


def main() -> int:
    """Reads, judges, prints."""
    verdicts = judge(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for kept, sentence in verdicts:
        print(f"{'kept  ' if kept else 'MISSED'}  {sentence}")
    return int(not all(kept for kept, _ in verdicts))


if __name__ == "__main__":
    sys.exit(main())
