#!/usr/bin/env python3
"""Brings up the stack of docker-compose.yml, loads it, kills a gateway, looks at what it promises, takes it down.

    DOCKET_BINARY=target/release/docket python scripts/compose_test.py     pack a binary that is compiled already
    python scripts/compose_test.py                                         compile it by deploy/Dockerfile
    python scripts/compose_test.py --keep                                  leave it up for a look

Needs a container engine and docker compose 2. As root on Debian with docker.io it starts an engine of its own. Images
that cannot be pulled are replaced by stand-ins (deploy/standins/Dockerfile); services that have none are left out and
named.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from stack import images, proofs
from stack.bring_up import OF_DOCKET, Stack, write_images
from stack.engine import Engine, compose_command, engine
from stack.say import CannotGoOnError, Checks, ended, step

TAG = "docket:compose-test"


def prepare(stack: Stack, binary: Path | None, published: bool) -> list[str]:
    """Gets every image; gives the services that can be started."""
    stack.run("config", "--quiet")
    wanted = {name: str(service["image"]) for name, service in stack.services("core", "observe", "load").items()}
    others = {name: image for name, image in wanted.items() if name not in OF_DOCKET}
    named: dict[str, str] = {}
    python: str | None = None
    if published and images.pull(stack.engine, set(others.values())):
        print("  the published images are used")
    else:
        print("  no registry of images answers: stand-ins are used")
        named = images.stand_ins(stack.engine, sorted(others))
        python = named.pop("python")
    images.gateway(stack.engine, TAG, binary, python)
    write_images({**named, **dict.fromkeys(OF_DOCKET, TAG)})
    left_out = without(stack, {name for name in others if named and name not in named})
    print(f"  left out, because there is no stand-in: {', '.join(sorted(left_out)) or 'nothing'}")
    return [name for name in wanted if name not in left_out]


def without(stack: Stack, left_out: set[str]) -> set[str]:
    """Those that cannot be started, and those that wait for them."""
    needs = {
        name: set(service.get("depends_on") or {})
        for name, service in stack.services("core", "observe", "load").items()
    }
    while more := {name for name, needed in needs.items() if needed & left_out} - left_out:
        left_out = left_out | more
    return left_out


def prove(stack: Stack, services: list[str], checks: Checks, seconds: float) -> None:
    """Everything that is looked at while it runs."""
    with step("starting"):
        stack.down()
        stack.run("up", "--detach", "--no-build", *(name for name in services if name != "k6"))
        stack.wait_until_well()
        checks.that("every container is healthy", True, f"{len(stack.containers())} containers")
    url = f"http://127.0.0.1:{stack.ports['DOCKET_PORT']}"
    keys = proofs.keys(stack)
    with step("containers"):
        proofs.hardening(stack, checks)
    with step("a case and what follows from it"):
        proofs.outside(stack, checks, url, keys["reporter"])
    with step("documents and answers"):
        proofs.knowledge(checks, url, keys["supervisor"])
    with step("load, and a gateway killed in its midst"):
        proofs.load_and_kill(stack, checks, url, keys["reporter"], seconds)
    if stack.engine.own:
        with step("a crash"):
            proofs.crash(stack, checks)
    if "k6" in services:
        with step("k6"):
            proofs.k6(stack, checks)
    with step("observed"):
        proofs.observed(stack, checks)


def run(running: Engine, arguments: argparse.Namespace) -> Checks:
    """The whole test on an engine."""
    checks = Checks()
    stack = Stack(running, compose_command(running.docker))
    binary = None if arguments.binary is None else Path(arguments.binary)
    if binary is not None and not binary.is_file():
        raise CannotGoOnError(f"{binary} is not a file", "DOCKET_BINARY names the compiled program")
    write_images({})
    with step("configuration"):
        proofs.configuration(stack, checks)
    with step("images"):
        services = prepare(stack, binary, not arguments.stand_ins)
    try:
        prove(stack, services, checks, arguments.seconds)
        if not arguments.keep:
            with step("stopping"):
                proofs.stopping(stack, checks)
    finally:
        if not arguments.keep:
            with step("taking it down"):
                stack.down()
    if arguments.keep:
        ports = ", ".join(f"{name} {port}" for name, port in stack.ports.items())
        input(f"It runs at {ports}. Enter takes it down: ")
        stack.down()
    return checks


def main() -> int:
    """Reads the arguments and tells how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.environ.get("DOCKET_BINARY"), help="a compiled program (DOCKET_BINARY)")
    parser.add_argument("--seconds", type=float, default=20, help="length of each part of the load")
    parser.add_argument("--stand-ins", action="store_true", help="do not try to pull images")
    parser.add_argument("--keep", action="store_true", help="leave it up until Enter is pressed")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        with engine() as running:
            checks = run(running, arguments)
    except (CannotGoOnError, OSError, ValueError, LookupError) as error:
        return ended(error)
    seconds = time.monotonic() - started
    print(f"{checks.held} checks held, {len(checks.failed)} failed, in {seconds:.0f} s")
    for fact in checks.failed:
        print(f"✗ {fact}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
