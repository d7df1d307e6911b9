"""The plugins that the benchmark calls: one that answers at once or computes, and one that never answers."""

import ctypes
import os
from collections.abc import Mapping, Sequence

from docket_plugins import Extracted, File


class Pace:
    """Gives back what it gets, after as much work as the record asks for."""

    def enrich(self, record: Mapping[str, object]) -> Mapping[str, object]:
        """The record with this process's id, and the sum of a loop in plain Python when it names `turns`."""
        total = 0
        for number in range(int(str(record.get("turns", 0)))):
            total += number * number % 7
        return {**record, "pid": os.getpid(), "total": total}

    def self_test(self) -> None:
        """Works."""


class Hang:
    """Holds the interpreter's lock and sleeps: its worker answers nothing until it is killed."""

    media_types: Sequence[str] = ("text/plain",)

    def parse(self, file: File) -> Extracted:  # noqa: ARG002 - never read
        """Does not return."""
        ctypes.PyDLL(None).sleep(600)
        return Extracted("")

    def self_test(self) -> None:
        """Works, as far as it goes."""
