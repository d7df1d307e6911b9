"""One docket with everything it talks to, and a Prometheus that watches it, as processes of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import yaml

from .bring_up import free_port
from .client import ask
from .engine import PROJECT
from .say import CannotGoOnError, wait_for

PROMETHEUS = PROJECT / "deploy" / "prometheus"
#: So often everything is scraped and judged: what takes minutes in operation takes seconds here.
EVERY = "2s"


@dataclass(frozen=True)
class Scene:
    """Where things are."""

    docket: str
    prometheus: str
    receiver: str
    folder: Path

    def keys(self, role: str) -> str:
        """A demonstration key of the first tenant."""
        demo = json.loads((self.folder / "data" / "demo.json").read_text(encoding="utf-8"))
        return str(demo["tenants"][0]["keys"][role])


class Receiver(BaseHTTPRequestHandler):
    """Takes webhooks at /good and is out of order at every other path."""

    def do_POST(self) -> None:
        """Reads and answers."""
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(204 if self.path == "/good" else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the name that the base class wants
        """Says nothing."""


@contextmanager
def process(command: list[str], log: Path, environment: dict[str, str] | None = None) -> Generator[None]:
    """A process that ends with the block."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}, cwd=PROJECT
        )
    try:
        yield
        if child.poll() is not None:
            raise CannotGoOnError(f"{command[0]} ended by itself:\n{log.read_text(errors='replace')[-1500:]}")
    finally:
        child.terminate()
        try:
            child.wait(timeout=40)
        except subprocess.TimeoutExpired:
            child.kill()


def program(name: str, hint: str) -> str:
    """Where a program is."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise CannotGoOnError(f"{name} is missing", hint)
    return found


def write_configuration(folder: Path, targets: dict[str, str]) -> Path:
    """The project's configuration of Prometheus, faster and with the targets of this machine."""
    text = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    configuration = cast("dict[str, Any]", yaml.safe_load(text))
    configuration["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
    configuration.pop("alerting")
    configuration["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
    ]
    (folder / "rules").mkdir()
    for path in (PROMETHEUS / "rules").glob("*.yml"):
        rules = cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")))
        for group in rules["groups"]:
            group["interval"] = EVERY
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return written


@contextmanager
def scene(docket: Path, folder: Path) -> Generator[Scene]:
    """Everything, until the block ends."""
    prometheus = program("prometheus", "Debian: apt install prometheus (its service need not run)")
    nats = program("nats-server", "Debian: apt install nats-server")
    ports = {name: free_port() for name in ("docket", "prometheus", "nats", "register")}
    address = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    environment = {
        "DOCKET_DATA_DIR": str(folder / "data"),
        "DOCKET_SERVER__BIND": address["docket"],
        "DOCKET_NATS__URL": f"nats://{address['nats']}",
        "DOCKET_ENRICHMENT__URL": f"http://{address['register']}",
        "DOCKET_WEBHOOKS__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        "DOCKET_WEBHOOKS__ALLOW_HTTP": "true",
        "DOCKET_TELEMETRY__LOG_FORMAT": "json",
        # A provider that is out of order, so that there are retries and fallbacks; workers that are soon replaced.
        "DOCKET_MODELS__CHAIN": '["compatible", "offline"]',
        "DOCKET_MODELS__COMPATIBLE__BASE_URL": f"http://127.0.0.1:{receiver.server_port}/v1",
        "DOCKET_MODELS__COMPATIBLE__MODEL": "broken",
        "DOCKET_MODELS__PRICES": '["broken=1/1/1/1"]',
        "DOCKET_PLUGINS__RECYCLE_AFTER": "2",
        "VIRTUAL_ENV": str(PROJECT / ".venv"),
    }
    configuration = write_configuration(folder, {"docket": address["docket"], "prometheus": address["prometheus"]})
    watch = [prometheus, f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'series'}"]
    watch.append(f"--web.listen-address={address['prometheus']}")
    broker = [
        nats,
        "--jetstream",
        f"--store_dir={folder / 'nats'}",
        "--addr",
        "127.0.0.1",
        "--port",
        str(ports["nats"]),
    ]
    with ExitStack() as running:
        running.callback(receiver.shutdown)
        running.enter_context(process(broker, folder / "nats.log"))
        register = [str(docket), "register", "--bind", address["register"]]
        running.enter_context(process(register, folder / "register.log", environment))
        running.enter_context(process([str(docket), "demo"], folder / "docket.log", environment))
        url = f"http://{address['docket']}"
        # The demonstration's keys and cases are written before the first answer.
        wait_for("docket", lambda: ask(f"{url}/readyz").status == 200, 120, f"see {folder}/docket.log")
        running.enter_context(process(watch, folder / "prometheus.log"))
        watching = f"http://{address['prometheus']}"
        wait_for("Prometheus", lambda: ask(f"{watching}/-/ready").status == 200, 60)
        yield Scene(url, watching, f"http://127.0.0.1:{receiver.server_port}", folder)
