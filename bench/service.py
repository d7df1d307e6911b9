"""Programs under load: docket and its peers, started, watched and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.database import Database

DOCKET = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "docket"
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def alone(name: str) -> Generator[tuple[Path, bool]]:
    """For one benchmark by itself: a directory, kept with its logs if it fails, and whether `--quick` was asked for."""
    directory = Path(f".docket/bench-{name}").absolute()
    directory.mkdir(parents=True, exist_ok=True)
    yield directory, "--quick" in sys.argv
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    """Lets a handler answer on a port of this process; the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """A server process with its children; a context manager that stops it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    address: str
    ready_path: str
    ready_seconds: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        began = time.monotonic()
        with self.log.open("ab") as log:
            environment = {**os.environ, **self.environment}
            self._process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > 120:
                raise RuntimeError(f"{self.name} did not start; see {self.log}")
            time.sleep(0.01)
        self.ready_seconds = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children."""
        return sum(_cpu_seconds(pid) for pid in self._family())

    def resident_mib(self) -> float:
        """Memory in use, in MiB; shared pages of workers count for each."""
        return sum(_resident_mib(pid) for pid in self._family())

    def _family(self) -> list[int]:
        """The process and those that descend from it, except for a database server."""
        if self._process is None:
            return []
        family = [self._process.pid]
        for pid in family:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                family.extend(int(child) for child in children.read_text(encoding="ascii").split() if _is_ours(child))
        return family

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}{self.ready_path}", timeout=2):
                return True
        except urllib.error.HTTPError as answer:
            return self.ready_path != "/readyz" and answer.code < 500
        except OSError:
            return False


def docket(data_dir: Path, settings: dict[str, str] | None = None, *command: str) -> Program:
    """The service as it is shipped, by `serve` or another command: JSON log lines to a file, rate limits raised."""
    address = f"127.0.0.1:{free_port()}"
    million = "1000000"
    environment = {
        "DOCKET_DATA_DIR": str(data_dir),
        "DOCKET_SERVER__BIND": address,
        "DOCKET_TELEMETRY__LOG_FORMAT": "json",
        "DOCKET_LIMITS__TENANT_REQUESTS_PER_SECOND": million,
        "DOCKET_LIMITS__TENANT_BURST": million,
        "DOCKET_LIMITS__PRINCIPAL_REQUESTS_PER_SECOND": million,
        "DOCKET_LIMITS__PRINCIPAL_IN_FLIGHT": "100000",
        "DOCKET_LIMITS__PRINCIPAL_BURST": million,
        **(settings or {}),
    }
    log = data_dir.parent / "docket.log"
    return Program("docket", [str(DOCKET.absolute()), *(command or ("serve",))], environment, log, address, "/readyz")


def peer(module: str, database: Database, data_dir: Path) -> Program:
    """A Python peer: two workers, uvloop and httptools, no access log."""
    port = free_port()
    where = f"docket_app@/{database.name}?host={database.socket_directory}&port={database.port}"
    environment = {"DATABASE_DSN": f"postgresql://{where}", "DATABASE_URL": f"postgresql+asyncpg://{where}"}
    command = [
        ".venv/bin/python", "-m", "uvicorn", f"bench.peers.{module}:app", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "2", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    log = data_dir.parent / f"{module}.log"
    return Program(module, command, environment, log, f"127.0.0.1:{port}", "/openapi.json")


def _is_ours(pid: str) -> bool:
    try:
        return not Path(f"/proc/{pid}/comm").read_text(encoding="ascii").startswith("postgres")
    except OSError:
        return False


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1_024
