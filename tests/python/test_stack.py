"""What brings the stack up agrees with what it brings up, and its client keeps its word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from dashboards_test import SILENT, of_panels, of_rules
from stack import images
from stack.bring_up import OF_DOCKET, is_well
from stack.client import Client
from stack.monitored import ALERTMANAGER, write_alertmanager, write_configuration
from stack.traffic import Ledger

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
COLLECTOR = PROJECT / ".tools" / "bin" / "otelcol"


def compiled_in() -> set[Path]:
    """Files that the compiler puts into the program."""
    found: set[Path] = set()
    for folder in ("src", "domain/src"):
        for source in (PROJECT / folder).rglob("*.rs"):
            text = source.read_text(encoding="utf-8")
            named = re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', text)
            found |= {(source.parent / name).resolve() for name in named}
    return found


def test_the_image_is_built_from_everything_that_the_compiler_reads() -> None:
    stage = DOCKERFILE.partition(" AS compiled")[2].partition("\nFROM ")[0]
    copied = [PROJECT / word for line in re.findall(r"^COPY (.+)$", stage, re.MULTILINE) for word in line.split()[:-1]]
    assert all(path.exists() for path in copied)
    assert len(compiled_in()) >= 4
    for path in [*compiled_in(), PROJECT / "build.rs", PROJECT / "migrations", PROJECT / ".sqlx"]:
        assert any(path == one or one in path.parents for one in copied), f"{path} is not copied into the image"


def test_every_service_of_the_stack_is_docket_has_a_stand_in_or_is_known_to_have_none() -> None:
    services = set(yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))["services"])
    assert services >= OF_DOCKET
    assert services - OF_DOCKET - set(images.OF_SERVICE) == {"grafana", "ollama"}
    stages = set(re.findall(r" AS (\w+)$", (images.STANDINS / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(images.OF_SERVICE.values()) | {"python"} <= stages


def test_what_runs_once_is_well_when_it_has_ended_and_the_others_while_they_run() -> None:
    ended = {"Service": "migrate", "State": "exited", "ExitCode": 0}
    assert is_well(ended)
    assert not is_well({**ended, "ExitCode": 1})
    assert not is_well({**ended, "Service": "gateway"})
    assert not is_well({"Service": "gateway", "State": "running", "Health": "starting", "ExitCode": 0})


def test_the_silent_queries_are_queries_of_the_dashboards_and_rules_with_a_reason() -> None:
    queries = {query.where for query in of_panels() + of_rules()}
    assert len(queries) > 150
    silent: dict[str, str] = json.loads(SILENT.read_text(encoding="utf-8"))
    assert set(silent) <= queries
    assert all(len(reason) > 10 for reason in silent.values())
    assert len(silent) <= 5, "the list only shrinks"


def test_the_fast_prometheus_has_the_rules_of_the_real_one(tmp_path: Path) -> None:
    written = write_configuration(tmp_path, {"docket": "127.0.0.1:1"}, "127.0.0.1:2")
    assert "rules/*.yml" in written.read_text(encoding="utf-8")
    for path in (PROJECT / "deploy" / "prometheus" / "rules").glob("*.yml"):
        real, fast = (
            yaml.safe_load(p.read_text(encoding="utf-8"))["groups"] for p in (path, tmp_path / "rules" / path.name)
        )
        assert [group["rules"] for group in real] == [group["rules"] for group in fast]


def test_the_quick_alertmanager_has_the_routes_of_the_real_one_and_somebody_to_tell(tmp_path: Path) -> None:
    written = yaml.safe_load(write_alertmanager(tmp_path, "http://127.0.0.1:1").read_text(encoding="utf-8"))
    real = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    assert written["inhibit_rules"] == real["inhibit_rules"]
    matchers = [[route.get("matchers") for route in one["route"]["routes"]] for one in (written, real)]
    assert matchers[0] == matchers[1]
    assert all(one["webhook_configs"] for one in written["receivers"])


def test_a_write_is_sent_again_under_the_same_key_until_it_is_answered() -> None:
    seen: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(self.headers["idempotency-key"])
            self.send_response(503 if len(seen) < 3 else 201)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, the name that the base class wants
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Client(f"http://127.0.0.1:{server.server_port}", "key")
    assert client.call("POST", "/v1/cases", {}).status == 201
    server.shutdown()
    server.server_close()
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert client.repeated == 2


def test_quantiles_are_of_the_answered_requests() -> None:
    ledger = Ledger(times=[0.4, 0.1, 0.2, 0.3])
    assert ledger.quantile(0.5) == 0.3
    assert ledger.quantile(0.99) == 0.4
    assert Ledger().quantile(0.5) == 0.0


@pytest.mark.skipif(not COLLECTOR.exists(), reason="the collector is missing: `make compose-tools` builds it")
def test_the_collector_accepts_its_configuration() -> None:
    command = [str(COLLECTOR), "validate", f"--config={PROJECT / 'deploy' / 'otel' / 'collector.yml'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None, reason="haproxy is missing"
)
def test_haproxy_accepts_its_configuration() -> None:
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin") or ""
    done = subprocess.run(
        [program, "-c", "-f", str(PROJECT / "deploy" / "haproxy" / "haproxy.cfg")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
