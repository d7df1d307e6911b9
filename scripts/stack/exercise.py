"""Use of every part that has a panel: cases, events, jobs, documents, searches, answers, plugins, the register."""

from __future__ import annotations

import time

from .client import Client
from .engine import PROJECT
from .monitored import Scene
from .say import wait_for
from .traffic import Ledger, Traffic

#: So often everything is used at least, however slow the machine is.
ROUNDS = 3
CORPUS = PROJECT / "demo" / "corpus" / "harbour-safety"
QUESTIONS = (
    "Within how many hours must a serious incident be confirmed in writing?",
    "Who appoints the person in charge of lifting operations?",
    "How high may a penalty be for a late report?",
)
#: As browsers and curl declare them: Markdown has no type of its own there.
MEDIA_TYPES = {".md": "text/plain", ".html": "text/html", ".pdf": "application/pdf"}


def documents(client: Client) -> list[str]:
    """Brings a few documents of each kind."""
    brought = sorted(CORPUS.glob("*.pdf"))[:2] + sorted(CORPUS.glob("*.html"))[:2] + sorted(CORPUS.glob("*.md"))[-3:]
    return [client.upload(path.name, path.read_bytes(), MEDIA_TYPES[path.suffix]) for path in brought]


def acts(scene: Scene) -> None:
    """Allowed, denied and conflicting acts on one case."""
    reporter, supervisor = Client(scene.docket, scene.keys("reporter")), Client(scene.docket, scene.keys("supervisor"))
    case, version = reporter.create()
    reporter.command(case, version, "close")
    reporter.command(case, version, "submit")
    reporter.command(case, version, "withdraw", reason="against an old version")
    seen = supervisor.call("GET", f"/v1/cases/{case}")
    supervisor.command(case, seen.headers["etag"], "escalate", reason="the ladder is still in use")
    supervisor.call("POST", f"/v1/cases/{case}/notes", {"text": "Telephoned the master."})


def exercise(scene: Scene, seconds: float) -> Ledger:
    """Uses everything for so long; gives what the load of cases has written."""
    administrator, supervisor = (
        Client(scene.docket, scene.keys("admin")),
        Client(scene.docket, scene.keys("supervisor")),
    )
    for name in ("good", "failing"):
        answer = administrator.call("POST", "/v1/webhooks", {"name": name, "url": f"{scene.receiver}/{name}"})
        if answer.status != 201:
            raise ValueError(f"no webhook was made: {answer.status} {answer.body[:300]!r}")
    traffic = Traffic(scene.docket, scene.keys("reporter"), clients=2)
    traffic.start()
    brought = documents(supervisor)

    def ready() -> bool:
        return all(supervisor.call("GET", f"/v1/documents/{one}").json()["status"] == "ready" for one in brought)

    wait_for("the reading of the documents", ready, 180)
    until = time.monotonic() + seconds
    turn = 0
    while turn < ROUNDS or time.monotonic() < until:
        question = QUESTIONS[turn % len(QUESTIONS)]
        supervisor.call("POST", "/v1/search", {"query": question, "rerank": turn % 3 == 0, "relevance_percent": 70})
        supervisor.call("POST", "/v1/answers", {"question": question})
        acts(scene)
        administrator.call("POST", "/v1/jobs", {"kind": "probe"})
        turn += 1
        print(f"  {turn} rounds, {len(traffic.ledger.cases)} cases", flush=True)
        time.sleep(1)
    return traffic.end()
