"""The runner of the Rust tests gives a few failures a second try, tells of it, and lets nothing else pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import test_rust as runner

Cargo = Callable[[int, list[str]], str]

# A cargo of whom each test program fails as often as the file `left` says.
CARGO = """#!/usr/bin/env python3
import sys, pathlib
left = pathlib.Path("left")
names = {names!r}
again = "--exact" in sys.argv
count = int(left.read_text())
if count == 0:
    print("     Running tests/bulk/main.rs (target/debug/deps/bulk-1)", file=sys.stderr, flush=True)
    print("test result: ok. 3 passed; 0 failed", flush=True)
    sys.exit(0)
left.write_text(str(count - 1))
print("     Running unittests src/lib.rs (target/debug/deps/docket-1)", flush=True)
print("test result: ok. 9 passed; 0 failed", flush=True)
print("     Running tests/bulk/main.rs (target/debug/deps/bulk-1)", flush=True)
if names:
    print("failures:\\n\\n---- " + names[0] + " stdout ----\\n    indented\\n\\nfailures:", flush=True)
    print("\\n".join("    " + name for name in names), flush=True)
    print("\\ntest result: FAILED. 2 passed; 1 failed", flush=True)
print("error: 1 target failed:\\n    `-p docket --test bulk`", flush=True)
sys.exit(101)
"""


@pytest.fixture
def cargo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cargo:
    """Makes a cargo that fails `times` times with these tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKET_TEST_STRICT", raising=False)

    def make(times: int, names: list[str]) -> str:
        (tmp_path / "left").write_text(str(times), encoding="utf-8")
        program = tmp_path / "cargo"
        program.write_text(CARGO.replace("{names!r}", repr(names)), encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return make


def test_what_passes_is_not_run_again(cargo: Cargo, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([], cargo(0, [])) == 0
    assert "unsteady" not in capsys.readouterr().out


def test_a_test_that_passes_the_second_time_is_named(cargo: Cargo, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([], cargo(1, ["order::kept"])) == 0
    assert "unsteady: order::kept failed" in capsys.readouterr().out
    assert "indented" in runner.UNSTEADY.read_text(encoding="utf-8"), "what it said is kept"


def test_a_test_that_fails_twice_fails_the_run(cargo: Cargo) -> None:
    assert runner.main([], cargo(2, ["order::kept"])) == 101


@pytest.mark.parametrize("names", [["a", "b", "c"], []], ids=["three failures", "a program that broke off"])
def test_more_than_that_gets_no_second_try(cargo: Cargo, names: list[str]) -> None:
    assert runner.main([], cargo(1, names)) == 101


def test_who_is_strict_allows_no_second_try(cargo: Cargo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKET_TEST_STRICT", "1")
    assert runner.main([], cargo(1, ["order::kept"])) == 101


def test_failures_are_read_from_the_output_with_the_programs_they_belong_to() -> None:
    log = """     Running tests/a/main.rs (x)
failures:

---- one stdout ----
    deep

failures:
    one
    two::three

test result: FAILED. 1 passed; 2 failed
     Running tests/b/main.rs (x)
test result: ok. 1 passed; 0 failed
     Running tests/c/main.rs (x)
failures:

failures:
    four

test result: FAILED. 0 passed; 1 failed
error: 2 targets failed:
    `-p docket --test a`
    `-p docket-domain --lib`
"""
    assert runner.failed(log) == [
        runner.Failed(("-p", "docket", "--test", "a"), ("one", "two::three")),
        runner.Failed(("-p", "docket-domain", "--lib"), ("four",)),
    ]
