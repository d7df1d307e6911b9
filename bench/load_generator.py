"""Runs `docket-load` (bench/load) with a plan and reads its report."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "docket-load"
_runs = itertools.count()


@dataclass(frozen=True)
class Load:
    """What one run measured."""

    requests: int
    requests_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    errors: dict[str, int]
    first_error: str | None


def run(  # noqa: PLR0913, PLR0917 - a plan has this many parts
    address: str,
    key: str,
    work: dict[str, Any],
    seconds: float,
    connections: int = 16,
    rate: float | None = None,
) -> Load:
    """One run; raises if any request failed, because a benchmark of errors measures nothing."""
    plan = {
        "address": address,
        "connections": connections,
        "seconds": seconds,
        "warmup_seconds": 0,
        "rate": rate,
        "key": key,
        "run": f"bench-{os.getpid()}-{next(_runs)}-{address.rpartition(':')[2]}",
        "work": work,
    }
    done = subprocess.run([str(PROGRAM)], input=json.dumps(plan), text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    load = Load(**json.loads(done.stdout))
    if load.errors:
        raise RuntimeError(f"{work['kind']} failed: {load.errors} {load.first_error}")
    return load
