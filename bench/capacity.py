"""How much one machine can do: ordinary use by k6, rate after rate, until it misses an objective; who was busy.

Usage: python -m bench.capacity [--rates 50,100,...] [--seconds 20] [--chart OUT.svg] [--flame OUT.svg]

Starts a service of its own with demo cases, warms it up, holds each rate for the given seconds, prints a table.
The flame graph is of the whole machine at the last rate that kept every objective; it needs perf.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import flame
from bench.chart import Panel, chart
from bench.service import TICKS, Program, alone, docket

OBJECTIVES = ("reads", "writes", "search")
#: Beyond the last kept rate so many more are measured, so that the table shows what comes after the knee.
BEYOND = 2
WARM_UP_SECONDS = 5
FLAME_SECONDS = 12


@dataclass(frozen=True)
class Step:
    """One rate: what k6 measured, and the share of the processors (1 is one processor) that each part had."""

    rate: int
    requests: float
    not_now: int
    kept: bool
    p50: dict[str, float]
    p99: dict[str, float]
    processors: dict[str, float]

    def row(self) -> str:
        """A line of the table."""
        times = [f"{self.p50[name]:.1f} / {self.p99[name]:.1f}" for name in OBJECTIVES]
        shares = [f"{self.processors[name]:.2f}" for name in ("docket", "PostgreSQL", "k6")]
        parts = [
            str(self.rate),
            f"{self.requests:.0f}",
            *times,
            *shares,
            str(self.not_now),
            "yes" if self.kept else "no",
        ]
        return f"| {' | '.join(parts)} |"


def main() -> int:
    """Climbs until the objectives are missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--rates", default="100,200,300,350,400,450,500,550,600,650,700,800,900,1000")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--chart", type=Path, help="writes the times over the rates as SVG")
    parser.add_argument("--flame", type=Path, help="writes a flame graph of the whole machine at the knee as SVG")
    options = parser.parse_args()
    k6 = shutil.which(".tools/bin/k6") or shutil.which("k6")
    if k6 is None:
        print("k6 is missing: `make k6` builds it where Go is (loadtest/README.md)", file=sys.stderr)
        return 1
    rates = [int(rate) for rate in str(options.rates).split(",")]
    with alone("capacity") as (directory, _quick):
        data = directory / "data"
        settings = {
            "DOCKET_TELEMETRY__LOG_FILTER": "warn",
            "PATH": f"{Path('.venv/bin').absolute()}:{os.environ['PATH']}",
        }
        with docket(data, settings, "demo", "--no-documents") as service:
            load = Load(k6, service, data)
            load.run(rates[0], WARM_UP_SECONDS)
            steps = climb(load, rates, options.seconds)
            knee = max((step.rate for step in steps if step.kept), default=None)
            if options.flame is not None and knee is not None:
                load.flame(knee, options.flame)
    if options.chart is not None:
        options.chart.write_text(drawing(steps), encoding="utf-8")
    print(f"\nthe knee: {knee} iterations a second" if knee else "\nno rate kept every objective")
    return 0 if knee else 1


def climb(load: Load, rates: list[int], seconds: int) -> list[Step]:
    """Rate after rate, printed as they come."""
    times = [f"{name} p50 / p99 (ms)" for name in OBJECTIVES]
    titles = ["iterations/s", "requests/s", *times, "docket", "PostgreSQL", "k6", "not now", "kept"]
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|", flush=True)
    steps: list[Step] = []
    missed = 0
    for rate in rates:
        steps.append(load.run(rate, seconds))
        print(steps[-1].row(), flush=True)
        missed = 0 if steps[-1].kept else missed + 1
        if missed == BEYOND:
            break
    return steps


class Load:
    """k6 against one service, and what everybody cost meanwhile."""

    def __init__(self, k6: str, service: Program, data: Path) -> None:
        self.k6 = k6
        self.service = service
        self.data = data

    def run(self, rate: int, seconds: int) -> Step:
        """Ordinary use at a constant rate of arrival."""
        with tempfile.TemporaryDirectory() as reports:
            began, before = time.monotonic(), self._spent()
            done = subprocess.run(
                self._command(),
                env=self._environment(rate, seconds, reports),
                capture_output=True,
                text=True,
                check=False,
            )
            took, after = time.monotonic() - began, self._spent()
            page = Path(reports) / "load.md"
            if not page.exists():
                raise RuntimeError(done.stderr)
            said = page.read_text(encoding="utf-8")
        return read(said, rate, {name: (after[name] - before[name]) / took for name in after})

    def flame(self, rate: int, out: Path) -> None:
        """Samples every stack of the machine while the load runs, and draws them."""
        perf = shutil.which("perf")
        if perf is None:
            print("no flame graph: perf is missing (Debian: linux-perf)", file=sys.stderr)
            return
        with tempfile.TemporaryDirectory() as reports:
            environment = self._environment(rate, FLAME_SECONDS + 2 * WARM_UP_SECONDS, reports)
            quiet = subprocess.DEVNULL
            with subprocess.Popen(self._command(), env=environment, stdout=quiet, stderr=quiet):
                time.sleep(WARM_UP_SECONDS)
                samples = Path(reports) / "perf.data"
                record = [perf, "record", "-q", "-a", "-F", "199", "--call-graph", "dwarf,16384", "-o", str(samples)]
                subprocess.run([*record, "--", "sleep", str(FLAME_SECONDS)], check=True, stderr=quiet)
            script = [perf, "script", "--no-inline", "-F", "comm,ip,sym", "-i", str(samples)]
            text = subprocess.run(script, capture_output=True, check=True).stdout.decode(errors="replace")
        title = f"docket, PostgreSQL and k6 at {rate} iterations a second: who had the processors"
        out.write_text(flame.drawing(title, flame.stacks(text)), encoding="utf-8")

    def _command(self) -> list[str]:
        return [self.k6, "run", "--quiet", "--no-color", "loadtest/load.js"]

    def _environment(self, rate: int, seconds: int, reports: str) -> dict[str, str]:
        ours = {"RATE": str(rate), "DURATION": f"{seconds}s", "REPORT_DIR": reports, "K6_NO_USAGE_REPORT": "true"}
        return {**os.environ, **ours, "DOCKET_DEMO_FILE": str(self.data / "demo.json")}

    def _spent(self) -> dict[str, float]:
        """Processor seconds so far: of the service, of the database, and of what this process ran to its end."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "docket": self.service.cpu_seconds(),
            "PostgreSQL": sum(_seconds(pid) for pid in _inside(self.data / "postgres")),
            "k6": children.ru_utime + children.ru_stime,
        }


def read(page: str, rate: int, processors: dict[str, float]) -> Step:
    """What the written report of a run says (`loadtest/lib/report.js`)."""
    head = re.search(r"requests in \S+ s, (\S+) a second; (\d+) answered", page)
    rows = {
        name: (float(p50), float(p99))
        for name, p50, p99 in re.findall(r"^\| (\w+) \| (\S+) ms \| \S+ ms \| (\S+) ms", page, flags=re.MULTILINE)
    }
    if head is None or not all(name in rows for name in OBJECTIVES):
        raise RuntimeError(f"the report says too little:\n{page}")
    return Step(
        rate=rate,
        requests=float(head[1]),
        not_now=int(head[2]),
        kept="**NO**" not in page,
        p50={name: rows[name][0] for name in OBJECTIVES},
        p99={name: rows[name][1] for name in OBJECTIVES},
        processors=processors,
    )


def drawing(steps: list[Step]) -> str:
    """The 99th percentiles over the rates, and the processors that were busy."""
    times = {name: [step.p99[name] for step in steps] for name in OBJECTIVES}
    busy = {name: [step.processors[name] for step in steps] for name in ("docket", "PostgreSQL", "k6")}
    together = [sum(step.processors.values()) for step in steps]
    panels = [Panel("p99, ms", times, tenfold=True), Panel("processors", {**busy, "together": together})]
    return chart(
        "Ordinary use at a constant rate of arrival",
        "iterations a second",
        [float(step.rate) for step in steps],
        panels,
    )


def _inside(directory: Path) -> list[int]:
    """Processes that work in a directory: PostgreSQL and its backends work in that of the data."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "cwd").readlink() == directory:
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def _seconds(pid: int) -> float:
    """Processor time of a process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS


if __name__ == "__main__":
    sys.exit(main())
