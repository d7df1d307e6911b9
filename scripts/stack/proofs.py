"""What `make compose-test` looks at, one function each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.parse
from typing import Any

from .bring_up import ONCE, PROFILES, Stack
from .client import Client, ask
from .engine import PROJECT
from .say import Checks, wait_for
from .traffic import Traffic, missing

#: Services whose image has no shell and no user database are asked from outside only.
DOCKET_NETWORK_PROBE = (
    "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
)


def configuration(stack: Stack, checks: Checks) -> None:
    """The file by itself, without the names of other images."""
    plain = [*stack.compose, "--file", str(PROJECT / "docker-compose.yml"), "--env-file", str(PROJECT / ".env.example")]
    for profile in PROFILES:
        given = {**os.environ, "POSTGRES_PASSWORD": "x", "GRAFANA_PASSWORD": "x"}
        command = [*plain, "--profile", profile, "config", "--quiet"]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False, cwd=PROJECT)
        checks.that(f"docker compose config, profile {profile}", done.returncode == 0, done.stderr.strip()[:200])
    command = [*plain, "--profile", "core", "config", "--quiet"]
    without = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    checks.that("without a password in .env nothing starts", without.returncode != 0 and "set it" in without.stderr)


def hardening(stack: Stack, checks: Checks) -> None:
    """What the file promises about each container is what the engine does."""
    wrong: list[str] = []
    names = [container["Name"] for container in stack.containers()]
    for name in names:
        known = stack.engine.inspect(name)
        host: dict[str, Any] = known["HostConfig"]
        user = str(known["Config"]["User"])
        facts = {
            "a user without privileges": user not in {"", "0", "root"} and not user.startswith("0:"),
            "a read-only root": bool(host["ReadonlyRootfs"]),
            "no capability": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
            "no new privileges": "no-new-privileges" in str(host["SecurityOpt"]),
            "a bound of memory": host["Memory"] > 0,
            "a bound of processor time": host["NanoCpus"] > 0,
        }
        wrong += [f"{name} lacks {fact}" for fact, holds in facts.items() if not holds]
    checks.that(f"all {len(names)} containers are unprivileged, read-only and bounded", not wrong, "; ".join(wrong))
    touched = stack.in_container(
        "gateway", "sh", "-c", "touch /usr/x 2>&1; id -u; touch /tmp/x && echo fine", check=False
    )
    checks.that(
        "inside a gateway: user 10001, only /tmp and the volume can be written",
        touched.split()[-2:] == ["10001", "fine"],
    )


def keys(stack: Stack) -> dict[str, str]:
    """The demonstration keys of the first tenant."""

    def look() -> dict[str, str] | None:
        text = stack.in_container("worker", "cat", "/var/lib/docket/demo.json", check=False)
        return json.loads(text)["tenants"][0]["keys"] if text else None

    return wait_for("the demonstration keys", look, 60)


def metric(stack: Stack, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers."""
    where = f"http://127.0.0.1:{stack.ports['PROMETHEUS_PORT']}/api/v1/query?query={urllib.parse.quote(query)}"
    return ask(where).json()["data"]["result"]


def serving(stack: Stack, floor: float = 0) -> list[str]:
    """The processes that have answered more than so many requests of the API."""
    asked = metric(stack, 'sum by (instance) (http_server_request_duration_seconds_count{route=~"/v1/.+"})')
    return sorted(str(row["metric"]["instance"]) for row in asked if float(row["value"][1]) > floor)


def load_and_kill(stack: Stack, checks: Checks, url: str, key: str, seconds: float) -> None:
    """Load through the proxy; in its midst one gateway is killed, and later started again."""
    traffic = Traffic(url, key)
    traffic.start()
    traffic.run_for(seconds)
    both = wait_for("both gateways in Prometheus", lambda: s if len(s := serving(stack)) >= 2 else None, 90)
    checks.that("both gateways have answered requests", len(both) == 2, ", ".join(both))
    victim = stack.containers("gateway")[0]["Name"]
    before = len(traffic.ledger.cases)
    stack.engine.run("kill", "--signal", "KILL", victim)
    print(f"  killed {victim} after {before} cases", flush=True)
    traffic.run_for(seconds)
    during = len(traffic.ledger.cases) - before
    checks.that("the other gateway goes on alone", during > 0, f"{during} cases")
    stack.engine.run("start", victim)
    stack.wait_until_well()
    traffic.run_for(seconds / 2)
    ledger = traffic.end()
    checks.that("no answer was wrong", not ledger.wrong, "; ".join(ledger.wrong[:3]))
    lost = missing(ledger, Client(url, key))
    checks.that(f"none of {len(ledger.cases)} acknowledged cases is lost", not lost, ", ".join(lost[:3]))
    told, _ = Client(url, key).feed()
    untold = [case for case in ledger.cases if case not in told]
    checks.that("the change feed tells of each of them", not untold, ", ".join(untold[:3]))
    milliseconds = [f"{1000 * ledger.quantile(share):.0f}" for share in (0.5, 0.99)]
    print(
        f"  {ledger.requests} requests, {ledger.repeated} sent again; "
        f"p50 {milliseconds[0]} ms, p99 {milliseconds[1]} ms"
    )


def observed(stack: Stack, checks: Checks) -> None:
    """Prometheus scrapes what there is, its rules are loaded and evaluated, and Alertmanager hears of it."""
    base = f"http://127.0.0.1:{stack.ports['PROMETHEUS_PORT']}/api/v1"
    there = {container["Service"] for container in stack.containers()}
    expected = {"docket": 3, "prometheus": 1, "alertmanager": 1, **({"collector": 1} if "collector" in there else {})}

    def up() -> dict[str, int] | None:
        rows = metric(stack, "sum by (job) (up)")
        found = {str(row["metric"]["job"]): int(float(row["value"][1])) for row in rows}
        return found if all(found.get(job, 0) == count for job, count in expected.items()) else None

    checks.that("Prometheus scrapes every replica and the stack", True, wait_for("all targets", up, 120))

    def judged() -> list[dict[str, Any]] | None:
        groups = ask(f"{base}/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        short = [rule for group in groups if group["interval"] <= 60 for rule in group["rules"]]
        return rules if short and all(rule["health"] != "unknown" for rule in short) else None

    rules = wait_for("the evaluation of the rules", judged, 120)
    failing = [rule["name"] for rule in rules if rule["health"] == "err"]
    checks.that(f"all {len(rules)} rules are loaded and none fails", not failing, ", ".join(failing))
    known = ask(f"{base}/alertmanagers").json()["data"]["activeAlertmanagers"]
    checks.that("Prometheus tells Alertmanager", len(known) == 1)
    firing = sorted({str(row["metric"]["alertname"]) for row in metric(stack, 'ALERTS{alertstate="firing"}')})
    print(f"  alerts that fire: {', '.join(firing) or 'none'}")


def outside(stack: Stack, checks: Checks, url: str, key: str) -> None:
    """What happens behind a submitted case: event at the broker, register asked, trace at Jaeger."""
    client = Client(url, key)
    case, version = client.create(respondent="Verity Dredging BV")
    checks.that("a case is submitted through the proxy", client.command(case, version, "submit").status == 200, case)

    def entries() -> Any:  # noqa: ANN401
        return client.call("GET", f"/v1/cases/{case}/register-entries").json().get("items")

    found = wait_for("an entry of the register", entries, 60)
    checks.that("the register was asked about the respondent", bool(found))

    def streamed() -> int | None:
        text = stack.in_container("worker", "python3", "-c", DOCKET_NETWORK_PROBE, "http://nats:8222/jsz", check=False)
        return int(json.loads(text)["messages"]) if text else None

    messages = wait_for("messages at the broker", streamed, 60)
    checks.that("events are in the broker's stream", messages > 0, messages)
    if "jaeger" in {container["Service"] for container in stack.containers()}:
        jaeger = f"http://127.0.0.1:{stack.ports['JAEGER_PORT']}/api/traces?service=docket&limit=20"

        def traces() -> list[Any] | None:
            return [trace for trace in ask(jaeger).json()["data"] if len(trace["spans"]) > 1] or None

        kept = wait_for("a trace at Jaeger", traces, 90)
        checks.that(
            "traces come to Jaeger through the collector", True, f"{max(len(t['spans']) for t in kept)} spans in one"
        )


def knowledge(checks: Checks, url: str, key: str) -> None:
    """The image holds what documents need: Python with the parsers, the embedding model, the index of words."""
    client = Client(url, key)
    corpus = PROJECT / "demo" / "corpus" / "harbour-safety"
    documents = [
        client.upload("port-safety-regulation.md", (corpus / "port-safety-regulation.md").read_bytes(), "text/plain"),
        client.upload("lifting-rules.pdf", (corpus / "lifting-rules.pdf").read_bytes(), "application/pdf"),
    ]

    def ready() -> bool:
        states = [client.call("GET", f"/v1/documents/{document}").json() for document in documents]
        return all(state["status"] == "ready" for state in states)

    wait_for("the reading of two documents", ready, 120)
    checks.that("a Markdown and a PDF document are read by the plugins", True)
    question = "Within how many hours must a serious incident be confirmed in writing?"

    def answered() -> Any:  # noqa: ANN401
        answer = client.call("POST", "/v1/answers", {"question": question}).json()
        return answer if answer.get("citations") else None

    answer = wait_for("an answer with citations", answered, 60)
    checks.that("a question is answered with citations", True, str(answer["verdict"]))


def crash(stack: Stack, checks: Checks) -> None:
    """A process that ends by itself is started again; only an engine of this machine lets one get at its processes."""
    victim = stack.containers("gateway")[-1]["Name"]
    os.kill(int(stack.engine.inspect(victim)["State"]["Pid"]), signal.SIGKILL)

    def again() -> bool:
        known = stack.engine.inspect(victim)
        return known["RestartCount"] > 0 and known["State"]["Health"]["Status"] == "healthy"

    wait_for(f"{victim} to be started again", again, 90)
    checks.that("a gateway that crashed is started again and is healthy", True, victim)


def k6(stack: Stack, checks: Checks) -> None:
    """The load profile: the smoke test in its container, against the proxy; its report is in its volume."""
    once = ["run", "--rm", "--no-deps", "--no-TTY"]
    stack.run(*once, "--env", "DURATION=10s", "k6", "run", "--quiet", "--no-color", "/loadtest/smoke.js", check=False)
    report = stack.run(*once, "--entrypoint", "cat", "k6", "/reports/smoke.md", check=False)
    rows = {
        row[0]: row for row in (line.strip("| ").split(" | ") for line in report.splitlines() if line.startswith("| `"))
    }
    right = [row[2] for name, row in rows.items() if name.startswith(("`wrong_answers", "`server_errors"))]
    checks.that("k6 in its container: no answer is wrong, none is a 5xx", bool(right) and set(right) == {"yes"})
    # Times are those of this machine, whatever else it does: they are told, not judged.
    for name, row in rows.items():
        if name.startswith("`http_req_waiting"):
            print(f"  {name.strip('`')}: {row[1]} ms, kept: {row[2].strip('*').lower()}")


def stopping(stack: Stack, checks: Checks) -> None:
    """SIGTERM is obeyed within the grace period."""
    stack.run("stop")
    codes = {c["Name"]: c["ExitCode"] for c in stack.containers() if c["Service"] in {"gateway", "worker", "register"}}
    checks.that("gateways, worker and register stop by themselves with exit code 0", set(codes.values()) == {0}, codes)
    once = {c["Name"]: c["ExitCode"] for c in stack.containers() if c["Service"] in ONCE}
    checks.that("what runs once ended with exit code 0", set(once.values()) == {0})
