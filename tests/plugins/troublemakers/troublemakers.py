"""A plugin that does everything wrong, on request."""

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

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


def _abort() -> None:
    os.abort()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _freeze() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def _flood(megabytes: int) -> None:
    line = b"flood " * 170 + b"\n"
    block = line * (1024 * 1024 // len(line))
    with os.fdopen(os.dup(1), "wb") as out:
        for _ in range(megabytes):
            out.write(block)


def _close_all() -> None:
    os.closerange(3, 1024)


def _scribble() -> None:
    # Whatever is open, the connection to the service among it.
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue


def _recurse() -> None:
    _recurse()


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
    "abort": _abort,
    "kill": _kill,
    "freeze": _freeze,
    "deadlock": _deadlock,
    "flood": partial(_flood, 1024),
    "flood_little": partial(_flood, 32),
    "close_all": _close_all,
    "scribble": _scribble,
    "recurse": _recurse,
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
        if "unanswerable" in record:
            return {"answer": object()}
        return {"pid": os.getpid(), "traceparent": current_call().traceparent, "text": "x" * size}

    def self_test(self) -> None:
        """Works."""


class Unfit:
    """No enricher at all."""
