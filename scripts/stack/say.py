"""What a script says while it works: steps with their time, checks, and a failure with a hint."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

Found = TypeVar("Found")


class CannotGoOnError(Exception):
    """Something is missing or wrong; `hint` says what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class Checks:
    """Facts that were looked at."""

    def __init__(self) -> None:
        self.held = 0
        self.failed: list[str] = []

    def that(self, fact: str, holds: bool, seen: object = "") -> None:
        """Tells a fact and whether it holds, with what was seen."""
        print(f"  {'✓' if holds else '✗'} {fact}{f': {seen}' if seen != '' else ''}", flush=True)
        if holds:
            self.held += 1
        else:
            self.failed.append(fact)


@contextmanager
def step(name: str) -> Generator[None]:
    """Says what is begun, and how long it took."""
    print(f"> {name}", flush=True)
    started = time.monotonic()
    yield
    print(f"= {name}: {time.monotonic() - started:.1f} s", flush=True)


def wait_for(what: str, look: Callable[[], Found | None], seconds: float, hint: str = "") -> Found:
    """Looks until there is something. What it raises counts as nothing until the time is over."""
    until = time.monotonic() + seconds
    last: object = "nothing yet"
    while time.monotonic() < until:
        try:
            found = look()
        except (OSError, ValueError, LookupError) as error:
            last = error
        else:
            if found:
                return found
        time.sleep(0.3)
    raise CannotGoOnError(f"waited {seconds:.0f} s in vain for {what} ({last})", hint)


def ended(error: Exception) -> int:
    """Tells why nothing goes on, for the exit code."""
    print(f"✗ {error}", file=sys.stderr)
    if isinstance(error, CannotGoOnError) and error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return 1
