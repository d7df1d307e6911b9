"""The last line of `make crash` says what was done and what went wrong, and fails when anything did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "crash_summary.py"
NOTHING = {"kills": 0, "writes": 0, "jobs": 0, "events": 0, "lost": 0, "doubled": 0, "reordered": 0}


def summary(path: Path, *batteries: dict[str, int]) -> tuple[int, str]:
    lines = [json.dumps(NOTHING | figures | {"battery": "R0"}) for figures in batteries]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    done = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_figures_of_all_batteries_are_summed_into_one_line(tmp_path: Path) -> None:
    code, line = summary(
        tmp_path / "figures", {"kills": 300, "writes": 100_000}, {"kills": 50, "writes": 250}, {"jobs": 7, "events": 8}
    )
    wanted = "crash: 350 kills, 100,250 writes, 7 jobs, 8 events; 0 lost, 0 doubled, 0 reordered (3 batteries)\n"
    assert (code, line) == (0, wanted)


def test_whatever_is_lost_doubled_or_reordered_fails_the_run(tmp_path: Path) -> None:
    for name in ("lost", "doubled", "reordered"):
        code, line = summary(tmp_path / "figures", {"writes": 10}, {name: 2})
        assert code == 1
        assert f"2 {name}" in line


def test_no_battery_is_no_proof(tmp_path: Path) -> None:
    assert summary(tmp_path / "figures")[0] == 1
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "missing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.endswith("(0 batteries)\n")) == (1, True)
