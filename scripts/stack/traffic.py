"""Load whose every acknowledgement is remembered: afterwards nothing may be missing, and nothing there twice."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

from .client import Client


@dataclass
class Ledger:
    """What docket has said yes to."""

    cases: dict[str, str] = field(default_factory=dict[str, str])
    references: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    times: list[float] = field(default_factory=list[float])
    requests: int = 0
    repeated: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def quantile(self, share: float) -> float:
        """A quantile of the times of the answered requests, in seconds."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Traffic:
    """Clients that create, submit and read until they are told to stop."""

    def __init__(self, url: str, key: str, clients: int = 4) -> None:
        self.ledger = Ledger()
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self.work, args=(Client(url, key),), daemon=True) for _ in range(clients)
        ]

    def work(self, client: Client) -> None:
        """What one client does."""
        while not self.stop.is_set():
            reference = f"CT-{uuid.uuid4().hex[:16]}"
            try:
                case, version = client.create(reference=reference)
                with self.ledger.lock:
                    self.ledger.cases[case] = "draft"
                    self.ledger.references.append(reference)
                done = client.command(case, version, "submit")
                self.expect(done.status == 200, f"submit was answered {done.status} {done.body[:200]!r}")
                with self.ledger.lock:
                    self.ledger.cases[case] = "submitted"
                seen = client.call("GET", f"/v1/cases/{case}")
                self.expect(
                    seen.status == 200 and seen.json()["state"] == "submitted", f"{case} is not as it was written"
                )
                found = client.call("GET", f"/v1/cases?reference={reference}").json()
                self.expect(len(found["items"]) == 1, f"{reference} is there {len(found['items'])} times")
            except (OSError, ValueError, LookupError) as error:
                self.expect(False, str(error))
        with self.ledger.lock:
            self.ledger.times += client.times
            self.ledger.requests += len(client.times)
            self.ledger.repeated += client.repeated

    def expect(self, holds: bool, what: str) -> None:
        """Notes what must not happen."""
        if not holds:
            with self.ledger.lock:
                self.ledger.wrong.append(what)

    def start(self) -> None:
        """Begins."""
        for thread in self.threads:
            thread.start()

    def run_for(self, seconds: float) -> None:
        """Lets it go on for so long, telling how far it is."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(min(5.0, max(0.1, until - time.monotonic())))
            print(f"  {len(self.ledger.cases)} cases written", flush=True)

    def end(self) -> Ledger:
        """Lets everybody finish what they have begun."""
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=120)
        return self.ledger


def missing(ledger: Ledger, client: Client) -> list[str]:
    """Cases that were acknowledged and are not there as they were."""
    lost: list[str] = []
    for case, state in ledger.cases.items():
        answer = client.call("GET", f"/v1/cases/{case}")
        if answer.status != 200 or answer.json()["state"] not in {state, "submitted"}:
            lost.append(case)
    return lost
