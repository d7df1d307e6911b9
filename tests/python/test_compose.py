"""docker-compose.yml: every container is bounded, waits for what it needs, and is reached from this machine alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]

#: What runs once and ends; and the collector, whose image has nothing but its program: Prometheus asks for its health.
WITHOUT_HEALTH_CHECK = {"volumes", "migrate", "k6", "collector"}
HEALTHY, DONE = "service_healthy", "service_completed_successfully"
DEPENDENCIES = {
    "postgres": {},
    "volumes": {},
    "register": {},
    "jaeger": {},
    "prometheus": {},
    "alertmanager": {},
    "nats": {"volumes": DONE},
    "ollama": {"volumes": DONE},
    "migrate": {"postgres": HEALTHY},
    "gateway": {"postgres": HEALTHY, "migrate": DONE},
    "worker": {"postgres": HEALTHY, "migrate": DONE},
    "proxy": {"gateway": HEALTHY},
    "collector": {"jaeger": HEALTHY},
    "grafana": {"prometheus": HEALTHY},
    "k6": {"volumes": DONE, "proxy": HEALTHY},
}
#: What must outlive its container, and where.
KEPT = {
    "postgres": {"postgres-data"},
    "nats": {"nats-data"},
    "gateway": {"docket-data"},
    "worker": {"docket-data"},
    "migrate": {"docket-data"},
    "register": {"docket-data"},
    "prometheus": {"prometheus-data"},
    "alertmanager": {"alertmanager-data"},
    "grafana": {"grafana-data"},
    "ollama": {"ollama-models"},
    "k6": {"docket-data", "k6-reports"},
    "volumes": {"nats-data", "ollama-models", "k6-reports"},
}
PUBLISHED = {"proxy": 8080, "jaeger": 16686, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}


def compose() -> list[str] | None:
    """The command that judges the compose file, if this machine has one."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            probe = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            # Release 1 was another program, which does not know this form of the file.
            if probe.returncode == 0 and not probe.stdout.startswith("1."):
                return command
    return None


def services() -> dict[str, dict[str, Any]]:
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    return cast("dict[str, dict[str, Any]]", yaml.safe_load(text)["services"])


@pytest.mark.skipif(compose() is None, reason="docker compose is missing")
def test_compose_accepts_the_file_with_every_profile() -> None:
    command = [*(compose() or []), "--env-file", ".env.example"]
    command += [word for profile in ("core", "observe", "llm", "load") for word in ("--profile", profile)]
    environment = {**os.environ, "POSTGRES_PASSWORD": "x", "GRAFANA_PASSWORD": "x"}
    done = subprocess.run(
        [*command, "config", "--quiet"], cwd=PROJECT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_every_container_is_bounded_unprivileged_and_pinned() -> None:
    for name, service in services().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert not service["user"].startswith("0"), name
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
        tag = service["image"].rpartition(":")[2]
        assert tag == "local" or re.search(r"\d+\.\d+\.\d+", tag), f"{name}: {service['image']} is not pinned"


def test_no_password_stands_in_the_compose_file() -> None:
    for name, service in services().items():
        for key, value in dict(service.get("environment", {})).items():
            if re.search("PASSWORD|SECRET|TOKEN$|API_KEY", key):
                # Nothing behind the name: what stands in .env, or nothing.
                assert value is None or re.fullmatch(r"\$\{\w+:\?.+\}", value), f"{name}: {key}"


def test_what_compose_mounts_is_there() -> None:
    for service in services().values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert not source.startswith("./") or (PROJECT / source).exists(), mount


def stack() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8")))


def test_every_service_that_stays_says_how_it_is() -> None:
    image = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^HEALTHCHECK .*\n +CMD ", image, flags=re.MULTILINE)
    for name, service in services().items():
        check = service.get("healthcheck")
        if name in WITHOUT_HEALTH_CHECK:
            assert check == {"disable": True}, name
        elif check is None:
            assert service["image"] == "docket:local", f"{name} has no health check, nor has its image one of ours"
        else:
            assert check["test"][0] == "CMD", name
            assert {"interval", "timeout", "retries"} <= set(check), name
    targets = (PROJECT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    assert "collector:8888" in targets, "nobody asks how the collector is"


def test_every_service_waits_until_what_it_needs_is_healthy_or_done() -> None:
    found = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in services().items()
    }
    assert found == DEPENDENCIES
    for name, needed in found.items():
        for other, condition in needed.items():
            optional = services()[name]["depends_on"][other].get("required") is False
            lacking = set(services()[name]["profiles"]) - set(services()[other]["profiles"])
            assert optional or not lacking, f"{name} needs {other}, which the profiles {lacking} do not start"
            assert (other in WITHOUT_HEALTH_CHECK) == (condition == DONE), f"{name} waits for {other} in vain"


def test_what_must_outlive_a_container_is_in_a_named_volume() -> None:
    found = {
        name: volumes
        for name, service in services().items()
        if (volumes := {m.partition(":")[0] for m in service.get("volumes", []) if not m.startswith("./")})
    }
    assert found == KEPT
    assert set(stack()["volumes"]) == set().union(*KEPT.values())


def test_every_port_is_bound_to_this_machine_alone() -> None:
    published: dict[str, int] = {}
    for name, service in services().items():
        for port in service.get("ports", []):
            bound = re.fullmatch(r"127\.0\.0\.1:\$\{\w+_PORT:-(\d+)\}:(\d+)", port)
            assert bound, f"{name}: {port}"
            assert bound.group(1) == bound.group(2), f"{name} is documented under the port it has"
            published[name] = int(bound.group(2))
        assert service.get("network_mode") is None, name
        assert service["networks"] == ["inside"], name
    assert published == PUBLISHED


def example(uncommented: bool) -> dict[str, str]:
    """The settings of .env.example, as they stand or with those that are commented out."""
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    text = re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.MULTILINE) if uncommented else text
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))


def test_traces_reach_the_collector_unless_somebody_says_otherwise() -> None:
    for name in ("gateway", "worker"):
        environment = services()[name]["environment"]
        assert environment["DOCKET_TELEMETRY__OTLP_ENDPOINT"] == "${DOCKET_OTLP_ENDPOINT-http://collector:4318}"
    assert "DOCKET_OTLP_ENDPOINT" not in example(uncommented=False)
    collector = (PROJECT / "deploy" / "otel" / "collector.yml").read_text(encoding="utf-8")
    assert "endpoint: 0.0.0.0:4318" in collector


def test_the_language_model_of_the_stack_is_the_one_that_the_example_asks() -> None:
    asked = {name: value for name, value in example(uncommented=True).items() if name.startswith("DOCKET_MODELS__")}
    for name in ("gateway", "worker"):
        environment = services()[name]["environment"]
        passed = {key for key, value in environment.items() if key.startswith("DOCKET_MODELS__") and value is None}
        assert set(asked) <= passed, f"{name} does not hear {set(asked) - passed}"
    assert asked["DOCKET_MODELS__COMPATIBLE__BASE_URL"] == "http://ollama:11434"
    model = asked["DOCKET_MODELS__COMPATIBLE__MODEL"]
    assert f'"{model}=' in asked["DOCKET_MODELS__PRICES"], "a model without a price keeps docket from starting"
    assert "compatible" in asked["DOCKET_MODELS__CHAIN"]
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"exec ollama ollama pull {model}" in page
    documented = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name in asked:
        assert f"`{name}`" in documented, name


@pytest.mark.skipif(compose() is None, reason="docker compose is missing")
def test_compose_understands_the_file_as_these_tests_do(tmp_path: Path) -> None:
    settings = tmp_path / "env"
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")
    settings.write_text(re.sub(r"^# (?=DOCKET_MODELS)", "", text, flags=re.MULTILINE), encoding="utf-8")
    command = [*(compose() or []), "--env-file", str(settings), "--profile", "core", "--profile", "llm"]
    environment = {**os.environ, "POSTGRES_PASSWORD": "x", "GRAFANA_PASSWORD": "x"}
    environment.pop("DOCKET_OTLP_ENDPOINT", None)
    command += ["config", "--format", "json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout)["services"]["gateway"]["environment"]
    assert given["DOCKET_TELEMETRY__OTLP_ENDPOINT"] == "http://collector:4318"
    assert json.loads(given["DOCKET_MODELS__CHAIN"]) == ["compatible", "offline"]
    assert given["DOCKET_MODELS__OPENAI__API_KEY"] is None
