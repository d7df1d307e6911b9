"""The container engine: the one that runs, or one that is started here and ends with the script."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .say import CannotGoOnError, wait_for

PROJECT = Path(__file__).resolve().parents[2]
STATE = PROJECT / "target" / "compose"
#: Where `make compose-test` puts the plugin when the system has none.
OWN_COMPOSE = PROJECT / ".tools" / "bin" / "docker-compose"
HINT = (
    "start Docker and run this again as a user who may use it, or run it as root with Debian's packages docker.io "
    "(`apt install docker.io debootstrap`), and it starts an engine of its own"
)


@dataclass(frozen=True)
class Engine:
    """How to speak to it."""

    docker: str
    host: str | None
    own: bool
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of its commands."""
        own = {} if self.host is None else {"DOCKER_HOST": self.host}
        return {**os.environ, **own, **self.environment, **(more or {})}

    def run(self, *arguments: str, check: bool = True, more: Mapping[str, str] | None = None) -> str:
        """Runs `docker ARGUMENT...`; gives what it prints."""
        done = subprocess.run(
            [self.docker, *arguments],
            env=self.variables(more),
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
        )
        if check and done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise CannotGoOnError(f"docker {' '.join(arguments[:3])} failed:\n{tail}")
        return done.stdout

    def has_image(self, name: str) -> bool:
        """Whether the engine holds the image."""
        return bool(self.run("images", "--quiet", name).strip())

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        return json.loads(self.run("inspect", name))[0]


def answers(docker: str, host: str | None) -> bool:
    """Whether an engine answers there."""
    environment = {**os.environ, **({} if host is None else {"DOCKER_HOST": host})}
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())


@contextmanager
def engine() -> Generator[Engine]:
    """An engine. One that is started here listens on a socket of its own and keeps its images for the next run."""
    docker = shutil.which("docker")
    if docker is None:
        raise CannotGoOnError("there is no docker", HINT)
    if answers(docker, None):
        yield Engine(docker, None, own=False)
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if dockerd is None or os.geteuid() != 0:
        raise CannotGoOnError("no engine answers", HINT)
    # A socket's path must be short, and the engine's data must not be seen by tools that walk through the project.
    state = Path(os.environ.get("COMPOSE_TEST_STATE", "/var/tmp/docket-engine"))  # noqa: S108, a name that is documented
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    host = f"unix://{state}/docker.sock"
    if answers(docker, host):
        yield Engine(docker, host, own=True)
        return
    yield from started(docker, dockerd, state, host)


def started(docker: str, dockerd: str, state: Path, host: str) -> Generator[Engine]:
    """Starts one and ends it."""
    print(f"  no engine answers; starting {dockerd} in {state}", flush=True)
    log = state / "engine.log"
    folders = ["--data-root", f"{state}/data", "--exec-root", f"{state}/exec", "--pidfile", f"{state}/pid"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [dockerd, *folders, "--host", host], stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:

        def up() -> bool:
            if process.poll() is not None:
                raise CannotGoOnError(f"the engine ended:\n{log.read_text()[-1500:]}", HINT)
            return answers(docker, host)

        wait_for("the engine", up, 60, f"see {log}")
        yield Engine(docker, host, own=True)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
        time.sleep(0.2)


def compose_command(docker: str) -> list[str]:
    """Compose, release 2 or newer."""
    for command in ([docker, "compose"], [str(OWN_COMPOSE)], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and not done.stdout.startswith("1."):
            return command
    raise CannotGoOnError(
        "docker compose (release 2 or newer) is missing", "`make compose` builds it into .tools where Go is"
    )
