"""One docket with everything it talks to, Prometheus that watches it, and Alertmanager, as processes here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, cast

import yaml

from .bring_up import free_port
from .client import ask
from .engine import PROJECT
from .say import CannotGoOnError, wait_for

PROMETHEUS = PROJECT / "deploy" / "prometheus"
ALERTMANAGER = PROJECT / "deploy" / "alertmanager" / "alertmanager.yml"
#: So often everything is scraped and judged: what takes minutes in operation takes seconds here.
EVERY = "2s"


@dataclass(frozen=True)
class Scene:
    """Where things are."""

    docket: str
    prometheus: str
    receiver: str
    folder: Path
    alertmanager: str
    pids: dict[str, int]

    def keys(self, role: str) -> str:
        """A demonstration key of the first tenant."""
        demo = json.loads((self.folder / "data" / "demo.json").read_text(encoding="utf-8"))
        return str(demo["tenants"][0]["keys"][role])

    @contextmanager
    def frozen(self, name: str) -> Generator[None]:
        """Lets a program, or all that work in a folder of the data (`postgres`), do nothing until the block ends."""
        family = [self.pids[name]] if name in self.pids else _processes_in(self.folder / "data" / name)
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)


def _processes_in(folder: Path) -> list[int]:
    """The processes that work in this directory or below."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


class Receiver(BaseHTTPRequestHandler):
    """Takes webhooks at /good and alerts at /pages and /tickets, and is out of order at every other path."""

    #: What Alertmanager sent: receiver, name of the alert, `firing` or `resolved`, its annotations.
    alerts: ClassVar[list[tuple[str, str, str, dict[str, str]]]] = []

    def do_POST(self) -> None:
        """Reads and answers."""
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        told = self.path in {"/pages", "/tickets"}
        arrived = cast("list[dict[str, Any]]", json.loads(body)["alerts"] if told else [])
        for alert in arrived:
            self.alerts.append((self.path[1:], alert["labels"]["alertname"], alert["status"], alert["annotations"]))
        self.send_response(204 if told or self.path == "/good" else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the name that the base class wants
        """Says nothing."""


@contextmanager
def process(command: list[str], log: Path, environment: dict[str, str] | None = None) -> Generator[int]:
    """A process that ends with the block; its id."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}, cwd=PROJECT
        )
    try:
        yield child.pid
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


def write_alertmanager(folder: Path, receiver: str) -> Path:
    """The project's configuration of Alertmanager, quicker to tell, and with somebody to tell."""
    configuration = cast("dict[str, Any]", yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8")))
    routes = [configuration["route"], *configuration["route"]["routes"]]
    for route in routes:
        route |= {"group_wait": "1s", "group_interval": "5s"}
    for one in configuration["receivers"]:
        one["webhook_configs"] = [{"url": f"{receiver}/{one['name']}"}]
    written = folder / "alertmanager.yml"
    written.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    return written


def write_configuration(folder: Path, targets: dict[str, str], alertmanager: str) -> Path:
    """The project's configuration of Prometheus, faster and with the targets of this machine."""
    text = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
    configuration = cast("dict[str, Any]", yaml.safe_load(text))
    configuration["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
    configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
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
    prometheus, alertmanager, nats = (
        program(name, f"Debian: apt install {name} (its service need not run)")
        for name in ("prometheus", "prometheus-alertmanager", "nats-server")
    )
    ports = {name: free_port() for name in ("docket", "prometheus", "alertmanager", "nats", "register")}
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
    targets = {name: address[name] for name in ("docket", "prometheus", "alertmanager")}
    configuration = write_configuration(folder, targets, address["alertmanager"])
    tell = [alertmanager, f"--config.file={write_alertmanager(folder, f'http://127.0.0.1:{receiver.server_port}')}"]
    tell += [f"--storage.path={folder / 'alerts'}", f"--web.listen-address={address['alertmanager']}"]
    tell.append("--cluster.listen-address=")
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
        pids = {"nats": running.enter_context(process(broker, folder / "nats.log"))}
        register = [str(docket), "register", "--bind", address["register"]]
        running.enter_context(process(register, folder / "register.log", environment))
        pids["docket"] = running.enter_context(process([str(docket), "demo"], folder / "docket.log", environment))
        url = f"http://{address['docket']}"
        # The demonstration's keys and cases are written before the first answer.
        wait_for("docket", lambda: ask(f"{url}/readyz").status == 200, 120, f"see {folder}/docket.log")
        running.enter_context(process(tell, folder / "alertmanager.log"))
        running.enter_context(process(watch, folder / "prometheus.log"))
        watching = f"http://{address['prometheus']}"
        wait_for("Prometheus", lambda: ask(f"{watching}/-/ready").status == 200, 60)
        receiving = f"http://127.0.0.1:{receiver.server_port}"
        yield Scene(url, watching, receiving, folder, f"http://{address['alertmanager']}", pids)
