"""The stack of docker-compose.yml under a name and on ports of its own: one that runs already is not touched."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
from dataclasses import dataclass, field
from typing import Any

from .engine import PROJECT, STATE, Engine
from .say import CannotGoOnError, wait_for

PROFILES = ("core", "observe", "llm", "load")
ONCE = ("volumes", "migrate")
#: Those of docker-compose.yml that are built from deploy/Dockerfile.
OF_DOCKET = {"volumes", "migrate", "gateway", "worker", "register"}
PORTS = ("DOCKET_PORT", "PROMETHEUS_PORT", "ALERTMANAGER_PORT", "JAEGER_PORT", "GRAFANA_PORT")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stack:
    """A project of compose."""

    engine: Engine
    compose: list[str]
    name: str = "docket-test"
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})
    password: str = field(default_factory=lambda: secrets.token_hex(12))

    def settings(self, profiles: tuple[str, ...]) -> dict[str, str]:
        """What stands in .env otherwise."""
        return {
            **{name: str(port) for name, port in self.ports.items()},
            "POSTGRES_PASSWORD": self.password,
            "GRAFANA_PASSWORD": self.password,
            "DOCKET_SUBNET": "172.31.99.0/24",
            "COMPOSE_PROFILES": ",".join(profiles),
        }

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        files = ["--file", str(PROJECT / "docker-compose.yml")]
        if (STATE / "images.json").exists():
            files += ["--file", str(STATE / "images.json")]
        env = ["--env-file", str(PROJECT / ".env.example"), "--project-directory", str(PROJECT)]
        return [*self.compose, "--project-name", self.name, *env, *files, *arguments]

    def run(self, *arguments: str, profiles: tuple[str, ...] = ("core", "observe", "load"), check: bool = True) -> str:
        """Runs `docker compose ARGUMENT...`; gives what it prints."""
        environment = self.engine.variables(self.settings(profiles))
        done = subprocess.run(
            self.command(*arguments), env=environment, capture_output=True, text=True, check=False, cwd=PROJECT
        )
        if check and done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise CannotGoOnError(f"docker compose {' '.join(arguments[:2])} failed:\n{tail}\n{self.logs()}")
        return done.stdout

    def services(self, *profiles: str) -> dict[str, dict[str, Any]]:
        """The services of these profiles, as compose understands the file."""
        text = self.run("config", "--format", "json", profiles=profiles)
        return json.loads(text)["services"]

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """The containers there are, stopped ones too."""
        lines = self.run("ps", "--all", "--format", "json", *([service] if service else [])).splitlines()
        found: list[dict[str, Any]] = []
        for line in lines:
            parsed: Any = json.loads(line)
            found += parsed if isinstance(parsed, list) else [parsed]
        return found

    def in_container(self, service: str, *command: str, check: bool = True) -> str:
        """What a command prints in the first container of a service."""
        return self.run("exec", "--no-TTY", service, *command, check=check)

    def logs(self) -> str:
        """The ends of the logs of those that are not well."""
        environment = self.engine.variables(self.settings(("core", "observe", "load")))
        command = self.command("logs", "--no-color", "--tail", "6")
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=PROJECT)
        return "\n".join(done.stdout.splitlines()[-80:])

    def wait_until_well(self, seconds: float = 240) -> None:
        """Waits until every container with a health check is healthy and those that run once have ended with 0."""
        seen: dict[str, str] = {}

        def well() -> bool:
            seen.update({c["Name"]: f"{c['State']} {c.get('Health', '')} {c['ExitCode']}" for c in self.containers()})
            states = self.containers()
            return bool(states) and all(is_well(state) for state in states)

        try:
            wait_for("health", well, seconds)
        except CannotGoOnError as error:
            raise CannotGoOnError(f"{error}: {seen}\n{self.logs()}") from error

    def down(self) -> None:
        """Takes all of it away, with its data."""
        self.run("down", "--volumes", "--remove-orphans", "--timeout", "20", check=False)


def is_well(container: dict[str, Any]) -> bool:
    """Whether it does what it is there for."""
    if container["Service"] in ONCE:
        return container["State"] == "exited" and container["ExitCode"] == 0
    return container["State"] == "running" and container.get("Health", "") in {"", "healthy"}


def write_images(images: dict[str, str]) -> None:
    """Names other images for services, beside the file."""
    STATE.mkdir(parents=True, exist_ok=True)
    services = {service: {"image": image} for service, image in images.items()}
    (STATE / "images.json").write_text(json.dumps({"services": services}), encoding="utf-8")
