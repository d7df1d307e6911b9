"""A plugin that does everything wrong, on request."""

import ctypes
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping

from docket_plugins import count, current_call


def _endless() -> None:
    while True:
        pass


def _sleep_in_c() -> None:
    ctypes.CDLL(None).sleep(600)


def _segfault() -> None:
    ctypes.string_at(0)


def _hog() -> None:
    kept: list[bytearray] = []
    while True:
        kept.append(bytearray(64 * 1024 * 1024))


def _exit() -> None:
    sys.exit(7)


def _leave() -> None:
    os._exit(7)


def _raise() -> None:
    message = "wrong on purpose"
    raise ValueError(message)


def _noise() -> None:
    sys.stdout.write("noise\n" * 2_000_000)
    os.write(1, b"\x00\x00\x00\x01" * 1_000)
    sys.stderr.write("no line end" * 1_000_000)
    sys.stdin.read()


def _fork() -> None:
    # The copy returns from the plugin, too.
    os.fork()


def _fork_and_stay() -> None:
    if os.fork() == 0:
        time.sleep(600)


def _log() -> None:
    logging.getLogger("trouble").warning("hello from %s", "within")
    count("greetings", 2)


DEEDS: Mapping[str, Callable[[], None]] = {
    "endless": _endless,
    "sleep_in_c": _sleep_in_c,
    "segfault": _segfault,
    "hog": _hog,
    "exit": _exit,
    "leave": _leave,
    "raise": _raise,
    "noise": _noise,
    "fork": _fork,
    "fork_and_stay": _fork_and_stay,
    "log": _log,
}


class Trouble:
    """Does what the record asks for, then answers."""

    def enrich(self, record: Mapping[str, object]) -> Mapping[str, object]:
        """Answers with its process, and the trace it was called in."""
        if "sleep" in record:
            time.sleep(float(str(record["sleep"])))
        deed = DEEDS.get(str(record.get("deed")))
        if deed is not None:
            deed()
        size = int(str(record.get("size", 0)))
        return {"pid": os.getpid(), "traceparent": current_call().traceparent, "text": "x" * size}

    def self_test(self) -> None:
        """Works."""


class Unfit:
    """No enricher at all."""
