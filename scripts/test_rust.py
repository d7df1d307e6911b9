#!/usr/bin/env python3
"""Runs all Rust tests; one or two that fail are run a second time, alone, and counted as unsteady if they pass then.

Batteries kill real processes and wait for real clocks beside everything else that a machine does, so a test can fail
because of the machine. A run of a thousand tests must not end with that, and it must not hide it either: an unsteady
test is named at the end of the run and in target/logs/unsteady.txt with what it said when it failed. Three failures,
or a test program that breaks off, fail at once. DOCKET_TEST_STRICT=1 allows no second try.

python scripts/test_rust.py [--locked ...]     what follows is given to `cargo test`

Exit code 1: a test failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECOND_TRIES = 2
UNSTEADY = Path("target/logs/unsteady.txt")
PROGRAM = re.compile(r"^ *(?:Running |Doc-tests )(.*)$")
TARGET = re.compile(r"^    `(-p .*)`$")
LISTED = re.compile(r"^    (\S+)$")


@dataclass(frozen=True)
class Failed:
    """A test program in which tests failed."""

    selection: tuple[str, ...]
    """What makes cargo run this program alone: `-p docket --test bulk`."""
    tests: tuple[str, ...]
    """Their names; none if the program broke off."""


def failed(log: str) -> list[Failed]:
    """The failed programs that the output of `cargo test --no-fail-fast` names, with their failed tests."""
    programs: list[list[str]] = []
    verdicts: list[bool] = []
    listing = False
    selections: list[tuple[str, ...]] = []
    for line in log.splitlines():
        if PROGRAM.match(line):
            programs.append([])
            verdicts.append(True)
        elif line == "failures:":
            # Stands twice: before what the tests said, and before their names.
            programs[-1].clear()
            listing = True
        elif listing and (name := LISTED.match(line)):
            programs[-1].append(name[1])
        elif line.startswith("test result: "):
            listing = False
            verdicts[-1] = line.startswith("test result: ok")
        elif target := TARGET.match(line):
            selections.append(tuple(target[1].split()))
    red = [tests for tests, green in zip(programs, verdicts, strict=True) if tests and not green]
    if len(red) != len(selections):
        # A program that broke off lists no tests: there is nothing that could be run again.
        return [Failed(selection, ()) for selection in selections]
    return [Failed(selection, tuple(tests)) for selection, tests in zip(selections, red, strict=True)]


def may_try_again(found: list[Failed]) -> bool:
    """Whether these are few enough to be the machine's doing."""
    names = [name for program in found for name in program.tests]
    return 0 < len(names) <= SECOND_TRIES and all(program.tests for program in found)


def run(command: list[str]) -> tuple[int, str]:
    """Runs a command; prints what it says as it says it."""
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            print(line, end="")
            said.append(line)
    return process.returncode, "".join(said)


def main(arguments: list[str], cargo: str = "cargo") -> int:
    """Runs the tests, and some of them again."""
    UNSTEADY.unlink(missing_ok=True)
    code, log = run([cargo, "test", "--no-fail-fast", *arguments])
    found = failed(log)
    if code == 0 or os.environ.get("DOCKET_TEST_STRICT") == "1" or not may_try_again(found):
        return code
    for program in found:
        print(f"again, alone: {' '.join(program.tests)}", flush=True)
        code, _ = run([cargo, "test", "--locked", *program.selection, "--", "--exact", *program.tests])
        if code != 0:
            return code
    names = [name for program in found for name in program.tests]
    UNSTEADY.parent.mkdir(parents=True, exist_ok=True)
    UNSTEADY.write_text("\n".join([*names, "", log]), encoding="utf-8")
    for name in names:
        print(f"unsteady: {name} failed, and passed when it was run again alone; see {UNSTEADY}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
