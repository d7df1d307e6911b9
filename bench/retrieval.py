"""Search over passages of many tenants: its time, and whether it finds what comparing everything finds.

Times are those of `POST /v1/search` over one connection, authentication and JSON included, after every question was
asked once, so that its vector is remembered. The times of BM25 alone are what the answer states for its stage.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bm25s  # pyright: ignore[reportMissingTypeStubs]
import numpy as np

from bench import corpus, passages
from bench.client import Client
from bench.database import Database
from bench.model import Encoder
from bench.passages import Passages, Topics
from bench.report import Report, percentile
from bench.service import Program, alone, docket

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCOPES = (*corpus.SCOPES, "knowledge:read")
# What a stage hands on (`CANDIDATES` in src/application/knowledge/search.rs): the peer is asked for as many.
CANDIDATES = 200
FIRST = 10


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """A database of its own, so that a tenant's passages are all there are."""
    encoder = Encoder(os.cpu_count() or 1)
    topics = Topics.of(encoder)
    count, number = (10_000, 10) if quick else (100_000, 50)
    people = passages.tenants(count, number)
    made = [passages.make(tenant, size, topics, seed) for seed, (tenant, size) in enumerate(people)]
    data_dir = directory / f"retrieval-{count}" / "data"
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    # A remembered search would be found, not searched.
    settings = {"DOCKET_SERVER__ROLE": "api", "DOCKET_EMBEDDING__SEARCH_CACHE": "0"}
    seeded = data_dir.parent / "seeded"
    if not seeded.exists():
        with docket(data_dir, settings):
            database = Database.of(data_dir)
            database.run(corpus.seed_sql([tenant for tenant, _ in people], SCOPES))
            began = time.monotonic()
            passages.write(database, made)
            report.fact(f"search: {count:,} passages written and their graph built", time.monotonic() - began, "s")
            seeded.touch()
    with docket(data_dir, settings) as service:
        report.fact(f"search: start to ready, index of words of {count:,} passages", service.ready_seconds, "s")
        desk = _Desk(report, service, topics, encoder.embed(topics.questions, 32))
        _times(desk, made, f"{number} tenants in turn", rounds=20)
        _times(desk, made[:1], f"tenant of {len(made[0].texts):,}", rounds=QUESTIONS_OF_ONE)
        for one in (made[0], made[1]):
            _recall(desk, one)
            _words(desk, one)
        report.fact(f"search: memory with {count:,} passages", service.resident_mib(), "MiB")


QUESTIONS_OF_ONE = 200


@dataclass(frozen=True)
class _Desk:
    """What all measurements share."""

    report: Report
    service: Program
    topics: Topics
    vectors: passages.Vectors

    def client(self, principal: corpus.Principal) -> Client:
        """A connection of somebody's own."""
        return Client(self.service.address, principal.key)


def _times(desk: _Desk, tenants: Sequence[Passages], name: str, *, rounds: int) -> None:
    """Words and meaning, as a caseworker, who does not see everything."""
    clients = [desk.client(one.tenant.caseworkers[0]) for one in tenants]
    asked = [
        (client, desk.topics.questions[(turn * 7 + place) % len(desk.topics.questions)])
        for turn in range(rounds)
        for place, client in enumerate(clients)
    ]
    for client, question in asked:
        _search(client, question)
    waits: list[float] = []
    for client, question in asked:
        began = time.perf_counter()
        _search(client, question)
        waits.append((time.perf_counter() - began) * 1_000)
    desk.report.at_most(f"search: {name}, p50", percentile(waits, 0.5), "ms", 6)
    desk.report.at_most(f"search: {name}, p99", percentile(waits, 0.99), "ms", 20)


def _recall(desk: _Desk, one: Passages) -> None:
    """The first ten by meaning against the ten nearest of all vectors, as somebody who sees everything."""
    client = desk.client(one.tenant.supervisor)
    found, method = 0, ""
    for question, vector in zip(desk.topics.questions, desk.vectors, strict=True):
        nearest = np.argsort(-(one.vectors @ vector), kind="stable")[:FIRST]
        answer = _search(client, question, "meaning")
        method = answer["method"]
        found += len({one.number(hit["chunk_id"]) for hit in answer["hits"]} & {int(number) for number in nearest})
    recall = found / (FIRST * len(desk.topics.questions))
    name = f"search: by meaning, tenant of {len(one.texts):,} ({method}), first ten"
    desk.report.at_least(name, recall * 100, "%", (recall, 0.98, "the nearest ten"))


def _words(desk: _Desk, one: Passages) -> None:
    """The first ten by words against `bm25s` on the same words, and the time of a question."""
    peer: Any = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    peer.index([text.split() for text in one.texts], show_progress=False)
    client = desk.client(one.tenant.supervisor)
    shared, wanted = 0, 0
    ours: list[float] = []
    theirs: list[float] = []
    for question in desk.topics.questions:
        words = question.split()
        began = time.perf_counter()
        places, scores = peer.retrieve([words], k=CANDIDATES, show_progress=False)
        theirs.append((time.perf_counter() - began) * 1_000)
        answer = _search(client, question, "keywords")
        ours.append(next(stage["milliseconds"] for stage in answer["stages"] if stage["stage"] == "keywords"))
        best = {int(place) for place, score in zip(places[0][:FIRST], scores[0][:FIRST], strict=True) if score > 0}
        shared += len(best & {one.number(hit["chunk_id"]) for hit in answer["hits"]})
        wanted += len(best)
    name = f"search: by words, tenant of {len(one.texts):,}"
    desk.report.at_least(f"{name}, first ten", 100 * shared / wanted, "%", (shared / wanted, 0.98, "bm25s"))
    half, other = percentile(ours, 0.5), percentile(theirs, 0.5)
    desk.report.fact(f"{name}, bm25s, p50", other * 1_000, "us")
    desk.report.at_least(f"{name}, p50; as many a second", half * 1_000, "us", (other / half, 1.0, "bm25s"))


def _search(client: Client, question: str, fusion: str = "convex") -> dict[str, Any]:
    return client.post("/v1/search", {"query": question, "limit": FIRST, "fusion": fusion})


def main() -> None:
    """Search alone: `python -m bench.retrieval [--quick]`; the programs must be built."""
    with alone("retrieval") as (directory, quick):
        measure(Report(), directory, quick=quick)


if __name__ == "__main__":
    main()
